//! Text in the columns of a terminal, where East Asian characters take two and combining ones none (Unicode UAX 11).

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub fn count_columns(text: &str) -> usize {
    text.width()
}

/// A text and as many blanks as it takes to fill so many columns.
pub fn pad_to_columns(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(count_columns(text))))
}

/// The beginning of a text that takes at most so many columns, with `mark` at its end where something is left out.
pub fn cut_to_columns(text: &str, most: usize, mark: &str) -> String {
    if count_columns(text) <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(count_columns(mark));
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let beginning: String = text.chars().take_while(fits).collect();
    beginning + mark
}

#[cfg(test)]
mod tests {
    use super::{count_columns, cut_to_columns, pad_to_columns};

    #[test]
    fn wide_characters_count_twice_and_combining_ones_not() {
        for (text, width) in [
            ("", 0),
            ("alice", 5),
            ("山田太郎", 8),
            ("e\u{301}", 1),
            ("ｱﾘｽ", 3),
            ("한글", 4),
        ] {
            assert_eq!(count_columns(text), width, "{text}");
        }
        for (text, most, want) in [
            ("alice", 5, "alice"),
            ("alice", 4, "ali…"),
            ("山田太郎", 8, "山田太郎"),
            ("山田太郎", 7, "山田太…"),
            ("山田太郎", 6, "山田…"),
            ("山田", 1, "…"),
        ] {
            let cut = cut_to_columns(text, most, "…");
            assert_eq!(cut, want);
            assert_eq!(count_columns(&pad_to_columns(&cut, most)), most, "{cut}");
        }
    }
}
