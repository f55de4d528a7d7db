//! What `doveconf` says of mailboxes: where new mail is, and what locks an mbox. Dovecot 2.4 has settings of its own for
//! what 2.3 says in `mail_location`, and blocks for each driver (doc.dovecot.org, "Upgrading from 2.3 to 2.4").
//! Namespaces may have their own; that of the inbox counts.

use crate::doctor::rules::settings::Settings;

/// What `doveconf` is asked. It passes over names that it does not know.
pub const ASKED: [&str; 13] = [
    "mbox_read_locks",
    "mbox_write_locks",
    "mbox_lock_timeout",
    "mail_location",
    "mail_driver",
    "mail_path",
    "mail_inbox_path",
    "namespace",
    "mbox",
    "maildir",
    "sdbox",
    "mdbox",
    "sendmail_path",
];

/// Where Dovecot looks for new mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbox {
    /// `mbox`, `maildir`, `sdbox`, ...
    pub driver: String,
    /// With variables, and relative to the home directory; none where it cannot be told.
    pub path: Option<String>,
}

/// Reads what it printed. A setting in a block is named `BLOCK/NAME`, one of the inbox' namespace `inbox/NAME`. A block
/// of `WORD = yes` is a list of words, too.
pub fn parse_settings(said: &str) -> Settings {
    let mut flat = String::new();
    let mut open: Vec<(&str, Vec<&str>)> = vec![("", Vec::new())];
    for line in said.lines().map(str::trim) {
        match line.strip_suffix('{').filter(|name| !name.contains('=')) {
            Some(name) => open.push((name.trim_end(), Vec::new())),
            None if line == "}" && open.len() > 1 => {
                let (name, lines) = open.pop().unwrap_or_default();
                let parent = open.last().map_or("", |(name, _)| name);
                flat.push_str(&close_block(parent, name, &lines));
            }
            None => open
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|(_, lines)| lines.push(line)),
        }
    }
    for (_, lines) in &open {
        lines.iter().for_each(|line| flat.extend([line, "\n"]));
    }
    Settings::parse(&flat)
}

/// The settings of a block, as lines.
fn close_block(parent: &str, name: &str, lines: &[&str]) -> String {
    let is_inbox = name.starts_with("namespace") && lines.contains(&"inbox = yes");
    let name = if is_inbox { "inbox" } else { name };
    let mut text: String = lines.iter().map(|line| format!("{name}/{line}\n")).collect();
    let words: Vec<_> = lines.iter().filter_map(|line| line.strip_suffix(" = yes")).collect();
    text.push_str(&format!("{parent}/{name} = {}\n", words.join(" ")));
    text
}

/// The words of a setting about mbox files, named without `mbox_`.
pub fn mbox_setting<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
    let of_driver = settings.non_empty(&format!("mbox/{name}"));
    of_driver.or_else(|| settings.get(&format!("mbox_{name}")))
}

/// Where new mail is looked for; none where Dovecot finds that out for each user.
pub fn find_inbox(settings: &Settings) -> Option<Inbox> {
    let get = |name: &str| {
        let own = settings.non_empty(&format!("inbox/{name}"));
        own.or_else(|| settings.non_empty(name))
    };
    if let Some(driver) = get("mail_driver").filter(|driver| *driver != "auto") {
        let path = get("mail_path").or_else(|| settings.non_empty(&format!("{driver}/mail_path")));
        return Some(inbox(driver, path, get("mail_inbox_path")));
    }
    let location = settings.non_empty("inbox/location").or_else(|| get("mail_location"))?;
    let (driver, rest) = location.split_once(':')?;
    let mut parts = rest.split(':');
    let path = parts.next().filter(|path| !path.is_empty());
    Some(inbox(driver, path, parts.find_map(|part| part.strip_prefix("INBOX="))))
}

fn inbox(driver: &str, path: Option<&str>, own: Option<&str>) -> Inbox {
    let is_whole = |path: &str| path.starts_with(['/', '~', '%']);
    let path = match (own, path) {
        (Some(own), _) if is_whole(own) => Some(own.to_owned()),
        (Some("."), Some(path)) => Some(path.to_owned()),
        (Some(own), Some(path)) => Some(format!("{path}/{own}")),
        (None, Some(path)) if driver == "mbox" => Some(format!("{path}/inbox")),
        (None, Some(path)) => Some(path.to_owned()),
        (_, None) => None,
    };
    Inbox {
        driver: driver.to_owned(),
        path,
    }
}

/// A path with its variables filled in for a user: `%u` and `%Ln` of 2.3, `%{user | username | lower}` of 2.4; `~` stands
/// for the home directory. None where it has others.
pub fn expand_path(path: &str, user: &str) -> Option<String> {
    let (mut done, mut rest) = (String::new(), path);
    while let Some((before, behind)) = rest.split_once('%') {
        done.push_str(before);
        let (value, behind) = match behind.strip_prefix('{') {
            Some(inner) => {
                let (inner, behind) = inner.split_once('}')?;
                (long_variable(inner, user)?, behind)
            }
            None => {
                let (lower, name) = behind.strip_prefix('L').map_or((false, behind), |name| (true, name));
                let value = short_variable(name.chars().next()?, user)?;
                let value = if lower { value.to_lowercase() } else { value };
                (value, name.get(1..)?)
            }
        };
        done.push_str(&value);
        rest = behind;
    }
    done.push_str(rest);
    Some(done)
}

fn short_variable(name: char, user: &str) -> Option<String> {
    let long = match name {
        'u' => "user",
        'n' => "username",
        'd' => "domain",
        'h' => "home",
        '%' => return Some("%".to_owned()),
        _ => return None,
    };
    long_variable(long, user)
}

fn long_variable(text: &str, user: &str) -> Option<String> {
    let (local, domain) = user.split_once('@').unwrap_or((user, ""));
    let mut words = text.split('|').map(str::trim);
    let mut value = match words.next()? {
        "user" => user.to_owned(),
        "username" => local.to_owned(),
        "domain" => domain.to_owned(),
        "home" => "~".to_owned(),
        _ => return None,
    };
    for filter in words {
        value = match filter {
            "username" => value.split('@').next().unwrap_or_default().to_owned(),
            "domain" => value.split_once('@').map_or("", |(_, domain)| domain).to_owned(),
            "lower" => value.to_lowercase(),
            "upper" => value.to_uppercase(),
            _ => return None,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::{Inbox, expand_path, find_inbox, mbox_setting, parse_settings};

    /// What 2.4.1 of Debian 13 prints when it is asked, and of 2.3.19 of Debian 12 the namespace.
    const OF_2_4: &str = "mbox_read_locks = \nmbox_write_locks = \nmbox_lock_timeout = 5 mins\nmail_driver = mbox\n\
        mail_path = %{home}/mail\nmail_inbox_path = /var/mail/%{user}\nnamespace inbox {\n  inbox = yes\n  \
        mailbox Drafts {\n    special_use = \"\\\\Drafts\"\n  }\n}\nmbox {\n  mail_path = %{home}/mail\n  \
        lock_timeout = 10 s\n  read_locks = fcntl\n  write_locks {\n    dotlock = no\n    fcntl = yes\n    \
        flock = yes\n  }\n  layout_fs {\n    mail_inbox_path = inbox\n  }\n}\nmaildir {\n  \
        mail_path = %{home}/Maildir\n  mailbox_list_layout = maildir++\n  layout_maildir++ {\n    \
        mail_inbox_path = .\n  }\n}\nsdbox {\n  mail_path = %{home}/sdbox\n}\n";
    const NAMESPACE_OF_2_3: &str = "namespace inbox {\n  hidden = no\n  inbox = yes\n  list = yes\n  location = \n  \
        mailbox Drafts {\n    auto = no\n  }\n  prefix = \n}\n";

    #[test]
    fn the_inbox_is_where_either_version_says() {
        let of_2_4 = |from: &str, to: &str| OF_2_4.replace(from, to);
        let bare_maildir = of_2_4("driver = mbox", "driver = maildir")
            .replace("\nmail_path = %{home}/mail\n", "\nmail_path = \n")
            .replace("/var/mail/%{user}", "");
        for (said, driver, path) in [
            (OF_2_4.to_owned(), "mbox", "/var/mail/%{user}"),
            (of_2_4("/var/mail/%{user}", ""), "mbox", "%{home}/mail/inbox"),
            (bare_maildir, "maildir", "%{home}/Maildir"),
            (
                of_2_4("inbox = yes", "inbox = yes\n  mail_driver = maildir\n  mail_path = ~/M")
                    .replace("/var/mail/%{user}", ""),
                "maildir",
                "~/M",
            ),
            (
                format!("mail_location = maildir:~/Maildir:LAYOUT=fs\n{NAMESPACE_OF_2_3}"),
                "maildir",
                "~/Maildir",
            ),
            (
                format!("mail_location = mbox:~/mail:INBOX=/var/mail/%u\n{NAMESPACE_OF_2_3}"),
                "mbox",
                "/var/mail/%u",
            ),
            (
                format!("mail_location = mbox:~/mail\n{NAMESPACE_OF_2_3}")
                    .replace("location = \n", "location = mdbox:~/m\n"),
                "mdbox",
                "~/m",
            ),
        ] {
            let want = Inbox {
                driver: driver.to_owned(),
                path: Some(path.to_owned()),
            };
            assert_eq!(find_inbox(&parse_settings(&said)), Some(want), "{said}");
        }
        for said in ["", "mail_location = \n", "mail_driver = auto\n"] {
            assert_eq!(find_inbox(&parse_settings(said)), None, "{said}");
        }
    }

    #[test]
    fn locks_of_2_4_stand_in_a_block() {
        let settings = parse_settings(OF_2_4);
        for (name, want) in [
            ("write_locks", "fcntl flock"),
            ("read_locks", "fcntl"),
            ("lock_timeout", "10 s"),
        ] {
            assert_eq!(mbox_setting(&settings, name), Some(want));
        }
        let old = parse_settings("mbox_write_locks = fcntl dotlock\n");
        assert_eq!(mbox_setting(&old, "write_locks"), Some("fcntl dotlock"));
    }

    #[test]
    fn variables_of_both_versions_are_filled_in() {
        for (path, want) in [
            ("/v/%d/%n", Some("/v/a.test/Ann")),
            ("/v/%Ld/%Ln/100%%", Some("/v/a.test/ann/100%")),
            ("%h/Maildir", Some("~/Maildir")),
            ("%{home}/Maildir", Some("~/Maildir")),
            ("/v/%{user | domain}/%{user|username|lower}", Some("/v/a.test/ann")),
            ("/v/%{owner_user}", None),
            ("/v/%{user | sha256}", None),
            ("/v/%1.u", None),
            ("/v/%{user", None),
            ("/v/%", None),
        ] {
            assert_eq!(expand_path(path, "Ann@a.test").as_deref(), want, "{path}");
        }
    }
}
