//! Mail addresses, compared the way mail systems do. An address that cannot be read is `None`, never an error.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::message::idn;

/// The longest local part (RFC 5321 section 4.5.3.1.1), in bytes.
pub const LOCAL_BYTES: usize = 64;

/// An address as the envelope knows it: `local@domain`, or a bare local part (RFC 5321 section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    local: String,
    domain: Option<String>,
}

impl Address {
    /// Takes the address out of `text`: display names, comments and angle brackets are left behind (RFC 5322 section
    /// 3.4). `None` when nothing is left, as for `<>`.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = without_comments(text);
        let spec = match (bare.rfind('<'), bare.rfind('>')) {
            (Some(open), Some(close)) if open < close => bare.get(open + 1..close)?,
            (Some(open), None) => bare.get(open + 1..)?,
            _ => bare.split(',').next()?,
        };
        let spec = without_route(spec.trim_start());
        let spec = without_blanks(spec);
        let (local, domain) = match spec.rsplit_once('@') {
            Some((local, domain)) => (local, Some(domain.trim_end_matches('.'))),
            None => (spec.as_str(), None),
        };
        let local = match local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) if !quoted.is_empty() => unescaped(quoted),
            _ => local.to_owned(),
        };
        if local.is_empty() {
            return None;
        }
        Some(Self {
            local,
            domain: domain.filter(|d| !d.is_empty()).map(idn::to_ascii),
        })
    }

    /// Builds an address from its two halves, as mail systems hand them over.
    pub fn from_parts(local: &str, domain: &str) -> Option<Self> {
        // Exim takes the quotes away (Exim specification, `$local_part`).
        if local.contains(char::is_whitespace) && !local.starts_with('"') {
            return Self::parse(&format!("{}@{domain}", quoted(local)));
        }
        Self::parse(&format!("{local}@{domain}"))
    }

    /// The part before the last `@`, without quotes.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part behind the last `@`, in lower case, in ASCII (A-labels).
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// The local part up to the first of the `delimiter` characters: `a` of `a+lists@a.test`.
    pub fn without_extension(&self, delimiter: &str) -> &str {
        match self.local.find(|c| delimiter.contains(c)) {
            Some(cut) if cut > 0 => self.local.get(..cut).unwrap_or(&self.local),
            _ => &self.local,
        }
    }

    /// Tells whether both reach one mailbox: domains without case, extensions ignored. Local parts are compared without
    /// case too. RFC 5321 section 2.4 lets hosts tell them apart, but no Unix mail system does, and a loop missed costs
    /// more.
    pub fn same_mailbox(&self, other: &Self, delimiter: &str) -> bool {
        self.mailbox(delimiter) == other.mailbox(delimiter)
    }

    /// What two addresses of one mailbox have in common.
    fn mailbox(&self, delimiter: &str) -> (String, Option<String>) {
        (self.without_extension(delimiter).to_lowercase(), self.domain.clone())
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.local.contains(char::is_whitespace) {
            f.write_str(&quoted(&self.local))?;
        } else {
            f.write_str(&self.local)?;
        }
        match &self.domain {
            Some(domain) => write!(f, "@{domain}"),
            None => Ok(()),
        }
    }
}

/// Drops blanks, but for those inside a quoted string: there they are part of the address (RFC 5321 section 4.1.2).
pub fn without_blanks(text: &str) -> String {
    let text = text.trim();
    if text.bytes().all(|b| b.is_ascii_graphic() && b != b'"') {
        return text.to_owned();
    }
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let taken_literally = std::mem::take(&mut is_escaped);
        match c {
            '\\' if is_quoted && !taken_literally => is_escaped = true,
            '"' if !taken_literally => is_quoted = !is_quoted,
            _ => {}
        }
        if !c.is_control() && (is_quoted || !c.is_whitespace()) {
            out.push(c);
        }
    }
    out
}

/// What a quoted string says, without the backslashes.
fn unescaped(quoted: &str) -> String {
    let mut is_escaped = false;
    let keeps = |c: &char| {
        is_escaped = *c == '\\' && !is_escaped;
        !is_escaped
    };
    quoted.chars().filter(keeps).collect()
}

/// A local part as a quoted string.
fn quoted(local: &str) -> String {
    format!("\"{}\"", local.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Takes away the route before an address: `@relay,@other:` (RFC 5321 appendix C).
pub fn without_route(spec: &str) -> &str {
    match spec.strip_prefix('@').and_then(|_| spec.split_once(':')) {
        Some((_, address)) => address,
        None => spec,
    }
}

/// Tells whether `text` can be handed to any sendmail as it stands: one local part, at most one domain, and nothing
/// that some mail system takes for syntax. Postfix quietly discards what it gets for `@b.test`, and others send `b
/// b@b.test` to two people.
pub fn is_plain(text: &str) -> bool {
    why_not_plain(text).is_none()
}

/// Returns what keeps `text` from being handed to any sendmail, for whoever wrote it.
pub fn why_not_plain(text: &str) -> Option<&'static str> {
    let (local, domain) = match text.split_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (text, None),
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>()[]\\,;:\"@".contains(c);
    let literal =
        |domain: &str| domain.starts_with('[') && domain.ends_with(']') && !domain.contains(char::is_whitespace);
    if text.is_empty() {
        return Some("it is empty");
    }
    if local.is_empty() {
        return Some("nothing stands before its @");
    }
    if local.contains(odd) {
        return Some(ODD_CHARACTER);
    }
    match domain {
        None => None,
        Some(domain) if literal(domain) => None,
        Some(domain) if domain.contains(|c| c != '@' && odd(c)) => Some(ODD_CHARACTER),
        Some(domain) if domain.contains('@') => Some("it has more than one @"),
        Some("") => Some("nothing stands behind its @"),
        Some(domain) if domain.split('.').any(str::is_empty) => Some("its domain has a dot too many"),
        Some(_) => None,
    }
}

/// Many write two addresses, a name beside the address, or brackets around it.
const ODD_CHARACTER: &str = "one address is expected, without a name, blanks, brackets, quotes and commas";

/// The addresses that are the user's own; the first is the one that goes into `X-Loop`.
#[derive(Clone, Debug, Default)]
pub struct OwnAddresses {
    list: Vec<Address>,
    /// The mailboxes that they name: a user may have thousands, and each message asks for several.
    mailboxes: HashSet<(String, Option<String>)>,
    delimiter: String,
}

impl OwnAddresses {
    /// Starts an empty list; `delimiter` holds the characters that separate an extension, as Postfix's
    /// `recipient_delimiter`.
    pub fn new(delimiter: &str) -> Self {
        Self {
            list: Vec::new(),
            mailboxes: HashSet::new(),
            delimiter: delimiter.to_owned(),
        }
    }

    /// Adds an address, unless one for the same mailbox is there already.
    pub fn add(&mut self, address: Address) {
        if self.mailboxes.insert(address.mailbox(&self.delimiter)) {
            self.list.push(address);
        }
    }

    /// Adds the address of the mailbox `local` at `domain`, which hold no syntax of their own.
    pub fn add_bare(&mut self, local: &str, domain: &str) {
        self.add(Address {
            local: local.to_owned(),
            domain: (!domain.is_empty()).then(|| idn::to_ascii(domain)),
        });
    }

    /// Tells whether `address` is one of the user's own.
    pub fn contains(&self, address: &Address) -> bool {
        self.mailboxes.contains(&address.mailbox(&self.delimiter))
    }

    /// The address that stands for the user in `X-Loop`, without its extension.
    pub fn primary(&self) -> Option<Address> {
        self.list.first().map(|own| Address {
            local: own.without_extension(&self.delimiter).to_owned(),
            domain: own.domain.clone(),
        })
    }

    /// What goes into `X-Loop`: the first of them, on one line.
    pub fn loop_mark(&self) -> String {
        one_word(&self.primary().map(|own| own.to_string()).unwrap_or_default())
    }

    /// Tells whether an `X-Loop` value is the user's own: an own address, or the very mark that goes out, which some
    /// addresses cannot be read back from.
    pub fn is_loop_mark(&self, value: &str) -> bool {
        let mark = self.loop_mark();
        (!mark.is_empty() && one_word(value) == mark)
            || Address::parse(value).is_some_and(|address| self.contains(&address))
    }

    /// All of them, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Address> {
        self.list.iter()
    }
}

fn one_word(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
}

/// Drops `(comments)`, nested ones too, outside quoted strings (RFC 5322 section 3.2.2).
fn without_comments(text: &str) -> Cow<'_, str> {
    // Few addresses have either.
    if !text.bytes().any(|b| matches!(b, b'(' | b'"')) {
        return Cow::Borrowed(text);
    }
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let taken_literally = std::mem::take(&mut escaped);
        match c {
            '\\' if !taken_literally && (quoted || depth > 0) => {
                escaped = true;
                if depth == 0 {
                    out.push(c);
                }
            }
            '"' if depth == 0 && !taken_literally => {
                quoted = !quoted;
                out.push(c);
            }
            '(' if !quoted && !taken_literally => depth += 1,
            ')' if depth > 0 && !taken_literally => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{Address, OwnAddresses, is_plain};

    #[test]
    fn only_plain_addresses_reach_sendmail() {
        for text in [
            "b@b.test",
            "b",
            "b+x@b.test",
            "-b@b.test",
            "B.b/x=y@[192.0.2.1]",
            "b\u{e9}@b.test",
            "b!c@b.test",
        ] {
            assert!(is_plain(text), "{text:?}");
        }
        for text in [
            "",
            " ",
            "@b.test",
            "b@",
            "b@@b.test",
            "b@b..test",
            "b@.test",
            "b b@b.test",
            "<b@b.test>",
            "b(x)@b.test",
            "b@b.test,c@c.test",
            "b\n@b.test",
            "\"b\"@b.test",
            "b@b.test\nX: y",
            "b;c@b.test",
            "b:c@b.test",
        ] {
            assert!(!is_plain(text), "{text:?}");
        }
    }

    #[test]
    fn an_address_is_read_out_of_what_surrounds_it() {
        let cases = [
            ("a@a.test", Some("a@a.test")),
            ("  A@A.Test  ", Some("A@a.test")),
            ("Ann (the second) <a@a.test>", Some("a@a.test")),
            ("\"Ann <x@y>\" <a@a.test>", Some("a@a.test")),
            ("a@a.test (Ann)", Some("a@a.test")),
            ("<@relay.test,@other.test:a@a.test>", Some("a@a.test")),
            ("\"a b\"@a.test", Some("\"a b\"@a.test")),
            ("< \"a b\" @ a.test >", Some("\"a b\"@a.test")),
            ("\"a\\\"b\"@a.test", Some("a\"b@a.test")),
            ("a@B\u{dc}cher.test", Some("a@xn--bcher-kva.test")),
            ("a@a.test.", Some("a@a.test")),
            ("MAILER-DAEMON", Some("MAILER-DAEMON")),
            ("<>", None),
            ("< >", None),
            ("", None),
            ("@a.test", None),
        ];
        for (text, want) in cases {
            assert_eq!(Address::parse(text).map(|a| a.to_string()).as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn own_addresses_ignore_case_and_extension() {
        let mut own = OwnAddresses::new("+-");
        own.add(Address::parse("a+lists@A.test").unwrap_or_else(|| unreachable!()));
        own.add(Address::parse("J\u{d6}RG@xn--bcher-kva.test").unwrap_or_else(|| unreachable!()));
        own.add(Address::parse("\"j d\"@a.test").unwrap_or_else(|| unreachable!()));
        for (text, want) in [
            ("a@a.test", true),
            ("A@a.TEST", true),
            ("a-x@a.test", true),
            ("b@a.test", false),
            ("a@b.test", false),
            ("a", false),
            ("j\u{f6}rg@b\u{fc}cher.test", true),
            ("jorg@b\u{fc}cher.test", false),
            ("\"j d\"@a.test", true),
            ("jd@a.test", false),
        ] {
            assert_eq!(Address::parse(text).is_some_and(|a| own.contains(&a)), want, "{text}");
        }
        assert_eq!(own.primary().map(|a| a.to_string()).as_deref(), Some("a@a.test"));
    }
}
