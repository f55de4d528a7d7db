//! Subjects of reports. A rule matches at the start of the subject, behind `[tags]` that lists and filters put there.

use crate::classify::patterns::{Rule, texts_of};
use crate::message::phrase_set::PhraseSet;
use crate::report::dsn::ReportKind;

/// The rules, more telling ones before the shorter ones that begin like them.
pub const RULES: &[Rule] = rules! {
    // Postfix: src/bounce, default templates in bounce(5).
    failed "undelivered mail returned to sender" => "Postfix, bounce(5)",
    late "delayed mail (still being retried)" => "Postfix, bounce(5)",
    reached "successful mail delivery report" => "Postfix, bounce(5)",
    report "mail delivery status report" => "Postfix, bounce(5)",
    failed "postmaster copy: undelivered mail" => "Postfix, bounce(5)",
    // sendmail: savemail.c, and the queue's warnings.
    failed "returned mail" => "sendmail, savemail.c",
    late "warning: could not send message for past" => "sendmail, queue.c",
    late "warning: cannot send message for" => "sendmail, queue.c",
    report "postmaster notify:" => "sendmail, PostMasterCopy",
    reached "return receipt" => "sendmail 8.6 and older",
    // Above Exim's, which begins like it.
    late "warning: message has not yet been delivered" => "FrontBridge",
    // Exim: deliver.c, moan.c.
    late "warning: message " => "Exim, deliver.c",
    failed "mail delivery failed" => "Exim, deliver.c; also GMX, mail.ru, MXLogic",
    failed "mail failure" => "Exim, moan.c",
    report "message frozen" => "Exim, freeze_tell",
    failed "error(s) in forwarding or filtering" => "Exim, deliver.c",
    // qmail: qmail-send.c, and everything that imitates it.
    failed "failure notice" => "qmail, qmail-send.8; also Yahoo, m-FILTER, Active!hunter",
    failed "permanent delivery failure" => "qmail relatives",
    failed "mail not delivered" => "qmail relatives",
    // Exchange, Outlook, Office 365.
    failed "undeliverable" => "Exchange; also InterScan, IMail, MailMarshal, Notes, GroupWise",
    failed "undelivered" => "SendGrid, Zoho, AOL",
    failed "nondeliverable mail" => "PMDF, smtpsvc",
    failed "non-deliverable" => "smtpsvc",
    failed "non-delivery" => "X.400 gateways",
    failed "non delivery report" => "XWall",
    failed "ndn:" => "FirstClass, cc:Mail",
    failed "cc:mail link to smtp undeliverable" => "cc:Mail",
    failed "cc:mail smtplink undeliverable" => "cc:Mail",
    failed "message not deliverable" => "cc:Mail",
    failed "unsent message returned" => "cc:Mail",
    late "delivery delayed" => "Exchange 2007 and later",
    late "delayed:" => "Exchange 2003",
    reached "delivered:" => "Exchange",
    reached "relayed:" => "Exchange",
    reached "expanded:" => "Exchange",
    failed "rejected:" => "Exchange, Dovecot Sieve",
    // Everyone who writes RFC 3464 by hand.
    report "delivery status notification" => "Gmail, Outlook.com, SES, McAfee, OpenSMTPD",
    report "mail delivery status notification" => "Zoho",
    report "delivery status" => "McAfee",
    report "delivery report" => "PowerMTA, Sun Messaging Server",
    report "delivery notification" => "Sun Messaging Server, PMDF",
    report "notice: mail delivery status" => "Courier",
    late "warning: delayed mail" => "Courier",
    late "mail delivery warning" => "mail gateways",
    failed "delivery failure" => "Domino, James, Yahoo",
    failed "delivery_failure" => "Domino",
    failed "delivery failed" => "Zimbra, Kerio",
    failed "delivery error" => "InterScan, MailEnable",
    failed "delivery problem" => "Kerio, ArGoSoft",
    failed "delivery has failed" => "Sun Messaging Server",
    failed "fail to deliver" => "Yahoo and its relatives",
    failed "failed to deliver" => "Yahoo and its relatives",
    failed "failed delivery" => "Yahoo and its relatives",
    failed "failure delivery" => "Yahoo and its relatives",
    failed "failed mail" => "MDaemon",
    failed "mail delivery failure" => "MessageLabs, Merak",
    failed "mail delivery error" => "Mercury, mail gateways",
    failed "mail delivery problem" => "CommuniGate Pro",
    report "mail delivery report" => "Mirapoint",
    failed "mail could not be delivered" => "InterScan",
    failed "mail undeliverable" => "Netscape Messaging Server",
    failed "mail returned" => "Post.Office, firewalls",
    failed "mail system error - returned mail" => "au by KDDI",
    failed "メールエラー通知" => "au by KDDI",
    failed "email delivery failure" => "Mimecast",
    failed "email delivery error" => "hosting panels",
    failed "message delivery failure" => "MailFoundry",
    failed "message delivery has failed" => "MailFoundry",
    failed "message delivery failed" => "MailFoundry",
    failed "message undeliverable" => "GroupWise",
    failed "message status - undeliverable" => "GroupWise, GWIA",
    failed "message not delivered" => "MailEnable",
    failed "message you sent blocked by our bulk email filter" => "Barracuda",
    late "message delayed" => "PMDF",
    failed "your message could not be delivered" => "web mailers",
    failed "your mail could not be delivered" => "web mailers",
    failed "your email could not be delivered" => "web mailers",
    failed "sorry, your message could not be delivered" => "Facebook",
    failed "there was an error sending your mail" => "web mailers",
    failed "unable to deliver" => "AOL, Earthlink",
    failed "could not deliver" => "IMail, VPOP3",
    failed "cannot deliver" => "older gateways",
    failed "can't deliver" => "older gateways",
    failed "user unknown" => "older gateways",
    failed "unknown user" => "older gateways",
    failed "automatically rejected mail" => "Dovecot, Cyrus",
    // fml: its messages to people who are no members, and its loop alerts.
    failed "not member article from" => "fml",
    failed "reject mail" => "fml",
    failed "rejected mail from" => "fml",
    failed "spam mail from a spammer is rejected" => "fml",
    failed "loop alert:" => "fml",
    failed "fml system error message" => "fml",
    // Other tongues, mostly Exchange, Domino, hosting systems and carriers.
    failed "unzustellbar" => "Exchange, German",
    failed "nicht zustellbar" => "Tobit, Exchange, German",
    failed "nachricht konnte nicht zugestellt" => "GMX, German",
    failed "zustellung fehlgeschlagen" => "Kerio, German",
    failed "zustellfehler" => "German systems",
    failed "non remis" => "Exchange, French",
    failed "non_remis" => "Exchange, French",
    failed "message non remis" => "La Poste, French",
    failed "non distribuable" => "Exchange, French",
    failed "échec de la remise" => "Exchange, French",
    failed "échec de remise" => "Exchange, French",
    failed "non recapitabile" => "Exchange, Italian",
    failed "mancato recapito" => "Exchange, Italian",
    failed "impossibile recapitare" => "Italian systems",
    failed "onbestelbaar" => "Exchange, Dutch",
    failed "niet bezorgd" => "Dutch systems",
    failed "no se puede entregar" => "Exchange, Spanish",
    failed "no se pudo entregar" => "Spanish systems",
    failed "no entregado" => "Exchange, Spanish",
    failed "correo no entregado" => "Spanish systems",
    failed "error de entrega" => "Spanish systems",
    failed "não é possível entregar" => "Exchange, Portuguese",
    failed "não entregue" => "Exchange, Portuguese",
    failed "não foi possível entregar" => "Portuguese systems",
    failed "falha na entrega" => "UOL, Portuguese",
    failed "mensagem não entregue" => "UOL, Portuguese",
    failed "mensagem devolvida" => "Portuguese systems",
    failed "olevererbart" => "Exchange, Swedish",
    failed "det går inte att leverera" => "Exchange, Swedish",
    failed "kan ikke leveres" => "Exchange, Danish and Norwegian",
    failed "ikke leveret" => "Danish systems",
    failed "ikke levert" => "Norwegian systems",
    failed "toimittaminen ei onnistu" => "Exchange, Finnish",
    failed "ei voi toimittaa" => "Exchange, Finnish",
    failed "niedostarczalne" => "Exchange, Polish",
    failed "nie można dostarczyć" => "Exchange, Polish",
    failed "niedostarczon" => "Polish systems",
    failed "nedoručiteln" => "Exchange, Czech",
    failed "kézbesíthetetlen" => "Exchange, Hungarian",
    failed "teslim edilemedi" => "Exchange, Turkish",
    failed "teslim edilemiyor" => "Exchange, Turkish",
    failed "imposibil de livrat" => "Exchange, Romanian",
    failed "не доставлен" => "Exchange, Russian",
    failed "недоставлен" => "mail.ru, Russian",
    failed "не удается доставить" => "Exchange, Russian",
    failed "невозможно доставить" => "Russian systems",
    failed "ошибка доставки" => "Russian systems",
    failed "αδύνατη η παράδοση" => "Exchange, Greek",
    failed "配信不能" => "Exchange, Japanese",
    failed "配信できません" => "Japanese systems",
    failed "配信失敗" => "Japanese systems",
    failed "メッセージを配信できません" => "InterScan, Japanese",
    failed "メール配信に失敗" => "InterScan, Japanese",
    failed "未配信" => "Japanese systems",
    failed "送信エラー" => "Japanese systems",
    failed "无法投递" => "Exchange, Chinese",
    failed "未送达" => "Exchange, Chinese",
    failed "退信" => "Coremail, Tencent, Chinese",
    failed "系统退信" => "Coremail, Tencent, Chinese",
    failed "来自qq.com的退信" => "Tencent, Chinese",
    failed "無法傳遞" => "Exchange, Chinese",
    failed "전송 실패" => "Korean systems",
    failed "배달되지 않음" => "Exchange, Korean",
    failed "배달할 수 없음" => "Exchange, Korean",
};

/// Words of which one from each half makes a subject look like a report in any wording. Weak: newsletters do that too.
#[rustfmt::skip]
const DELIVERY: &[&str] = &[
    "deliver", "undeliver", "returned", "sending", "mail", "message", "envoi", "entrega", "zustell",
];
#[rustfmt::skip]
const TROUBLE: &[&str] = &[
    "fail", "unable", "could not", "couldn't", "cannot", "can't", "error", "delayed", "problem", "undeliver",
    "not delivered", "rejected", "unknown", "bounce", "refused", "blocked", "reject", "returned",
];

static RULE_SET: PhraseSet<{ RULES.len() }> = PhraseSet::new(&texts_of::<{ RULES.len() }>(RULES));
static DELIVERY_SET: PhraseSet<{ DELIVERY.len() }> = PhraseSet::new(DELIVERY);
static TROUBLE_SET: PhraseSet<{ TROUBLE.len() }> = PhraseSet::new(TROUBLE);

/// What a subject says.
#[derive(Clone, Copy, Debug)]
pub struct SubjectFindings {
    /// The rule that matched; none where only the general words did.
    pub rule: Option<&'static Rule>,
    /// The subject answers or passes on another message: `Re:`, `Fwd:`.
    pub answered: bool,
}

/// Looks at `subject`, which is folded (lower case, single blanks).
pub fn find_subject_phrase(subject: &str) -> Option<SubjectFindings> {
    let (bare, answered) = strip_prefixes(subject);
    let rule = rule_of(bare);
    if rule.is_some() {
        return Some(SubjectFindings { rule, answered });
    }
    let general = DELIVERY_SET.is_in(bare) && TROUBLE_SET.is_in(bare);
    general.then_some(SubjectFindings { rule: None, answered })
}

/// Tells whether a rule matches a subject that is no answer; the general words, which many subjects have, do not count.
pub fn is_rule(subject: &str) -> bool {
    let (bare, answered) = strip_prefixes(subject);
    !answered && rule_of(bare).is_some()
}

fn rule_of(bare: &str) -> Option<&'static Rule> {
    let rule = RULES.get(RULE_SET.begin_of(bare)?)?;
    // Exim's warning is a delay only when it says so; anyone may warn of a message.
    (rule.text != "warning: message " || bare.contains("delayed")).then_some(rule)
}

/// `(Failure)`, `(Delay)`, `(Success)` in a subject that several systems share.
pub fn find_kind(subject: &str) -> Option<ReportKind> {
    const WORDS: [(&str, ReportKind); 9] = [
        ("delay", ReportKind::Delay),
        ("still being retried", ReportKind::Delay),
        ("fail", ReportKind::Failure),
        ("undeliver", ReportKind::Failure),
        ("(success", ReportKind::Success),
        ("relay)", ReportKind::Success),
        ("relayed", ReportKind::Success),
        ("delivered", ReportKind::Success),
        ("expanded", ReportKind::Success),
    ];
    WORDS
        .iter()
        .find(|(word, _)| subject.contains(word))
        .map(|(_, kind)| *kind)
}

/// Takes away `[list]`, `***SPAM***`, `Re:` and `Fwd:` at the start, and tells whether it was an answer or passed on.
pub fn strip_prefixes(subject: &str) -> (&str, bool) {
    const ANSWERS: [&str; 14] = [
        "re:", "fwd:", "fw:", "aw:", "wg:", "sv:", "vs:", "antw:", "tr:", "rv:", "enc:", "res:", "rif:", "re[2]:",
    ];
    /// The length of the longest of them.
    const LONGEST: usize = 6;
    let mut rest = subject.trim();
    let mut answered = false;
    loop {
        if let Some(tail) = rest
            .strip_prefix('[')
            .and_then(|tail| tail.split_once(']'))
            .map(|(_, tail)| tail)
        {
            // `[Fwd: subject]`, as Mozilla passes mail on.
            answered |= rest.starts_with("[fwd:");
            rest = tail.trim_start();
        } else if rest.bytes().take(LONGEST).any(|b| b == b':')
            && let Some(tail) = ANSWERS.iter().find_map(|prefix| rest.strip_prefix(prefix))
        {
            answered = true;
            rest = tail.trim_start();
        } else if let Some(tail) = rest.strip_prefix("***spam***").or_else(|| rest.strip_prefix("{spam?}")) {
            rest = tail.trim_start();
        } else {
            return (rest.trim_start_matches(['*', '"', '<', '!', ' ']), answered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RULES, find_subject_phrase};

    #[test]
    fn a_subject_is_known_behind_tags_and_seen_to_be_answered() {
        let cases = [
            ("undelivered mail returned to sender", Some((true, false))),
            ("[list] mail delivery failed: returning message", Some((true, false))),
            ("re: undelivered mail returned to sender", Some((true, true))),
            ("[fwd: undeliverable: x] undeliverable", Some((true, true))),
            (
                "**message you sent blocked by our bulk email filter**",
                Some((true, false)),
            ),
            ("warning: message 1abc-def-gh delayed 24 hours", Some((true, false))),
            ("warning: message from the king", None),
            ("your mail has a problem", Some((false, false))),
            ("lunch on friday", None),
        ];
        for (subject, want) in cases {
            assert_eq!(
                find_subject_phrase(subject).map(|found| (found.rule.is_some(), found.answered)),
                want,
                "{subject}"
            );
        }
    }

    #[test]
    fn no_rule_hides_behind_a_shorter_one_before_it() {
        for (at, rule) in RULES.iter().enumerate() {
            let hidden = RULES.iter().take(at).find(|before| rule.text.starts_with(before.text));
            assert!(
                hidden.is_none_or(|before| before.kind == rule.kind),
                "{} is never reached",
                rule.text
            );
            assert_eq!(rule.text, rule.text.to_lowercase());
        }
    }
}
