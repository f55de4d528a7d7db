//! Subjects of automatic answers. People write about being away too, so the softer ones need a second sign.

/// How much a subject says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An autoresponder's subject.
    Surely,
    /// A subject that people write as well.
    Perhaps,
}

/// Starts of subjects that only autoresponders write, with the program or the language.
pub const SURELY: &[(&str, &str)] = &[
    ("auto:", "Sieve vacation (RFC 5230 section 4.3)"),
    ("automatic reply", "Exchange 2010 and later"),
    ("auto reply", "many autoresponders"),
    ("auto-reply", "many autoresponders"),
    ("autoreply", "many autoresponders; RT"),
    ("auto response", "many autoresponders"),
    ("auto-response", "many autoresponders"),
    ("autoresponse", "many autoresponders"),
    ("autoresponder", "hosting panels"),
    ("automatic response", "many autoresponders"),
    ("automated response", "many autoresponders"),
    ("automated reply", "many autoresponders"),
    ("automatically generated reply", "many autoresponders"),
    ("automatically generated response", "many autoresponders"),
    ("auto-respond", "many autoresponders"),
    ("yahoo! auto response", "Yahoo"),
    ("out of office autoreply", "Exchange 5.5 to 2007"),
    ("out of office:", "Exchange, Zimbra"),
    ("out of the office:", "Notes"),
    ("out of office reply", "Zimbra, GroupWise"),
    ("out of office response", "many autoresponders"),
    ("out of office message", "many autoresponders"),
    ("vacation reply", "many autoresponders"),
    ("vacation response", "many autoresponders"),
    ("vacation message", "many autoresponders"),
    ("away from my mail", "vacation(1)"),
    ("abwesenheitsnotiz", "Exchange, German"),
    ("abwesenheitsnachricht", "German"),
    ("automatische antwort", "Exchange, German"),
    ("automatische rückantwort", "German"),
    ("automatisch antwoord", "Exchange, Dutch"),
    ("afwezigheidsbericht", "Exchange, Dutch"),
    ("automatisk svar", "Exchange, Danish and Norwegian"),
    ("autosvar", "Exchange, Swedish"),
    ("automatiskt svar", "Exchange, Swedish"),
    ("automaattinen vastaus", "Exchange, Finnish"),
    ("réponse automatique", "Exchange, French"),
    ("reponse automatique", "French"),
    ("absence du bureau", "Exchange, French"),
    ("message d'absence", "French"),
    ("respuesta automática", "Exchange, Spanish"),
    ("respuesta automatica", "Spanish"),
    ("mensaje de respuesta automática", "Spanish"),
    ("fuera de la oficina:", "Exchange, Spanish"),
    ("risposta automatica", "Exchange, Italian"),
    ("fuori sede:", "Exchange, Italian"),
    ("resposta automática", "Exchange, Portuguese"),
    ("resposta automatica", "Portuguese"),
    ("odpowiedź automatyczna", "Exchange, Polish"),
    ("automatyczna odpowiedź", "Exchange, Polish"),
    ("automatická odpověď", "Exchange, Czech"),
    ("automatikus válasz", "Exchange, Hungarian"),
    ("otomatik yanıt", "Exchange, Turkish"),
    ("ráspuns automat", "Exchange, Romanian"),
    ("automatiska atbilde", "Exchange, Latvian"),
    ("automātiskā atbilde", "Exchange, Latvian"),
    ("automatinis atsakymas", "Exchange, Lithuanian"),
    ("automaatvastus", "Exchange, Estonian"),
    ("automatski odgovor", "Exchange, Croatian"),
    ("automatická odpoveď", "Exchange, Slovak"),
    ("samodejni odgovor", "Exchange, Slovenian"),
    ("resposta automàtica", "Exchange, Catalan"),
    ("trả lời tự động", "Exchange, Vietnamese"),
    ("автоматична відповідь", "Exchange, Ukrainian"),
    ("автоматичен отговор", "Exchange, Bulgarian"),
    ("תשובה אוטומטית", "Exchange, Hebrew"),
    ("رد تلقائي", "Exchange, Arabic"),
    ("автоответ", "Russian"),
    ("автоматический ответ", "Exchange, Russian"),
    ("αυτόματη απάντηση", "Exchange, Greek"),
    ("自動応答", "Exchange, Japanese"),
    ("自動返信", "Japanese"),
    ("不在通知", "Japanese"),
    ("自动回复", "QQ, Exchange, Chinese"),
    ("自动答复", "Exchange, Chinese"),
    ("自動回覆", "Exchange, Chinese"),
    ("자동 회신", "Exchange, Korean"),
    ("자동 응답", "Korean"),
];

/// Starts of subjects that need a second sign.
pub const PERHAPS: &[(&str, &str)] = &[
    ("out of office", "people, and autoresponders"),
    ("out of the office", "people, and autoresponders"),
    ("ooo", "people, and autoresponders"),
    ("on vacation", "people, and autoresponders"),
    ("vacation", "people, and autoresponders"),
    ("on leave", "people, and autoresponders"),
    ("away", "people, and autoresponders"),
    ("i am away", "people, and autoresponders"),
    ("abwesend", "people, and autoresponders, German"),
    ("abwesenheit", "people, and autoresponders, German"),
    ("urlaub", "people, and autoresponders, German"),
    ("afwezig", "people, and autoresponders, Dutch"),
    ("absence", "people, and autoresponders, French"),
    ("absent", "people, and autoresponders, French"),
    ("frånvaro", "people, and autoresponders, Swedish"),
    ("thank you for", "ticket systems"),
    ("we have received your", "ticket systems"),
    ("your message has been received", "ticket systems"),
];

/// Looks at `subject`, which is folded and holds no `Re:`. Exchange puts its words before the colon, in some tongues behind others.
#[must_use]
pub fn find(subject: &str) -> Option<(Answer, &'static str)> {
    let before_colon = subject
        .split(':')
        .next()
        .filter(|start| start.len() < subject.len())
        .unwrap_or_default();
    let surely = SURELY
        .iter()
        .find(|(text, _)| subject.starts_with(text) || text.contains(' ') && before_colon.contains(text))
        .map(|(_, why)| (Answer::Surely, *why));
    // Nothing but the words: people add when, or why.
    let bare = ["out of office", "out of the office"].contains(&subject.trim_end_matches(['.', '!', ' ']));
    let surely = surely.or_else(|| bare.then_some((Answer::Surely, "many autoresponders")));
    let perhaps = || PERHAPS.iter().find(|(text, _)| subject.starts_with(text));
    surely.or_else(|| perhaps().map(|(_, why)| (Answer::Perhaps, *why)))
}
