//! Finds the names in a body that make its MIME parts worth reading, in one walk over its hyphens: base64 has none, and
//! prose has few. Says where a name stands; what that means is left to whoever asks.

/// Which names stand anywhere in a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodyScan {
    /// `x-spoolguard-divert`, in any case: our divert mark may be quoted.
    pub divert_mark: bool,
    /// `feedback-report` or `disposition-notification`, in any case.
    pub other_report: bool,
    /// `/delivery-status`, within what is looked at of a body.
    pub status_part: bool,
    /// `transfer-encoding`, in any case: a part may be encoded.
    pub encoded_part: bool,
}

/// As much of a body is looked at for a delivery status part, in bytes.
const STATUS_BYTES: usize = 64 * 1024;

impl BodyScan {
    /// Looks through all of `body`.
    pub fn read(body: &[u8]) -> Self {
        let mut found = Self::default();
        for at in memchr::memchr_iter(b'-', body) {
            let around = |before: usize, after: usize| body.get(at.checked_sub(before)?..at + 1 + after);
            let is = |before: usize, after: usize, name: &[u8]| {
                around(before, after).is_some_and(|piece| piece.eq_ignore_ascii_case(name))
            };
            // Of all hyphens, few stand behind such a letter.
            match at.checked_sub(1).and_then(|before| body.get(before)) {
                Some(b'x' | b'X') => found.divert_mark |= is(1, 17, b"x-spoolguard-divert"),
                Some(b'k' | b'K') => found.other_report |= is(8, 6, b"feedback-report"),
                Some(b'n' | b'N') => found.other_report |= is(11, 12, b"disposition-notification"),
                Some(b'r' | b'R') => found.encoded_part |= is(8, 8, b"transfer-encoding"),
                Some(b'y') => {
                    let name = around(9, 6).filter(|_| at + 7 <= STATUS_BYTES);
                    found.status_part |= matches!(name, Some(b"/delivery-status" | b"/Delivery-status"));
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyScan, STATUS_BYTES};

    #[test]
    fn names_are_found_in_one_walk() {
        let none = BodyScan::default();
        let divert = BodyScan {
            divert_mark: true,
            ..none
        };
        let other = BodyScan {
            other_report: true,
            ..none
        };
        let status = BodyScan {
            status_part: true,
            ..none
        };
        let encoded = BodyScan {
            encoded_part: true,
            ..none
        };
        for (body, want) in [
            ("", none),
            ("content-Transfer-Encoding: base64", encoded),
            ("transfer-encodin", none),
            ("-", none),
            ("x-", none),
            ("-----\nX-Spoolguard-Divert: x\n", divert),
            ("> x-spoolguard-divert", divert),
            ("message/feedback-report", other),
            ("FEEDBACK-REPORT", other),
            ("feedback-repor", none),
            ("message/Disposition-Notification; x", other),
            ("message/delivery-status", status),
            ("message/Delivery-status", status),
            ("message/DELIVERY-STATUS", none),
            ("a delivery-status", none),
        ] {
            assert_eq!(BodyScan::read(body.as_bytes()), want, "{body}");
        }
        let deep = |above: usize| format!("{}message/delivery-status", "a".repeat(above));
        assert_eq!(BodyScan::read(deep(STATUS_BYTES - 23).as_bytes()), status);
        assert_eq!(BodyScan::read(deep(STATUS_BYTES - 22).as_bytes()), none);
    }
}
