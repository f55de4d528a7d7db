//! The sender rewriting scheme: an envelope sender of another domain becomes one of ours, from which the original can
//! be had back. Byte for byte as postsrsd 1.10 does it, so that both can share a file of secrets and read what the
//! other made:
//!
//!     SRS0=HHHH=TT=DOMAIN=LOCAL@OURS                 of LOCAL@DOMAIN
//!     SRS1=HHHH=HOST==HHHH=TT=DOMAIN=LOCAL@OURS      of an SRS0 that HOST made; its `=` may be another separator
//!
//! `TT` is the day, and `HHHH` the seal: without a secret nobody can make such an address, and it does not hold for
//! long.

use data_encoding::{BASE32_NOPAD, BASE32_NOPAD_NOCASE, BASE64};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::message::address::{LOCAL_BYTES, is_plain};

/// How many bytes of the seal are kept: four characters.
const SEAL: usize = 3;

/// Days are counted modulo this.
const DAYS: i64 = 1 << 10;

/// What may stand behind the tag.
pub const SEPARATORS: [char; 3] = ['=', '+', '-'];

/// How addresses are rewritten.
#[derive(Clone)]
pub struct SrsRewriter {
    secrets: Vec<Vec<u8>>,
    domain: String,
    separator: char,
    valid_days: i64,
}

impl std::fmt::Debug for SrsRewriter {
    /// Tells no secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SrsRewriter({})", self.domain)
    }
}

/// Why an address is not rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRewritten {
    /// It is not an address with a domain.
    NoAddress,
    /// The local part would be longer than 64 bytes.
    TooLong,
    /// What comes out could not be handed to every sendmail.
    NotPlain,
}

/// Why a rewritten address cannot be reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReversed {
    /// It does not have the form of a rewritten address.
    NoSrs,
    /// No secret of ours sealed it.
    WrongSeal,
    /// It is too old, or from the future.
    TooOld,
}

impl std::fmt::Display for NotRewritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoAddress => "it is not an address with a domain",
            Self::TooLong => "the local part would be longer than 64 bytes",
            Self::NotPlain => "not every sendmail would accept it",
        })
    }
}

impl std::fmt::Display for NotReversed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoSrs => "it is not an SRS address",
            Self::WrongSeal => "its hash is wrong",
            Self::TooOld => "it is too old",
        })
    }
}

impl SrsRewriter {
    /// Uses the secrets of a file, one a line: the first seals, and each of them verifies. `None` where the file holds
    /// no secret.
    pub fn new(file: &[u8], domain: &str, separator: char, valid_days: i64) -> Option<Self> {
        let lines = file.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let secrets: Vec<_> = lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
        (!secrets.is_empty() && SEPARATORS.contains(&separator)).then(|| Self {
            secrets,
            domain: domain.to_owned(),
            separator,
            valid_days,
        })
    }

    /// Rewrites a sender. One of our own domain stays as it is. Fails when it cannot be rewritten.
    pub fn rewrite(&self, sender: &str, unix_seconds: i64) -> Result<String, NotRewritten> {
        let rewritten = self.rewrite_to_any_length(sender, unix_seconds)?;
        let local_bytes = rewritten.rfind('@').unwrap_or(0);
        if local_bytes > LOCAL_BYTES && rewritten != sender {
            return Err(NotRewritten::TooLong);
        }
        if !is_plain(&rewritten) {
            return Err(NotRewritten::NotPlain);
        }
        Ok(rewritten)
    }

    /// The same, whatever comes out: as postsrsd does it. Fails when this is no address with a domain.
    pub fn rewrite_to_any_length(&self, sender: &str, unix_seconds: i64) -> Result<String, NotRewritten> {
        let (local, domain) = sender
            .rsplit_once('@')
            .filter(|(local, domain)| !local.is_empty() && !domain.is_empty())
            .ok_or(NotRewritten::NoAddress)?;
        if domain.eq_ignore_ascii_case(&self.domain) {
            return Ok(sender.to_owned());
        }
        let (separator, ours) = (self.separator, &self.domain);
        if let Some(rest) = behind_tag(local, "SRS0") {
            let seal = self.seal(0, &[domain, rest]);
            return Ok(format!("SRS1{separator}{seal}={domain}={rest}@{ours}"));
        }
        if let Some((_, host, rest)) = behind_tag(local, "SRS1").and_then(parts_of_srs1) {
            let seal = self.seal(0, &[host, rest]);
            return Ok(format!("SRS1{separator}{seal}={host}={rest}@{ours}"));
        }
        let day = day_digits(unix_seconds);
        let seal = self.seal(0, &[&day, domain, local]);
        Ok(format!("SRS0{separator}{seal}={day}={domain}={local}@{ours}"))
    }

    /// The address that was rewritten. Fails when this is no such address, or does not hold.
    pub fn reverse(&self, address: &str, unix_seconds: i64) -> Result<String, NotReversed> {
        let (local, _) = address.rsplit_once('@').ok_or(NotReversed::NoSrs)?;
        if let Some(rest) = behind_tag(local, "SRS0") {
            let mut parts = rest.get(1..).unwrap_or_default().splitn(4, '=');
            let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(NotReversed::NoSrs);
            let (seal, day, domain, local) = (next()?, next()?, next()?, next()?);
            self.verify(seal, &[day, domain, local])?;
            return match self.is_valid(day, unix_seconds) {
                true => Ok(format!("{local}@{domain}")),
                false => Err(NotReversed::TooOld),
            };
        }
        let parts = behind_tag(local, "SRS1").and_then(parts_of_srs1);
        let (seal, host, rest) = parts.ok_or(NotReversed::NoSrs)?;
        self.verify(seal, &[host, rest])?;
        Ok(format!("SRS0{rest}@{host}"))
    }

    /// The seal is compared without case, as everything that it covers: hosts on the way change that.
    fn verify(&self, seal: &str, what: &[&str]) -> Result<(), NotReversed> {
        let is_ours = |number| self.seal(number, what).eq_ignore_ascii_case(seal);
        match (0..self.secrets.len()).any(is_ours) {
            true => Ok(()),
            false => Err(NotReversed::WrongSeal),
        }
    }

    /// What the secret of this number makes of it.
    fn seal(&self, number: usize, what: &[&str]) -> String {
        let secret = self.secrets.get(number).map_or(&[][..], Vec::as_slice);
        // A key of any length will do (RFC 2104 section 3).
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else {
            return String::new();
        };
        for part in what {
            mac.update(part.to_ascii_lowercase().as_bytes());
        }
        let bits = mac.finalize().into_bytes();
        BASE64.encode(bits.get(..SEAL).unwrap_or_default())
    }

    /// A day ahead is another 1024 days ago.
    fn is_valid(&self, digits: &str, unix_seconds: i64) -> bool {
        let Some(made) = read_day(digits) else { return false };
        let age = (unix_seconds.div_euclid(86_400) - made).rem_euclid(DAYS);
        age <= self.valid_days
    }
}

/// Tells whether an address looks like a rewritten one, so that the secrets are worth reading.
pub fn looks_rewritten(address: &str) -> bool {
    behind_tag(address, "SRS0")
        .or_else(|| behind_tag(address, "SRS1"))
        .is_some()
}

/// What stands behind a tag, with the separator.
fn behind_tag<'a>(local: &'a str, tag: &str) -> Option<&'a str> {
    let (head, rest) = local.split_at_checked(tag.len())?;
    (head.eq_ignore_ascii_case(tag) && rest.starts_with(SEPARATORS)).then_some(rest)
}

/// Seal, host, and the rest of an SRS1; the rest begins with the separator of the SRS0.
fn parts_of_srs1(rest: &str) -> Option<(&str, &str, &str)> {
    let mut parts = rest.get(1..)?.splitn(3, '=');
    let (seal, host, rest) = (parts.next()?, parts.next()?, parts.next()?);
    (!seal.is_empty() && !host.is_empty() && rest.starts_with(SEPARATORS)).then_some((seal, host, rest))
}

/// Ten bits are two digits of base32, and sixteen have those two at their beginning.
fn day_digits(unix_seconds: i64) -> String {
    let day = u16::try_from(unix_seconds.div_euclid(86_400).rem_euclid(DAYS)).unwrap_or(0);
    let mut digits = BASE32_NOPAD.encode(&(day << 6).to_be_bytes());
    digits.truncate(2);
    digits
}

/// The day that two digits, in any case, stand for.
fn read_day(digits: &str) -> Option<i64> {
    let whole = BASE32_NOPAD_NOCASE.decode(format!("{digits}AA").as_bytes());
    let bits = u16::from_be_bytes(whole.ok()?.try_into().ok()?);
    Some(i64::from(bits >> 6))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};
    use proptest::{prop_assert, prop_assert_eq};

    use super::{NotReversed, NotRewritten, SrsRewriter, looks_rewritten};

    /// 2026-11-26, of which postsrsd 1.10 says what stands below.
    const NOW: i64 = 1_795_694_400;
    const DAY: i64 = 86_400;

    fn with(separator: char) -> SrsRewriter {
        SrsRewriter::new(b"testsecret\n", "a.test", separator, 21).unwrap_or_else(|| unreachable!("there is a secret"))
    }

    #[test]
    fn addresses_are_those_of_postsrsd() {
        for (from, to) in [
            ("ann@s.test", "SRS0=J4qd=JP=s.test=ann@a.test"),
            (
                "SRS0=abcd=X1=s.test=ann@f1.test",
                "SRS1=yjhg=f1.test==abcd=X1=s.test=ann@a.test",
            ),
        ] {
            assert_eq!(with('=').rewrite(from, NOW).as_deref(), Ok(to));
            assert_eq!(with('=').reverse(to, NOW).as_deref(), Ok(from));
            assert_eq!(
                with('+')
                    .reverse(&to.to_lowercase(), NOW)
                    .map(|back| back.to_lowercase())
                    .as_deref(),
                Ok(from.to_lowercase().as_str())
            );
        }
        let plus = with('+').rewrite("ann@s.test", NOW);
        assert_eq!(plus.as_deref(), Ok("SRS0+J4qd=JP=s.test=ann@a.test"));
        assert_eq!(
            with('-').reverse("SRS0+J4qd=JP=s.test=ann@a.test", NOW).as_deref(),
            Ok("ann@s.test")
        );
    }

    #[test]
    fn an_srs1_of_another_host_keeps_its_origin() {
        let first = with('=')
            .rewrite("SRS0+abcd=X1=s.test=ann@f1.test", NOW)
            .unwrap_or_default();
        let other = SrsRewriter::new(b"other", "b.test", '=', 21).unwrap_or_else(|| unreachable!("there is a secret"));
        let second = other.rewrite(&first, NOW).unwrap_or_default();
        assert!(
            second.starts_with("SRS1=") && second.ends_with("=f1.test=+abcd=X1=s.test=ann@b.test"),
            "{second}"
        );
        assert_eq!(
            other.reverse(&second, NOW).as_deref(),
            Ok("SRS0+abcd=X1=s.test=ann@f1.test")
        );
        assert_eq!(other.reverse(&first, NOW), Err(NotReversed::WrongSeal));
    }

    #[test]
    fn what_does_not_hold_leads_to_nobody() {
        let address = "SRS0=J4qd=JP=s.test=ann@a.test";
        for (days, holds) in [(0, true), (21, true), (22, false), (-1, false), (1024, true)] {
            let back = with('=').reverse(address, NOW + days * DAY);
            assert_eq!(back.is_ok(), holds, "{days}");
            assert!(holds || back == Err(NotReversed::TooOld), "{days}");
        }
        for (text, why) in [
            ("SRS0=J4qd=JP=s.test=bob@a.test", NotReversed::WrongSeal),
            ("SRS0=J4qd=JQ=s.test=ann@a.test", NotReversed::WrongSeal),
            ("SRS0=J4q=JP=s.test=ann@a.test", NotReversed::WrongSeal),
            ("SRS0=J4qd=JP=s.test@a.test", NotReversed::NoSrs),
            ("SRS0=@a.test", NotReversed::NoSrs),
            ("SRS0@a.test", NotReversed::NoSrs),
            ("SRS1=yjhg=f1.test=@a.test", NotReversed::NoSrs),
            ("ann@a.test", NotReversed::NoSrs),
            ("", NotReversed::NoSrs),
        ] {
            assert_eq!(with('=').reverse(text, NOW), Err(why), "{text}");
        }
        let old = SrsRewriter::new(b"new\n\ntestsecret\r\n", "a.test", '=', 21);
        assert_eq!(
            old.and_then(|both| both.reverse(address, NOW).ok()).as_deref(),
            Some("ann@s.test")
        );
        assert!(SrsRewriter::new(b"\n\r\n", "a.test", '=', 21).is_none());
    }

    #[test]
    fn what_cannot_be_rewritten_is_said() {
        let srs = with('+');
        assert_eq!(srs.rewrite("bob@A.test", NOW).as_deref(), Ok("bob@A.test"));
        assert_eq!(srs.rewrite("ann", NOW), Err(NotRewritten::NoAddress));
        assert_eq!(srs.rewrite("", NOW), Err(NotRewritten::NoAddress));
        assert_eq!(srs.rewrite("\"a b\"@s.test", NOW), Err(NotRewritten::NotPlain));
        assert_eq!(srs.rewrite("ann@[192.0.2.1]", NOW), Err(NotRewritten::NotPlain));
        let fits = "a".repeat(64 - "SRS0+hhhh=TT=s.test=".len());
        assert!(srs.rewrite(&format!("{fits}@s.test"), NOW).is_ok());
        assert_eq!(srs.rewrite(&format!("{fits}a@s.test"), NOW), Err(NotRewritten::TooLong));
        assert!(looks_rewritten("srs0+x@a.test") && !looks_rewritten("srs0@a.test") && !looks_rewritten("ä"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn every_address_comes_back(local in "[a-zA-Z0-9=+_.-]{1,40}", domain in "[a-z0-9-]{1,20}\\.[a-z]{2,5}", later in 0_i64..=21) {
            let sender = format!("{local}@{domain}");
            let rewritten = with('+').rewrite_to_any_length(&sender, NOW).unwrap_or_default();
            prop_assert!(looks_rewritten(&rewritten));
            // An SRS1 that is none is an ordinary address, and so is what it becomes.
            prop_assert_eq!(with('=').reverse(&rewritten, NOW + later * DAY), Ok(sender));
        }

        #[test]
        fn no_bytes_lead_to_anybody_without_the_secret(text in ".{0,80}") {
            let other = SrsRewriter::new(b"other", "a.test", '=', 21).unwrap_or_else(|| unreachable!("there is a secret"));
            let _ = other.rewrite(&text, NOW);
            prop_assert!(other.reverse(&text, NOW).is_err());
        }
    }
}
