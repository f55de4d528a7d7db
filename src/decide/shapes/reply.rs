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
    ("automatische r\u{fc}ckantwort", "German"),
    ("automatisch antwoord", "Exchange, Dutch"),
    ("afwezigheidsbericht", "Exchange, Dutch"),
    ("automatisk svar", "Exchange, Danish and Norwegian"),
    ("autosvar", "Exchange, Swedish"),
    ("automatiskt svar", "Exchange, Swedish"),
    ("automaattinen vastaus", "Exchange, Finnish"),
    ("r\u{e9}ponse automatique", "Exchange, French"),
    ("reponse automatique", "French"),
    ("absence du bureau", "Exchange, French"),
    ("message d'absence", "French"),
    ("respuesta autom\u{e1}tica", "Exchange, Spanish"),
    ("respuesta automatica", "Spanish"),
    ("fuera de la oficina:", "Exchange, Spanish"),
    ("risposta automatica", "Exchange, Italian"),
    ("fuori sede:", "Exchange, Italian"),
    ("resposta autom\u{e1}tica", "Exchange, Portuguese"),
    ("resposta automatica", "Portuguese"),
    ("odpowied\u{17a} automatyczna", "Exchange, Polish"),
    ("automatyczna odpowied\u{17a}", "Exchange, Polish"),
    ("automatick\u{e1} odpov\u{11b}\u{10f}", "Exchange, Czech"),
    ("automatikus v\u{e1}lasz", "Exchange, Hungarian"),
    ("otomatik yan\u{131}t", "Exchange, Turkish"),
    ("r\u{e1}spuns automat", "Exchange, Romanian"),
    (
        "\u{430}\u{432}\u{442}\u{43e}\u{43e}\u{442}\u{432}\u{435}\u{442}",
        "Russian",
    ),
    (
        "\u{430}\u{432}\u{442}\u{43e}\u{43c}\u{430}\u{442}\u{438}\u{447}\u{435}\u{441}\u{43a}\u{438}\u{439} \u{43e}\u{442}\u{432}\u{435}\u{442}",
        "Exchange, Russian",
    ),
    (
        "\u{3b1}\u{3c5}\u{3c4}\u{3cc}\u{3bc}\u{3b1}\u{3c4}\u{3b7} \u{3b1}\u{3c0}\u{3ac}\u{3bd}\u{3c4}\u{3b7}\u{3c3}\u{3b7}",
        "Exchange, Greek",
    ),
    ("\u{81ea}\u{52d5}\u{5fdc}\u{7b54}", "Exchange, Japanese"),
    ("\u{81ea}\u{52d5}\u{8fd4}\u{4fe1}", "Japanese"),
    ("\u{4e0d}\u{5728}\u{901a}\u{77e5}", "Japanese"),
    ("\u{81ea}\u{52a8}\u{56de}\u{590d}", "QQ, Exchange, Chinese"),
    ("\u{81ea}\u{52a8}\u{7b54}\u{590d}", "Exchange, Chinese"),
    ("\u{81ea}\u{52d5}\u{56de}\u{8986}", "Exchange, Chinese"),
    ("\u{c790}\u{b3d9} \u{d68c}\u{c2e0}", "Exchange, Korean"),
    ("\u{c790}\u{b3d9} \u{c751}\u{b2f5}", "Korean"),
];

/// Starts of subjects that need a second sign.
pub const PERHAPS: &[(&str, &str)] = &[
    ("auto:", "vacation(1), Sieve vacation (RFC 5230)"),
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
    ("fr\u{e5}nvaro", "people, and autoresponders, Swedish"),
    ("thank you for", "ticket systems"),
    ("we have received your", "ticket systems"),
    ("your message has been received", "ticket systems"),
];

/// Looks at `subject`, which is folded and holds no `Re:`.
#[must_use]
pub fn find(subject: &str) -> Option<(Answer, &'static str)> {
    let among = |table: &[(&'static str, &'static str)], answer| {
        table
            .iter()
            .find(|(text, _)| subject.starts_with(text))
            .map(|(_, why)| (answer, *why))
    };
    among(SURELY, Answer::Surely).or_else(|| among(PERHAPS, Answer::Perhaps))
}
