//! Subjects of automatic answers. People write about being away too, so the softer ones need a second sign.

use crate::message::phrase_set::PhraseSet;

/// How much a subject says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectHint {
    /// An autoresponder's subject.
    Surely,
    /// A subject that people write as well.
    Perhaps,
}

/// Starts of subjects that only autoresponders write.
#[rustfmt::skip]
pub const SURELY: &[&str] = &[
    "auto:", // Sieve vacation (RFC 5230 section 4.3)
    "auto reply", "auto-reply", "autoreply", "auto response", "auto-response", "autoresponse", "auto-respond", "autoresponder",
    "yahoo! auto response", "away from my mail", // Yahoo, vacation(1)
    "out of office autoreply", // Exchange 5.5 to 2007
    "out of office:", "out of the office:", "out of office reply", // Exchange, Zimbra, Notes, GroupWise
    "out of office response", "out of office message", "vacation reply", "vacation response", "vacation message",
    // Exchange in German, Dutch, Swedish, French, Spanish, Italian, Romanian; Russian, Japanese
    "abwesenheitsnotiz", "abwesenheitsnachricht", "afwezigheidsbericht", "autosvar", "absence du bureau", "message d'absence",
    "fuera de la oficina:", "fuori sede:", "ráspuns automat", "автоответ", "不在通知",
];

/// Starts of subjects that need a second sign: people write them, too, or ticket systems that answer once.
#[rustfmt::skip]
pub const PERHAPS: &[&str] = &[
    "out of office", "out of the office", "ooo", "on vacation", "vacation", "on leave", "away", "i am away",
    "abwesend", "abwesenheit", "urlaub", "afwezig", "absence", "absent", "frånvaro",
    "thank you for", "we have received your", "your message has been received",
];

/// What "automatic" begins with, or has in it, in the languages of mail programs.
const AUTOMATIC: &[&str] = &[
    "automa",      // Germanic, Romance, West Slavic, Hungarian, Finnish ...
    "automá",      // Spanish, Portuguese
    "automà",      // Catalan
    "automā",      // Latvian
    "autom\u{e4}", // Estonian
    "avtomat",     // Slovenian, Azerbaijani, Uzbek
    "awtomat",     // Filipino, Maltese
    "otomat",      // Turkish, Indonesian, Swahili
    "outomat",     // Afrikaans
    "uathoibr",    // Irish
    "awtomatig",   // Welsh
    "samodejn",    // Slovenian
    "sjálfvirk",   // Icelandic
    "автомат",     // Russian, Ukrainian, Bulgarian, Macedonian, Kazakh, Mongolian
    "аўтамат",     // Belarusian
    "аутомат",     // Serbian
    "αυτόματ",     // Greek
    "אוטומטי",     // Hebrew
    "تلقائي",      // Arabic
    "آلي",         // Arabic
    "خودکار",      // Persian, Urdu
    "ավտոմատ",     // Armenian
    "ავტომატ",     // Georgian
    "自动",        // Chinese
    "自動",        // Chinese, Japanese
    "자동",        // Korean
    "อัตโนมัติ",      // Thai
    "ອັດຕະໂນມັດ",    // Lao
    "ស្វ័យប្រវត្តិ",      // Khmer
    "tự động",     // Vietnamese
    "स्वचालित",     // Hindi, Nepali
    "स्वत:",        // Hindi
    "स्वतः",        // Hindi
    "स्वयंचलित",     // Marathi
    "স্বয়ংক্রিয়",    // Bengali
    "স্বয়ংক্রিয়",    // Bengali, its letters composed
    "સ્વચાલિત",     // Gujarati
    "ਸਵੈਚਲਿਤ",      // Punjabi
    "தானியங்கு",     // Tamil
    "தானியக்க",      // Tamil
    "స్వయంచాలక",     // Telugu
    "ಸ್ವಯಂಚಾಲಿತ",    // Kannada
    "യാന്ത്രിക",      // Malayalam
];

/// What "answer" and "reply" begin with, or have in them.
const REPLY: &[&str] = &[
    "repl",       // English
    "respon",     // English
    "answer",     // English
    "antwort",    // German
    "äntwert",    // Luxembourgish
    "antwoord",   // Dutch, Afrikaans
    "svar",       // Danish, Norwegian, Swedish, Icelandic
    "vasta",      // Finnish
    "vastus",     // Estonian
    "répons",     // French
    "reponse",    // French without accents
    "respuesta",  // Spanish
    "contestaci", // Spanish
    "resposta",   // Portuguese, Catalan, Galician
    "erantzun",   // Basque
    "rispost",    // Italian
    "răspuns",    // Romanian
    "raspuns",    // Romanian without accents
    "odpow",      // Polish
    "odpov",      // Czech, Slovak
    "odgovor",    // Croatian, Bosnian, Serbian, Slovenian
    "válasz",     // Hungarian
    "atbild",     // Latvian
    "atsak",      // Lithuanian
    "përgjigj",   // Albanian
    "yanıt",      // Turkish
    "cevap",      // Turkish
    "cavab",      // Azerbaijani
    "javob",      // Uzbek
    "tweġiba",    // Maltese
    "freagra",    // Irish
    "ateb",       // Welsh
    "ответ",      // Russian
    "відпов",     // Ukrainian
    "адказ",      // Belarusian
    "отговор",    // Bulgarian
    "одговор",    // Serbian, Macedonian
    "жауап",      // Kazakh
    "хариу",      // Mongolian
    "απάντησ",    // Greek
    "תשובה",      // Hebrew
    "מענה",       // Hebrew
    "رد ",        // Arabic
    "الرد",       // Arabic
    "جواب",       // Arabic, Urdu
    "إجابة",      // Arabic
    "پاسخ",       // Persian
    "պատասխան",   // Armenian
    "პასუხ",      // Georgian
    "回复",       // Chinese
    "回覆",       // Chinese
    "回復",       // Chinese
    "答复",       // Chinese
    "答覆",       // Chinese
    "応答",       // Japanese
    "返信",       // Japanese
    "회신",       // Korean
    "응답",       // Korean
    "답장",       // Korean
    "ตอบ",        // Thai
    "ຕອບ",        // Lao
    "ឆ្លើយ",        // Khmer
    "trả lời",    // Vietnamese
    "phản hồi",   // Vietnamese
    "balasan",    // Indonesian, Malay
    "jawapan",    // Malay
    "jawaban",    // Indonesian
    "jibu",       // Swahili
    "tugon",      // Filipino
    "उत्तर",       // Hindi, Marathi
    "जवाब",       // Hindi
    "জবাব",        // Bengali
    "উত্তর",       // Bengali
    "જવાબ",       // Gujarati
    "ਜਵਾਬ",       // Punjabi
    "பதில்",       // Tamil
    "ప్రత్యుత్తరం",  // Telugu
    "ಉತ್ತರ",       // Kannada
    "ಪ್ರತ್ಯುತ್ತರ",   // Kannada
    "മറുപടി",      // Malayalam
];

/// What says that somebody is away, anywhere in a subject. People write it as well.
#[rustfmt::skip]
const AWAY: &[&str] = &[
    "out of office", "out of the office", "out-of-office", "away from the office", "not in the office",
    "nicht im büro", "nicht im haus", "abwesenheit", "hors du bureau", "absent du bureau", "absence du bureau",
    "fuera de la oficina", "fuera de oficina", "fora do escritório", "fora de l'oficina", "fuori sede",
    "fuori ufficio", "niet op kantoor", "afwezigheid", "på kontoret", "frånvaro", "poissaolo", "poza biurem",
    "nieobecność", "mimo kancel", "nepřítomnost", "neprítomnosť", "házon kívül", "távollét", "afara biroului",
    "afară din birou", "вне офиса", "нет на месте", "нет в офисе", "поза офісом", "извън офиса",
    "ван канцеларије", "εκτός γραφείου", "ofis dışında", "izvan ureda", "van kancelarije", "odsoten",
    "odsotnost", "kontorist väljas", "ārpus biroja", "arpus biroja", "prombūtn", "ne biure", "מחוץ למשרד", "לא במשרד",
    "خارج المكتب", "خارج از دفتر", "不在办公室", "不在辦公室", "外出中", "外出しております", "外出期间", "休假", "不在", "부재",
    "ngoài văn phòng", "vắng mặt", "di luar kantor", "di luar pejabat", "ไม่อยู่ที่สำนักงาน", "ไม่อยู่",
    "कार्यालय से बाहर",
];

static SURELY_SET: PhraseSet<{ SURELY.len() }> = PhraseSet::new(SURELY);
static PERHAPS_SET: PhraseSet<{ PERHAPS.len() }> = PhraseSet::new(PERHAPS);
static AUTOMATIC_SET: PhraseSet<{ AUTOMATIC.len() }> = PhraseSet::new(AUTOMATIC);
static REPLY_SET: PhraseSet<{ REPLY.len() }> = PhraseSet::new(REPLY);
static AWAY_SET: PhraseSet<{ AWAY.len() }> = PhraseSet::new(AWAY);

/// Tells whether `subject` says that somebody is away.
pub fn says_away(subject: &str) -> bool {
    AWAY_SET.is_in(subject)
}

/// Words behind a program's words for an automatic reply: from whom, to what. Any other goes on with a sentence of a
/// person's.
#[rustfmt::skip]
const FOLLOWERS: &[&str] = &[
    "from", "to", "for", "re", "on", "by", "message", "notification", "email", "e-mail", "mail", "von", "vom", "auf", "an", "zu", "de",
    "du", "da", "do", "del", "della", "dal", "di", "a", "à", "au", "sur", "para", "per", "van", "op", "aan", "fra", "från", "til", "till",
    "på", "od", "na", "от", "від", "на", "από", "για",
];

/// What some programs begin with: `Mensaje de respuesta automática`.
const HEADS: &[&str] = &[
    "mensaje de ",
    "mensagem de ",
    "messaggio di ",
    "message de ",
    "aviso de ",
    "notificación de ",
];

/// Behind them in scripts without blanks: mail, message, notice; any other word goes on with a sentence.
const UNPARTED_FOLLOWERS: &[&str] = &[
    "メール",
    "メッセージ",
    "通知",
    "のお知らせ",
    "です",
    "邮件",
    "郵件",
    "消息",
    "信息",
    "訊息",
];

/// Tells whether `c` is of a script that puts no blanks between words.
fn is_unparted(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}')
}

/// What stands in `word` behind the last of a program's words for an automatic reply.
fn behind_stems(word: &str) -> &str {
    let automatic = AUTOMATIC_SET
        .find_all(word)
        .map(|(at, number)| at + AUTOMATIC_SET.phrase(number).len());
    let reply = REPLY_SET
        .find_all(word)
        .map(|(at, number)| at + REPLY_SET.phrase(number).len());
    let end = automatic.chain(reply).max().unwrap_or_default();
    word.get(end..).unwrap_or_default()
}

/// How much a program's words for an automatic reply say, with `rest` of the subject behind them.
fn hint_before(rest: &str) -> SubjectHint {
    let is_sentence = rest.starts_with(is_unparted) && !UNPARTED_FOLLOWERS.iter().any(|word| rest.starts_with(word));
    if is_sentence {
        return SubjectHint::Perhaps;
    }
    // The last word may go on: `autoresponder`.
    let rest = rest.trim_start_matches(char::is_alphanumeric).trim_start();
    let word = rest
        .split(|c: char| c.is_whitespace() || c == ':')
        .next()
        .unwrap_or_default();
    let goes_on = rest.starts_with('?') || rest.starts_with(char::is_alphanumeric) && !FOLLOWERS.contains(&word);
    if goes_on {
        SubjectHint::Perhaps
    } else {
        SubjectHint::Surely
    }
}

/// Looks for a program's word for an automatic reply at the beginning of `start`, what stands before a colon or a whole
/// subject.
fn find_automatic_reply(start: &str) -> Option<SubjectHint> {
    /// So many words the two take, with one before them or between.
    const MOST_WORDS: usize = 5;
    /// So many words stand before them at most; with more it is a sentence.
    const BEFORE: usize = 1;
    if !AUTOMATIC_SET.is_in(start) {
        return None;
    }
    // Some tongues have what happened before it, and a comma.
    let start = start.rsplit([',', ';']).next()?.trim_start();
    let start = HEADS.iter().find_map(|head| start.strip_prefix(head)).unwrap_or(start);
    let words: Vec<&str> = start.split_whitespace().filter(|word| *word != "automation").collect();
    // A blank behind the last word, as some stems want it.
    let is_both = |words: &[&str]| {
        let text = words.iter().fold(String::new(), |text, word| text + word + " ");
        AUTOMATIC_SET.is_in(&text) && REPLY_SET.is_in(&text)
    };
    let ends = 1..=words.len().min(MOST_WORDS);
    let end = ends.into_iter().find(|end| words.get(..*end).is_some_and(is_both))?;
    if words.get(BEFORE + 1..end).is_some_and(is_both) && !says_away(start) {
        return None;
    }
    let last = end
        .checked_sub(1)
        .and_then(|last| words.get(last))
        .map(|last| behind_stems(last));
    let rest = words.get(end..).unwrap_or_default().join(" ");
    Some(hint_before(&format!("{} {rest}", last.unwrap_or_default())))
}

/// The hint of a phrase with which `subject` begins, or that ends what stands before its colon.
fn find_sure_phrase(subject: &str, before_colon: Option<&str>) -> Option<SubjectHint> {
    if let Some(text) = SURELY_SET.begin_of(subject).and_then(|number| SURELY.get(number)) {
        let rest = subject.get(text.len()..).unwrap_or_default();
        // A phrase with its colon is whole, but people ask below it: `Out of office: who has the keys?`
        return Some(match text.ends_with(':') {
            true if rest.trim_end().ends_with(['?', '\u{ff1f}']) => SubjectHint::Perhaps,
            true => SubjectHint::Surely,
            false => hint_before(rest),
        });
    }
    /// So many words stand before it at most, a name; with more it is a sentence.
    const MOST_BEFORE: usize = 2;
    let start = before_colon?;
    let is_near = |at: usize| {
        start
            .get(..at)
            .is_some_and(|name| name.split_whitespace().count() <= MOST_BEFORE)
    };
    let mut found = SURELY.iter().zip(SURELY_SET.find(start));
    let is_there = found.any(|(text, at)| at.is_some_and(is_near) && text.contains(' '));
    is_there.then_some(SubjectHint::Surely)
}

/// Looks at `subject`, which is folded and holds no `Re:`. Exchange puts its words before the colon, in some tongues
/// behind others.
pub fn find_auto_reply_subject(subject: &str) -> Option<SubjectHint> {
    let before_colon = subject.split_once([':', '\u{ff1a}']).map(|(start, _)| start);
    // Nothing but the words: people add when, or why.
    let is_bare = ["out of office", "out of the office"].contains(&subject.trim_end_matches(['.', '!', ' ']));
    if is_bare {
        return Some(SubjectHint::Surely);
    }
    find_sure_phrase(subject, before_colon)
        .or_else(|| find_automatic_reply(before_colon.unwrap_or(subject)))
        .or_else(|| PERHAPS_SET.begin_of(subject).map(|_| SubjectHint::Perhaps))
}

#[cfg(test)]
mod tests {
    use super::{AUTOMATIC, AWAY, REPLY, SubjectHint, find_auto_reply_subject};

    #[test]
    fn automatic_replies_are_known_in_their_languages() {
        for start in [
            "Automatische Antwort",
            "Automatesch Äntwert",
            "Automatisch antwoord",
            "Outomatiese antwoord",
            "Automatisk svar",
            "Automatiskt svar",
            "Sjálfvirkt svar",
            "Automaattinen vastaus",
            "Automaatne vastus",
            "Réponse automatique",
            "Reponse automatique",
            "Respuesta automática",
            "Contestación automática",
            "Resposta automática",
            "Resposta automàtica",
            "Erantzun automatikoa",
            "Risposta automatica",
            "Răspuns automat",
            "Raspuns automat",
            "Odpowiedź automatyczna",
            "Automatická odpověď",
            "Automatická odpoveď",
            "Automatski odgovor",
            "Samodejni odgovor",
            "Avtomatski odgovor",
            "Automatikus válasz",
            "Automātiskā atbilde",
            "Automatinis atsakymas",
            "Përgjigje automatike",
            "Otomatik Yanıt",
            "Otomatik cevap",
            "Avtomatik cavab",
            "Avtomatik javob",
            "Tweġiba awtomatika",
            "Freagra uathoibríoch",
            "Ateb awtomatig",
            "Автоматический ответ",
            "Автоматична відповідь",
            "Аўтаматычны адказ",
            "Автоматичен отговор",
            "Аутоматски одговор",
            "Автоматски одговор",
            "Автоматты жауап",
            "Автомат хариу",
            "Αυτόματη απάντηση",
            "תשובה אוטומטית",
            "מענה אוטומטי",
            "رد تلقائي",
            "الرد التلقائي",
            "رد آلي",
            "إجابة تلقائية",
            "پاسخ خودکار",
            "خودکار جواب",
            "Ավտոմատ պատասխան",
            "ავტომატური პასუხი",
            "自动回复",
            "自动答复",
            "自動回覆",
            "自動回復",
            "自動答覆",
            "自動応答",
            "自動返信",
            "자동 회신",
            "자동 응답",
            "자동 답장",
            "ตอบกลับอัตโนมัติ",
            "การตอบกลับโดยอัตโนมัติ",
            "ຕອບກັບອັດຕະໂນມັດ",
            "ឆ្លើយតបស្វ័យប្រវត្តិ",
            "Trả lời tự động",
            "Phản hồi tự động",
            "Balasan otomatis",
            "Balasan automatik",
            "Jawapan automatik",
            "Jawaban otomatis",
            "Jibu otomatiki",
            "Awtomatikong tugon",
            "स्वचालित उत्तर",
            "स्वतः जवाब",
            "स्वयंचलित उत्तर",
            "স্বয়ংক্রিয় উত্তর",
            "স্বয়ংক্রিয় জবাব",
            "સ્વચાલિત જવાબ",
            "ਸਵੈਚਲਿਤ ਜਵਾਬ",
            "தானியங்கு பதில்",
            "தானியக்க பதில்",
            "స్వయంచాలక ప్రత్యుత్తరం",
            "ಸ್ವಯಂಚಾಲಿತ ಉತ್ತರ",
            "ಸ್ವಯಂಚಾಲಿತ ಪ್ರತ್ಯುತ್ತರ",
            "യാന്ത്രിക മറുപടി",
            "Automatic reply from the desk of Ann to your message of today",
            "Automatic answer",
            "Automatic e-mail response",
            "Your automatic reply",
        ] {
            for subject in [format!("{start}: x"), start.to_owned(), format!("{start}\u{ff1a}x")] {
                let found = find_auto_reply_subject(&subject.to_lowercase());
                assert_eq!(found, Some(SubjectHint::Surely), "{subject}");
            }
        }
        for subject in [
            "how do i set up an automatic reply in the program that we use now",
            "automation of answers to the questions of our customers: a talk",
            "automatic updates: what to do",
            "the minutes: automatic reply",
            "dúvida sobre resposta automática: como desligar?",
        ] {
            assert_eq!(find_auto_reply_subject(subject), None, "{subject}");
        }
        for subject in [
            "auto response time: a study",
            "auto-reply settings for the summer",
            "autoresponder broken on your site",
            "自動返信の設定について",
            "自动回复怎么设置",
            "自動応答システムのご提案",
            "automatic answering machine for sale",
            "out of office: who has the keys?",
            "auto: was ist kaputt?",
        ] {
            assert_eq!(
                find_auto_reply_subject(subject),
                Some(SubjectHint::Perhaps),
                "{subject}"
            );
        }
        for subject in [
            "auto-responder",
            "autoreply from ann",
            "auto response (ann)",
            "自動返信メール",
            "自动回复",
            "out of office: x",
        ] {
            assert_eq!(find_auto_reply_subject(subject), Some(SubjectHint::Surely), "{subject}");
        }
    }

    #[test]
    fn stems_are_written_as_they_are_looked_for() {
        for stem in AUTOMATIC.iter().chain(REPLY).chain(AWAY) {
            assert_eq!(*stem, stem.to_lowercase());
        }
    }
}
