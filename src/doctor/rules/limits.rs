//! What bounds a delivery from outside: how large a file may get, and how long a command may take.

use crate::doctor::rules::guard_line::guard_of;
use crate::doctor::rules::settings::Settings;
use crate::doctor::rules::{Check, Finding};

/// What deliveries need: room for mailboxes as they are and may get, and time.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The largest limit that anybody has; none where somebody has none.
    pub limit_bytes: Option<u64>,
    /// The largest mailbox that is there.
    pub largest_bytes: u64,
    /// When a run of ours gives up by itself, in seconds.
    pub run_seconds: u64,
}

pub fn check_postfix(settings: &Settings, needs: Needs) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(file_size(settings, needs));
    found.extend(message_size(settings, needs));
    found.extend(time(settings, needs));
    found
}

pub fn postconf_command(what: &str) -> String {
    format!("postconf -e '{what}' && postfix reload")
}

fn file_size(settings: &Settings, needs: Needs) -> Option<Finding> {
    let topic = Check::Limits.about("Postfix's mailbox_size_limit");
    let bytes = settings.number("mailbox_size_limit")?;
    let remedy = postconf_command("mailbox_size_limit = 0");
    let wrong = |what: String| Some(topic.error(what, &remedy));
    if bytes == 0 {
        return Some(topic.ok("it is 0: no command is bounded"));
    }
    if needs.largest_bytes >= bytes {
        return wrong(format!(
            "it is {bytes} bytes, and a mailbox has {} already: its mail waits, and is bounced in the end",
            needs.largest_bytes
        ));
    }
    match needs.limit_bytes {
        Some(limit) if limit <= bytes => Some(topic.ok(format!("it is {bytes} bytes, and no quota is larger"))),
        Some(limit) => wrong(format!(
            "it is {bytes} bytes and a quota is {limit}: a mailbox between takes no mail, which is bounced in the end"
        )),
        None => wrong(format!(
            "it is {bytes} bytes and there is no quota: a mailbox beyond takes no mail, which is bounced in the end"
        )),
    }
}

fn message_size(settings: &Settings, needs: Needs) -> Option<Finding> {
    let bytes = settings.number("message_size_limit")?;
    let limit = needs.limit_bytes.filter(|limit| bytes == 0 || *limit < bytes)?;
    let size = match bytes {
        0 => "of any size".to_owned(),
        bytes => format!("of {bytes} bytes"),
    };
    let what = format!("messages {size} are taken, and no quota is above {limit}: a larger one never fits");
    let remedy = postconf_command(&format!("message_size_limit = {limit}"));
    Some(
        Check::Limits
            .about("Postfix's message_size_limit")
            .warning(what, remedy),
    )
}

fn time(settings: &Settings, needs: Needs) -> Option<Finding> {
    let topic = Check::Limits.about("Postfix's command_time_limit");
    let seconds = settings.parse_seconds("command_time_limit")?;
    let own = needs.run_seconds;
    if seconds > own {
        return Some(topic.ok(format!("it is {seconds} s; spoolguard gives up after {own} s")));
    }
    let what = format!("it is {seconds} s, and then mail is bounced; spoolguard gives up by itself only after {own} s");
    Some(topic.error(what, postconf_command("command_time_limit = 1000s")))
}

/// Whether reports come home that are sent to an address with a token.
pub fn check_delimiter(settings: &Settings, ours: &str) -> Option<Finding> {
    let theirs = settings.get("recipient_delimiter")?;
    let first = ours.chars().next()?;
    let what = format!(
        "it is {theirs:?}, and [forward] sender = \"verp\" sets its token off with {first:?}: reports about forwards do not come home"
    );
    let topic = Check::MailSystem.about("Postfix's recipient_delimiter");
    (!theirs.contains(first)).then(|| topic.error(what, postconf_command(&format!("recipient_delimiter = {ours}"))))
}

pub fn check_exim(transports: &[(String, Settings)], needs: Needs) -> Vec<Finding> {
    let pipes = transports.iter().filter(|(name, settings)| {
        // Of the others it is not known whether they ever run spoolguard.
        let command = settings.get("command").unwrap_or_default();
        settings.get("driver") == Some("pipe") && (name == "address_pipe" || guard_of(command).is_some())
    });
    pipes
        .flat_map(|(name, settings)| exim_pipe(name, settings, needs))
        .collect()
}

fn exim_pipe(name: &str, settings: &Settings, needs: Needs) -> Vec<Finding> {
    let topic = Check::Limits.about(format!("Exim's transport {name}"));
    let own = needs.run_seconds;
    let mut found = Vec::new();
    let mut wrong = |what: String, remedy: &str| found.push(topic.error(what, format!("in {name}: {remedy}")));
    if let Some(seconds) = settings.parse_seconds("timeout")
        && (1..=own).contains(&seconds)
    {
        let what = format!(
            "its timeout is {seconds} s, and then mail is bounced; spoolguard gives up by itself only after {own} s"
        );
        wrong(what, "timeout = 1h");
    }
    let statuses = settings.get("temp_errors").unwrap_or("73 : 75");
    if !statuses.split(':').any(|status| matches!(status.trim(), "75" | "*")) {
        let what = format!("temp_errors = {statuses} lacks 75: what spoolguard defers is bounced");
        wrong(what, "temp_errors = 73 : 75");
    }
    if settings.get("freeze_signal") == Some("no") {
        let what = "without freeze_signal, mail is bounced when spoolguard is killed";
        found.push(topic.warning(what, format!("in {name}: freeze_signal")));
    }
    if found.is_empty() {
        found.push(topic.ok("it waits long enough, and 75 defers"));
    }
    found
}

/// Judges how large a file may get that this process writes.
pub fn own_file_size(soft_bytes: Option<u64>, needs: Needs) -> Finding {
    let name = "the file size limit";
    let remedy = "ulimit -f unlimited, and look into /etc/security/limits.conf";
    match soft_bytes {
        None => Check::Limits.about(name).ok("there is none here"),
        Some(bytes) => file_size_limit(name, bytes, needs, remedy),
    }
}

/// Judges how large a file may get that some process writes.
pub fn file_size_limit(name: &str, bytes: u64, needs: Needs, remedy: &str) -> Finding {
    let topic = Check::Limits.about(name);
    if bytes <= needs.largest_bytes || needs.limit_bytes.is_none_or(|limit| limit > bytes) {
        let what = format!("no file may get larger than {bytes} bytes here: a mailbox beyond takes no mail");
        return topic.error(what, remedy);
    }
    topic.ok(format!("it is {bytes} bytes, and no quota is larger"))
}

#[cfg(test)]
mod tests {
    use super::{Needs, check_delimiter, check_exim, check_postfix, own_file_size};
    use crate::doctor::rules::settings::{Settings, parse_blocks};
    use crate::doctor::rules::{Finding, Level};

    const NEEDS: Needs = Needs {
        limit_bytes: Some(100 << 20),
        largest_bytes: 60 << 20,
        run_seconds: 240,
    };

    fn worst(findings: &[Finding]) -> Option<(Level, &str)> {
        let worst = findings.iter().min_by_key(|finding| finding.level)?;
        Some((worst.level, worst.subject.as_str()))
    }

    #[test]
    fn postfixs_settings_lose_or_bounce_nothing() {
        let good = "mailbox_size_limit = 0\nmessage_size_limit = 10240000\ncommand_time_limit = 1000s\n";
        let needs = NEEDS;
        let unbounded = Needs {
            limit_bytes: None,
            ..needs
        };
        for (change, needs, want) in [
            ("", needs, None),
            (
                "mailbox_size_limit = 51200000",
                needs,
                Some((Level::Error, "Postfix's mailbox_size_limit")),
            ),
            (
                "mailbox_size_limit = 104857599",
                needs,
                Some((Level::Error, "Postfix's mailbox_size_limit")),
            ),
            ("mailbox_size_limit = 104857600", needs, None),
            (
                "mailbox_size_limit = 104857600",
                unbounded,
                Some((Level::Error, "Postfix's mailbox_size_limit")),
            ),
            (
                "message_size_limit = 209715200",
                needs,
                Some((Level::Warning, "Postfix's message_size_limit")),
            ),
            ("message_size_limit = 209715200", unbounded, None),
            (
                "command_time_limit = 240s",
                needs,
                Some((Level::Error, "Postfix's command_time_limit")),
            ),
            ("command_time_limit = 5m", needs, None),
        ] {
            let found = check_postfix(&Settings::parse(&format!("{good}{change}\n")), needs);
            assert_eq!(worst(&found).filter(|(level, _)| *level != Level::Ok), want, "{change}");
        }
    }

    #[test]
    fn tokens_need_their_setting() {
        let settings = |text: &str| Settings::parse(text);
        let token = |text: &str| check_delimiter(&settings(text), "+").map(|finding| finding.level);
        assert_eq!(token("recipient_delimiter ="), Some(Level::Error));
        assert_eq!(token("recipient_delimiter = -+"), None);
        assert_eq!(token(""), None);
    }

    #[test]
    fn exims_pipes_wait_and_defer() {
        let text = "\naddress_pipe transport:\ndriver = pipe\ntimeout = 1h\ntemp_errors = 73:75\nfreeze_signal\n";
        for (from, to, want) in [
            ("", "", Level::Ok),
            ("1h", "2m", Level::Error),
            ("73:75", "73", Level::Error),
            ("73:75", "*", Level::Ok),
            ("freeze_signal", "no_freeze_signal", Level::Warning),
        ] {
            let found = check_exim(&parse_blocks(&text.replacen(from, to, 1), " transport:"), NEEDS);
            assert_eq!(worst(&found).map(|(level, _)| level), Some(want), "{from} {to}");
        }
        assert_eq!(
            check_exim(
                &parse_blocks("\nother transport:\ndriver = pipe\ntimeout = 1s\n", " transport:"),
                NEEDS
            ),
            []
        );
    }

    #[test]
    fn a_file_size_limit_is_no_smaller_than_mailboxes_may_get() {
        let of = |bytes, limit_bytes, largest_bytes| {
            let needs = Needs {
                limit_bytes,
                largest_bytes,
                run_seconds: 240,
            };
            own_file_size(bytes, needs).level
        };
        assert_eq!(of(None, None, 9), Level::Ok);
        assert_eq!(of(Some(10), Some(10), 9), Level::Ok);
        assert_eq!(of(Some(10), Some(11), 9), Level::Error);
        assert_eq!(of(Some(10), None, 9), Level::Error);
        assert_eq!(of(Some(10), Some(10), 10), Level::Error);
    }
}
