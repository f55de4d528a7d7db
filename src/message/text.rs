//! Bytes of mail as text that rules can be compared with: decoded, in lower case, one blank between words.
//! What cannot be decoded stays as it is; every function takes only a bounded piece of its input.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::html::add_html_token;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::parsers::MessageStream;

use crate::message::{Field, Message};

/// As much of one header value as is looked at.
const VALUE_BYTES: usize = 4 * 1024;

/// The longest name of a character in HTML is `CounterClockwiseContourIntegral`.
const ENTITY_BYTES: usize = 31;

/// As much of one text part as is looked at.
const TEXT_BYTES: usize = 64 * 1024;

/// A header value as text, encoded words decoded (RFC 2047) and raw 8-bit text read in `charset` where it is not UTF-8.
pub fn decoded_value<'a>(field: &Field<'a>, charset: Option<&str>) -> Cow<'a, str> {
    let value = field.value.get(..VALUE_BYTES).unwrap_or(field.value);
    if memchr::memmem::find(value, b"=?").is_some() {
        let line = [value, b"\n"].concat();
        let decoded = MessageStream::new(&line).parse_unstructured();
        if let Some(text) = decoded.as_text() {
            return Cow::Owned(text.trim().to_owned());
        }
    }
    if value.is_ascii() && !value.contains(&0x1b) {
        return Field {
            name: field.name,
            value,
        }
        .text();
    }
    let text = in_charset(value, charset).replace(['\r', '\n'], "");
    Cow::Owned(text.trim().to_owned())
}

/// Lower case, one blank between words, none at the ends.
pub fn normalize_words(text: &str) -> String {
    if text.is_ascii() {
        return normalize_ascii(text.as_bytes());
    }
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        match word.is_ascii() {
            true => out.extend(word.bytes().map(|b| char::from(b.to_ascii_lowercase()))),
            false => out.push_str(&word.to_lowercase()),
        }
    }
    out
}

/// The same for what nearly all mail is, several times as fast.
fn normalize_ascii(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    // With the vertical tab, as `char::is_whitespace` has it and `u8::is_ascii_whitespace` has not.
    let words = text.split(|byte| matches!(byte, b'\t'..=b'\r' | b' '));
    for word in words.filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    out.make_ascii_lowercase();
    String::from_utf8(out).unwrap_or_default()
}

/// The text of one part: transfer encoding undone, charset read, HTML tags taken away. Line ends stay.
pub fn part_text(part: &Message<'_>) -> String {
    let body = part.body();
    let body = body.get(..TEXT_BYTES).unwrap_or(body);
    let kind = part.first("Content-Type").unwrap_or_default();
    let encoding = part.first("Content-Transfer-Encoding").unwrap_or_default();
    let charset = find_parameter(&kind, "charset");
    let text = in_charset(&decode_transfer_encoding(body, &encoding), charset.as_deref());
    // Some systems send HTML and call it plain text, or the other way round.
    if starts_with_ignoring_case(&kind, "text/html") || starts_with_ignoring_case(text.trim_start(), "<html") {
        without_tags(&text)
    } else {
        text
    }
}

/// `body` without its `Content-Transfer-Encoding` (RFC 2045 section 6); as it is where that cannot be undone.
pub fn decode_transfer_encoding<'a>(body: &'a [u8], encoding: &str) -> Cow<'a, [u8]> {
    let decoded = match encoding.trim() {
        e if e.eq_ignore_ascii_case("base64") => {
            // A footer that a list added below is no reason to read nothing.
            let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
            base64_decode(&body.iter().copied().filter(is_digit).collect::<Vec<u8>>())
        }
        e if e.eq_ignore_ascii_case("quoted-printable") => quoted_printable_decode(body),
        _ => None,
    };
    decoded.map_or(Cow::Borrowed(body), Cow::Owned)
}

/// `bytes` as text: UTF-8 where it is that, else `charset`, else ISO-2022-JP by its escapes, else the western default.
fn in_charset(bytes: &[u8], charset: Option<&str>) -> String {
    let escaped = memchr::memmem::find(bytes, b"\x1b$").is_some();
    if !escaped {
        // UTF-7 looks like ASCII (old Exchange calls it unicode-1-1-utf-7).
        let utf7 = charset.is_some_and(|name| name.to_ascii_lowercase().ends_with("utf-7"));
        if utf7 && let Some(decode) = charset_decoder(b"utf-7") {
            return decode(bytes);
        }
        // The end may be cut in the middle of a character.
        match std::str::from_utf8(bytes) {
            Ok(text) => return text.to_owned(),
            Err(error) if error.error_len().is_none() => {
                return String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or(bytes)).into_owned();
            }
            Err(_) => {}
        }
    }
    let named = charset.and_then(|name| charset_decoder(name.as_bytes()));
    let guessed = || charset_decoder(if escaped { b"iso-2022-jp" } else { b"windows-1252" });
    let is_western = charset.is_none_or(|name| {
        ["windows-1252", "iso-8859-1", "us-ascii"]
            .iter()
            .any(|western| name.eq_ignore_ascii_case(western))
            || named.is_none()
    });
    match named.or_else(guessed) {
        // Nearly all of it is ASCII, and stays.
        Some(decode) if is_western && !escaped => bytes
            .chunk_by(|one, next| one.is_ascii() == next.is_ascii())
            .map(|piece| match std::str::from_utf8(piece) {
                Ok(ascii) if piece.is_ascii() => Cow::Borrowed(ascii),
                Ok(_) | Err(_) => Cow::Owned(decode(piece)),
            })
            .collect(),
        Some(decode) => decode(bytes),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The parameter `name`, in lower case, of a `Content-Type` field, without quotes (RFC 2045 section 5.1, RFC 2231).
pub fn find_parameter(content_type: &str, name: &str) -> Option<String> {
    let line = [content_type.as_bytes(), b"\n"].concat();
    let parsed = MessageStream::new(&line).parse_content_type();
    parsed.as_content_type()?.attribute(name).map(str::to_owned)
}

/// Where `needle`, which is in lower case, begins in `text`, whatever the case there.
pub fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    text.windows(needle.len().max(1))
        .position(|window| window.eq_ignore_ascii_case(needle))
}

/// Tells whether `words` are in `bytes`, whatever the case of ASCII letters.
pub fn contains_ignoring_case(bytes: &[u8], words: &str) -> bool {
    let words = words.as_bytes();
    let first = words.first().copied().unwrap_or_default();
    memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), bytes).any(|at| {
        let piece = bytes.get(at..at + words.len());
        piece.is_some_and(|piece| piece.eq_ignore_ascii_case(words))
    })
}

/// Tells whether `text` begins with `prefix`, whatever the case.
pub fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.as_bytes()
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// HTML as text, as far as rules need it: no tags, no style, the common entities, lines where blocks end.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        let (text, tag) = rest.split_at(open);
        out.push_str(text);
        // `<a@a.test>` in careless HTML is an address and not a tag.
        let Some(close) = tag.find('>') else {
            rest = "";
            break;
        };
        let (inside, after) = (
            tag.get(1..close).unwrap_or_default(),
            tag.get(close + 1..).unwrap_or_default(),
        );
        let name: String = inside
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '/')
            .map(|c| c.to_ascii_lowercase())
            .collect();
        rest = after;
        match name.as_str() {
            "style" | "script" => {
                let end = if name == "style" { "</style" } else { "</script" };
                rest = find_ignoring_case(rest, end)
                    .and_then(|at| rest.get(at..))
                    .unwrap_or_default();
            }
            "br" | "br/" | "p" | "/p" | "/div" | "/tr" | "/td" | "/li" | "/h1" | "/h2" | "/h3" | "/pre"
            | "blockquote" | "/blockquote" => out.push('\n'),
            _ if inside.contains('@') && !inside.contains('=') => {
                out.push('<');
                out.push_str(inside);
                out.push('>');
            }
            _ => {}
        }
    }
    out.push_str(rest);
    if out.contains('&') { decode_entities(&out) } else { out }
}

/// Every character that HTML has a name or a number for, as itself; a blank that does not break is a blank.
fn decode_entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, entity) = rest.split_at(at);
        out.push_str(before);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '#';
        let length = 1 + entity
            .chars()
            .skip(1)
            .take(ENTITY_BYTES)
            .take_while(|c| is_name(*c))
            .count();
        let end = length + usize::from(entity.as_bytes().get(length) == Some(&b';'));
        let (entity, behind) = entity.split_at(end);
        match entity {
            "&nbsp;" | "&#160;" | "&#xa0;" | "&#xA0;" => out.push(' '),
            // What is no entity stays.
            entity => add_html_token(&mut out, entity.as_bytes(), false),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{decoded_value, find_parameter, normalize_words, part_text};
    use crate::message::Message;

    proptest::proptest! {
        #[test]
        fn ascii_is_normalized_as_all_other_text_is(text in "[\\x00-\\x7f]{0,60}") {
            let want: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
            proptest::prop_assert_eq!(normalize_words(&text), want.join(" "));
            // One character beyond ASCII goes the other way.
            let want = [want.as_slice(), &["\u{fc}".to_owned()]].concat();
            proptest::prop_assert_eq!(normalize_words(&(text + " \u{dc}")), want.join(" "));
        }
    }

    #[test]
    fn parameters_are_read_with_and_without_quotes() {
        let cases = [
            ("multipart/report; report-type=delivery-status", Some("delivery-status")),
            (
                "multipart/report; Report-Type = \"delivery-status\"; x=y",
                Some("delivery-status"),
            ),
            (
                "multipart/report;\treport-type=delivery-status; x",
                Some("delivery-status"),
            ),
            ("multipart/report; x-report-type=other", None),
            ("multipart/report", None),
        ];
        for (value, want) in cases {
            assert_eq!(find_parameter(value, "report-type").as_deref(), want, "{value}");
        }
    }

    #[test]
    fn values_are_decoded_from_words_and_from_raw_bytes() {
        let cases: [(&[u8], &str); 5] = [
            (b"Subject: plain\r\n folded", "plain folded"),
            (b"Subject: =?utf-8?Q?M=C3=BCll?=", "M\u{fc}ll"),
            (
                b"Subject: =?iso-8859-1?Q?M=FCll?=\n =?iso-8859-1?Q?mann?=",
                "M\u{fc}llmann",
            ),
            (b"Subject: M\xfcll", "M\u{fc}ll"),
            (b"Subject: \x1b$BG[?.ITG=\x1b(B", "\u{914d}\u{4fe1}\u{4e0d}\u{80fd}"),
        ];
        for (bytes, want) in cases {
            let field = Message::new(bytes)
                .fields()
                .next()
                .unwrap_or_else(|| unreachable!("a field"));
            assert_eq!(decoded_value(&field, None), want);
        }
    }

    #[test]
    fn parts_are_decoded_and_freed_from_tags() {
        let cases: [(&[u8], &str); 6] = [
            (
                b"Content-Type: text/html\n\n<span>f&uuml;r it&#x27;s &#228; R&amp;D &amp;lt; &bogus; & so</span>",
                "f\u{fc}r it's \u{e4} r&d &lt; &bogus; & so",
            ),
            (
                b"Content-Type: text/html\n\n<p>thanks<blockquote>it is broken</blockquote>Ann",
                "thanks it is broken ann",
            ),
            (b"Content-Transfer-Encoding: base64\n\naGVs\nbG8h", "hello!"),
            (b"Content-Transfer-Encoding: quoted-printable\n\nhe=\nl=6Co!", "hello!"),
            (
                b"Content-Type: text/html\n\n<html><style>x</style><b>Hello</b> <a@a.test>&nbsp;!",
                "hello <a@a.test> !",
            ),
            (
                b"Content-Type: text/plain; charset=unicode-1-1-utf-7\n\nhello +ACE-",
                "hello !",
            ),
        ];
        for (bytes, want) in cases {
            assert_eq!(normalize_words(&part_text(&Message::new(bytes))), want);
        }
    }
}
