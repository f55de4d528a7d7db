//! Checks what `sender = "srs"` needs: secrets that can be read and that nobody else changes, and aliases that accept
//! bounces to rewritten senders.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::ForwardSender;
use crate::doctor::facts::HostFacts;
use crate::doctor::rules::guard_line::GuardJob;
use crate::doctor::rules::{Check, Finding};
use crate::output::shell::quote_path;

const ALIASES: [&str; 2] = ["srs0", "srs1"];

/// Examines it; nothing where no sender is rewritten.
pub fn examine(host: &HostFacts) -> Vec<Finding> {
    if host.config.forward.sender != ForwardSender::Srs {
        return Vec::new();
    }
    let mut found = vec![secrets(Path::new(&host.config.srs.secrets))];
    let separator = host.config.srs.separator.as_str();
    let delimiter = host
        .postfix
        .as_ref()
        .and_then(|postfix| postfix.get("recipient_delimiter"));
    if let Some(delimiter) = delimiter.filter(|delimiter| !delimiter.contains(separator)) {
        let what = format!(
            "it is {delimiter:?}, and SRS addresses are set off with {separator:?}: reports to them are refused"
        );
        let remedy = format!("postconf recipient_delimiter={separator} && postfix reload");
        found.push(
            Check::MailSystem
                .about("Postfix's recipient_delimiter")
                .error(what, remedy),
        );
    }
    // Aliases that cannot be seen may be there.
    if host.unseen.is_none() {
        let missing = ALIASES.into_iter().filter(|alias| !returns(host, alias));
        found.extend(missing.map(missing_alias));
    }
    found
}

fn returns(host: &HostFacts, alias: &str) -> bool {
    let mut guarded = host.aliases.guarded_aliases();
    guarded.any(|(name, hook)| name == alias && hook.job == GuardJob::Other("return".to_owned()))
}

fn missing_alias(alias: &str) -> Finding {
    Check::MailSystem.about(format!("the alias {alias}")).error(
        "it does not run spoolguard return: reports to rewritten senders go nowhere",
        format!("echo '{alias}: \"|/usr/bin/spoolguard return\"' >> /etc/aliases && newaliases"),
    )
}

fn secrets(path: &Path) -> Finding {
    let topic = Check::Configuration.about(path.display());
    let quoted = quote_path(path);
    let stat = match path.metadata() {
        Ok(stat) => stat,
        Err(e) => {
            let what = format!(
                "it cannot be examined ({e}): the user is the sender of forwards, and reports to SRS addresses wait"
            );
            let make = format!(
                "head -c 18 /dev/urandom | base64 > {quoted} && chown root:mail {quoted} && chmod 640 {quoted}"
            );
            return topic.error(what, make);
        }
    };
    if !stat.is_file() || stat.mode() & 0o022 != 0 {
        let what = "it is not a file that only its owner may write to, and it is not used";
        return topic.error(what, format!("chmod go-w {quoted}"));
    }
    if stat.mode() & 0o004 != 0 {
        let what = "every user can read it, and make addresses that are taken for ours";
        return topic.warning(what, format!("chmod o-r {quoted}"));
    }
    topic.ok("the SRS secrets can be used")
}
