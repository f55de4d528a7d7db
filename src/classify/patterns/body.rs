//! What mail systems say in the body of a report, in their own words above the quoted message. A rule matches anywhere
//! there.

use crate::classify::patterns::{Rule, texts_of};
use crate::message::phrase_set::PhraseSet;
use crate::report::dsn::ReportKind;

/// The rules.
pub const RULES: &[Rule] = rules! {
    report "this is the mail system at host" => "Postfix, bounce(5); Yandex, AOL",
    report "this is the postfix program at host" => "Postfix before 2.3",
    failed "your message could not be delivered to one or more recipients" => "Postfix, bounce(5)",
    late "your message could not be delivered for more than" => "Postfix, bounce(5)",
    late "this is a warning only. you do not need to resend your message" => "Postfix, bounce(5)",
    reached "your message was successfully delivered to the destination" => "Postfix, bounce(5)",
    report "enclosed is the mail delivery report that you requested" => "Postfix, bounce(5)",
    // sendmail: savemail.c.
    failed "the following addresses had permanent fatal errors" => "sendmail, savemail.c",
    failed "the following addresses had permanent delivery errors" => "sendmail 8.6",
    late "the following addresses had transient non-fatal errors" => "sendmail, savemail.c",
    late "the following addresses had transient delivery" => "sendmail 8.6",
    reached "the following addresses had successful delivery notifications" => "sendmail, savemail.c",
    failed "the following addresses had delivery problems" => "Biglobe, McAfee, sendmail 8.6",
    report "transcript of session follows" => "sendmail, savemail.c; Bigfoot, smtpsvc",
    report "the original message was received at" => "sendmail, savemail.c",
    late "this is a warning message only" => "sendmail, savemail.c",
    // Exim: deliver.c, moan.c.
    report "this message was created automatically by mail delivery software" => "Exim, deliver.c; GMX, 1&1, mail.ru, MXLogic",
    failed "a message that you sent could not be delivered to" => "Exim, deliver.c",
    late "a message that you sent has not yet been delivered" => "Exim, deliver.c",
    late "a message that you have sent could not yet be delivered" => "Exim, warn_message_file",
    failed "a message that you sent was rejected" => "Exim, moan.c; mail.ru",
    failed "a message that you sent contained no recipient addresses" => "Exim, moan.c",
    failed "the following address(es) failed" => "Exim, deliver.c",
    late "the following address(es) have yet to be delivered" => "Exim, freeze_tell",
    // qmail: qmail-send.c and what was made of it.
    report "this is the qmail-send program at" => "qmail, qmail-send.8",
    failed "i'm afraid i wasn't able to deliver your message to the following addresses" => "qmail, qmail-send.c",
    failed "this is a permanent error; i've given up" => "qmail, qmail-send.c",
    failed "unable to deliver your message to the following address" => "qmail relatives",
    report "this is the machine generated message from mail service" => "newmail.ru",
    report "this is the deliver program at" => "EYOU",
    report "this is the email server at" => "qmail relatives",
    report "this is the mailer-daemon" => "OpenSMTPD, bounce.c",
    report "an error has occurred while attempting to deliver a message" => "OpenSMTPD, bounce.c",
    report "this is the dragonfly mail agent" => "DragonFly BSD, dma",
    report "this is the james mail server" => "Apache James",
    report "hello, this is the mail server on" => "PowerMTA",
    report "this is the mail delivery agent at" => "Axigen, nullmailer",
    // Exchange and its kin.
    failed "did not reach some or all of the intended recipients" => "Exchange 5.5 to 2003",
    failed "did not reach the following recipient" => "Exchange 5.5 to 2003",
    failed "delivery has failed to these recipients" => "Exchange 2007 and later",
    failed "the following recipient(s) could not be reached" => "Exchange 5.5 to 2003",
    failed "the following recipients could not be reached" => "Exchange 5.5 to 2003",
    report "this is an automatically generated delivery status notification" => "Exchange SMTP service, Gmail, Outlook.com",
    failed "delivery to the following recipients failed" => "Exchange SMTP service",
    failed "to the following recipients was aborted" => "Exchange SMTP service; Amen, which writes Delevery",
    report "diagnostic information for administrators" => "Exchange 2007 and later",
    report "more info for email admins" => "Office 365",
    failed "the email below could not be delivered to the following user" => "smtpsvc",
    late "delivery is delayed to these recipients" => "Exchange 2007 and later",
    late "delivery to the following recipients has been delayed" => "Exchange SMTP service",
    reached "your message has been successfully relayed to the following recipients" => "Exchange SMTP service",
    reached "your message was delivered to the following recipients" => "Exchange",
    reached "your message has been delivered to the following recipients" => "Exchange",
    reached "delivery to these recipients or groups is complete" => "Exchange 2007 and later",
    reached "delivery to these recipients or distribution lists is complete" => "Exchange 2007 and later",
    // Gmail and Google Groups.
    failed "delivery to the following recipient failed" => "Gmail",
    late "delivery to the following recipient has been delayed" => "Gmail",
    failed "your message wasn't delivered to" => "Gmail",
    failed "there was a problem delivering your message" => "Gmail",
    failed "the group you tried to contact" => "Google Groups",
    // Yahoo and its relatives.
    failed "unable to deliver message to the following address" => "Yahoo",
    failed "we were unable to deliver your message to the following address" => "Yahoo",
    failed "wasn't able to deliver the following message" => "Yahoo",
    failed "unable to deliver your message to" => "Earthlink",
    // Courier.
    report "this is a delivery status notification from" => "Courier, courierdsn",
    failed "your message to the following recipients cannot be delivered" => "Courier, courierdsn; Sun Messaging Server",
    late "delays in delivering your message" => "Courier, courierdsn",
    // Domino, Notes, GroupWise.
    failed "was not delivered to:" => "Domino",
    failed "------- failure reasons" => "Notes",
    failed "the attached file had the following undeliverable recipient" => "GroupWise",
    failed "the message that you sent was undeliverable to the following" => "GroupWise",
    // Sun Messaging Server, Netscape, PMDF, Post.Office.
    report "this report relates to a message you sent with the following header fields" => "Sun Messaging Server, PMDF",
    failed "your message cannot be delivered to the following recipients" => "Sun Messaging Server, PMDF",
    failed "this message was undeliverable due to the following reason" => "Netscape, Post.Office, ODN",
    failed "the following recipients did not receive your message" => "Netscape",
    failed "the following recipients did not receive this message" => "Netscape, Caiwireless",
    failed "the message returned below could not be delivered" => "mail gateways",
    failed "your message has encountered delivery problems" => "Netscape",
    // Other servers.
    failed "did not receive a copy of your message" => "MDaemon",
    failed "there is no user by that name at this server" => "MDaemon",
    failed "error message below:" => "Apache James",
    failed "undeliverable to" => "IMail",
    failed "user mailbox exceeds allowed size" => "IMail",
    failed "delivery failed 20 attempts" => "IMail, which tries so often unless told otherwise",
    failed "your mail cannot be delivered to the following address" => "Jetmail",
    failed "cannot be delivered due to the following error" => "FTGate",
    failed "xmail bounce: rcpt=" => "XMail, SMAILUtils.cpp",
    failed "has encountered a delivery problem" => "XWall",
    failed "a message you sent could not be delivered to" => "Citadel, serv_smtpclient.c",
    late "a message you sent has not been delivered to" => "Citadel, serv_smtpclient.c",
    failed "failed addresses follow" => "Smail, T-Online",
    failed "unsent reason follows" => "Nifty",
    report "--> error description:" => "LSMTP",
    failed "here is your list of failed recipients" => "WebShield",
    failed "------ failed recipients ------" => "WebShield E500",
    failed "message could not be delivered to some recipients" => "MailEnable",
    failed "could not deliver message to the following recipient" => "mail gateways",
    failed "message not delivered to the following" => "mail gateways",
    failed "undeliverable address:" => "HotPOP",
    failed "user's mailbox is full:" => "Prodigy",
    failed "unable to find user:" => "Prodigy",
    failed "the following mail has been returned because it encountered an error" => "NetAddress, usa.net",
    failed "a message could not be delivered to" => "mail gateways",
    failed "invalid final delivery userid" => "older gateways",
    failed "your message could not be delivered" => "many systems, CompuServe",
    failed "your mail could not be delivered" => "many systems",
    failed "your email could not be delivered" => "many systems",
    failed "your message was not delivered" => "many systems",
    failed "we had trouble delivering your message" => "web mailers",
    failed "your message could not be sent" => "SurfControl",
    report "please do not resend your original message" => "Symantec Mail Security",
    late "delivery attempts will continue to be made for" => "Symantec Mail Security",
    failed "there were problems delivering your message to" => "mail gateways",
    late "has not yet been delivered because" => "FrontBridge",
    report "delivery of email to this address" => "mail hosts",
    failed "automatic bounce notification" => "mail hosts, German and English",
    late "this is an advisory-only email" => "mail hosts",
    report "this is a delivery failure notification message" => "web hosts",
    // Filters.
    report "message from interscan" => "InterScan VirusWall",
    failed "unable to deliver message to" => "InterScan, MailFoundry",
    failed "was blocked by our spam firewall" => "Barracuda",
    failed "could not be delivered because of" => "MailMarshal",
    report "included is a copy of the message header" => "MXLogic",
    failed "was not relayed to" => "amavisd-new",
    failed "delivery failed for the following reason" => "MailFoundry",
    report "-------server message" => "m-FILTER",
    // Carriers and great mail houses.
    failed "could not be delivered to: <" => "au by KDDI",
    failed "each of the following recipients was rejected" => "au by KDDI, EZweb",
    failed "message could not be delivered to mobile" => "Verizon",
    failed "your mail to the following recipients could not be delivered" => "AOL",
    failed "we're writing to let you know that the group" => "Google Groups",
    failed "an error occurred while trying to deliver the mail to the following recipients" => "Amazon SES",
    failed "an error occurred during the delivery" => "mail gateways",
    // fml.
    failed "you are not a member of this mailing list" => "fml",
    failed "original mail as follows" => "fml",
    // Rejections written as disposition notifications.
    failed "was automatically rejected" => "Dovecot Sieve, Cyrus Sieve",
    // Other tongues.
    failed "konnte nicht zugestellt werden" => "German systems",
    failed "fehler bei der nachrichtenübermittlung" => "Exchange, German",
    failed "diagnoseinformationen für administratoren" => "Exchange, German",
    failed "échec de la remise" => "Exchange, French",
    failed "n'a pas pu être" => "French systems",
    failed "informations de diagnostic pour les administrateurs" => "Exchange, French",
    failed "impossibile recapitare" => "Exchange, Italian",
    failed "non è stato possibile" => "Italian systems",
    failed "informazioni di diagnostica per gli amministratori" => "Exchange, Italian",
    failed "error de entrega a estos destinatarios" => "Exchange, Spanish",
    failed "no se pudo entregar" => "Spanish systems",
    failed "no ha podido ser entregado" => "Spanish systems",
    failed "falha na entrega" => "Exchange, Portuguese",
    failed "não pôde ser entregue" => "Portuguese systems",
    failed "não foi possível entregar" => "Portuguese systems",
    failed "kan niet worden bezorgd" => "Exchange, Dutch",
    failed "bezorging aan deze geadresseerden" => "Exchange, Dutch",
    failed "det gick inte att leverera" => "Exchange, Swedish",
    failed "kunne ikke leveres" => "Danish and Norwegian systems",
    failed "nie może być dostarczon" => "Polish systems",
    failed "nie powiodło się dostarczenie" => "Exchange, Polish",
    failed "nebylo možné doručit" => "Czech systems",
    failed "не может быть доставлен" => "Russian systems",
    failed "не удалось доставить" => "Exchange, mail.ru, Russian",
    failed "было невозможно доставить" => "Russian systems",
    failed "配信できません" => "Japanese systems",
    failed "届けることができません" => "Japanese systems",
    failed "送信できません" => "Japanese systems",
    failed "无法投递" => "Exchange, Chinese",
    failed "被退回" => "Coremail, Tencent, Chinese",
    failed "无法送达" => "Chinese systems",
    failed "無法傳送" => "Exchange, Chinese",
    failed "전달하지 못했습니다" => "Korean systems",
};

/// Words of trouble in any system's report. One alone says nothing; several together say something.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "user unknown", "unknown user", "unknown address", "unknown recipient", "invalid recipient", "no such user",
    "no such recipient", "does not exist", "not a valid", "valid user", "mailbox full", "mailbox is full",
    "full mailbox", "has failed", "quota", "mailbox unavailable", "host unknown", "unknown host",
    "host not found", "connection refused", "timed out", "could not be delivered", "couldn't be delivered",
    "cannot be delivered", "can not be delivered", "was not delivered", "not been delivered", "not delivered",
    "undeliver", "unable to deliver", "not be delivered", "failed to deliver", "delivery fail",
    "delivery error", "delivery attempt", "failed recipient", "failed address", "permanent error",
    "permanent fail", "permanently fail", "fatal error", "giving up", "rejected", "refused", "blocked",
    "not accept", "returned", "recipient", "rcpt to", "your message", "requested action not taken",
    "original message", "mail server", "smtp", "relay", "550", "552", "553", "554", "5.1.1", "5.0.0", "5.2.2",
    "5.7.1",
];

/// What messages say that want something done: confirmed, released, approved. Reports want nothing.
#[rustfmt::skip]
const WISHES: &[&str] = &[
    "click here", "click below", "click on the link", "to release", "awaits", "moderator", "confirm that",
    "confirm your", "to confirm", "challenge",
];

/// Where a rule matches at the latest when nothing but its own system's words stand above it.
const FIRST_BYTES: usize = 400;

/// Where it matches at the latest when nothing at all stands above it.
const START_BYTES: usize = 40;

/// What the system's own words say.
#[derive(Clone, Debug, Default)]
pub struct BodyFindings {
    /// A rule matched near the beginning: nobody wrote much above it.
    pub first: bool,
    /// A rule matched right at the beginning: nobody wrote anything above it.
    pub starts: bool,
    /// It wants something done.
    pub wishes: bool,
    /// The rules that matched, in the order of the table.
    pub rules: Vec<&'static Rule>,
    /// How many of the general words of trouble there are.
    pub words: usize,
}

static RULE_SET: PhraseSet<{ RULES.len() }> = PhraseSet::new(&texts_of::<{ RULES.len() }>(RULES));
static WORD_SET: PhraseSet<{ WORDS.len() }> = PhraseSet::new(WORDS);
static WISH_SET: PhraseSet<{ WISHES.len() }> = PhraseSet::new(WISHES);

/// Looks through `text`, which is folded (lower case, single blanks) and holds no quoted message.
pub fn find_phrases(text: &str) -> BodyFindings {
    let found = RULE_SET.find(text);
    let rules = || RULES.iter().zip(found).filter_map(|(rule, at)| at.map(|at| (at, rule)));
    BodyFindings {
        starts: rules().any(|(at, _)| at < START_BYTES),
        first: rules().any(|(at, _)| at < FIRST_BYTES),
        wishes: WISH_SET.is_in(text),
        rules: rules().map(|(_, rule)| rule).collect(),
        words: WORD_SET.find(text).into_iter().flatten().count(),
    }
}

impl BodyFindings {
    /// Whether a rule matched that is for this system, whatever its version.
    pub fn are_of(&self, system: &str) -> bool {
        self.rules.iter().any(|rule| rule.system.starts_with(system))
    }

    /// Whether a rule matched that only mail systems' words match.
    pub fn is_strong(&self) -> bool {
        !self.rules.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{RULES, find_phrases};
    use crate::message::text::normalize_words;

    #[test]
    fn rules_are_written_as_they_are_looked_for() {
        for rule in RULES {
            assert_eq!(rule.text, normalize_words(rule.text), "{}", rule.text);
        }
        assert!(find_phrases("hi. this is the qmail-send program at mx.a.test.").is_strong());
        assert_eq!(find_phrases("550 user unknown").words, 2);
    }
}
