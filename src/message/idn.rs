//! Domain names in the form that the DNS knows: labels beyond ASCII as A-labels, `xn--...` (RFC 5890, RFC 3492). Two
//! spellings of one domain are equal then. What cannot be encoded stays as it was. Composed and decomposed letters are
//! not made equal: mail programs compose.

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const FIRST_BIAS: u32 = 72;
const FIRST_CODE: u32 = 128;

/// A domain in lower case, each label in ASCII.
pub fn to_ascii(domain: &str) -> String {
    if domain.is_ascii() {
        return domain.to_ascii_lowercase();
    }
    // Full stops of other scripts separate labels too (RFC 3490 section 3.1).
    let labels = domain.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']);
    let labels: Vec<_> = labels.map(|label| to_a_label(&label.to_lowercase())).collect();
    labels.join(".")
}

fn to_a_label(label: &str) -> String {
    if label.is_ascii() {
        return label.to_owned();
    }
    match punycode(label) {
        Some(encoded) => format!("xn--{encoded}"),
        None => label.to_owned(),
    }
}

/// RFC 3492 section 6.3; none where a number grows too large.
fn punycode(label: &str) -> Option<String> {
    let mut out: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let total = u32::try_from(label.chars().count()).ok()?;
    let (mut code, mut delta, mut bias, mut handled) = (FIRST_CODE, 0_u32, FIRST_BIAS, basic);
    while handled < total {
        let next = label.chars().map(u32::from).filter(|c| *c >= code).min()?;
        delta = delta.checked_add((next - code).checked_mul(handled + 1)?)?;
        code = next;
        for c in label.chars().map(u32::from) {
            if c < code {
                delta = delta.checked_add(1)?;
            }
            if c == code {
                write_number(delta, bias, &mut out)?;
                let damp = if handled == basic { DAMP } else { 2 };
                bias = adapt(delta / damp, handled + 1);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        code = code.checked_add(1)?;
    }
    Some(out)
}

fn write_number(delta: u32, bias: u32, out: &mut String) -> Option<()> {
    let mut rest = delta;
    let mut k = BASE;
    loop {
        let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if rest < t {
            out.push(digit(rest)?);
            return Some(());
        }
        out.push(digit(t + (rest - t) % (BASE - t))?);
        rest = (rest - t) / (BASE - t);
        k += BASE;
    }
}

/// The digits of RFC 3492 section 5: `a` to `z`, then `0` to `9`.
fn digit(value: u32) -> Option<char> {
    match value {
        0..26 => char::from_u32(u32::from('a') + value),
        26..36 => char::from_u32(u32::from('0') + value - 26),
        36.. => None,
    }
}

fn adapt(damped: u32, points: u32) -> u32 {
    let mut delta = damped;
    delta += delta / points;
    let mut k = 0;
    while delta > ((BASE - T_MIN) * T_MAX) / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use super::to_ascii;

    #[test]
    fn each_spelling_of_a_domain_is_one() {
        for (text, want) in [
            ("A.Test", "a.test"),
            ("b\u{fc}cher.test", "xn--bcher-kva.test"),
            ("B\u{dc}CHER.Test", "xn--bcher-kva.test"),
            ("XN--BCHER-KVA.test", "xn--bcher-kva.test"),
            ("m\u{fc}nchen.b\u{fc}cher.test", "xn--mnchen-3ya.xn--bcher-kva.test"),
            (
                "\u{4f8b}\u{3048}\u{3002}\u{30c6}\u{30b9}\u{30c8}",
                "xn--r8jz45g.xn--zckzah",
            ),
            (
                "\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.\u{440}\u{444}",
                "xn--e1afmkfd.xn--p1ai",
            ),
            ("stra\u{df}e.test", "xn--strae-oqa.test"),
            ("", ""),
        ] {
            assert_eq!(to_ascii(text), want, "{text}");
        }
    }
}
