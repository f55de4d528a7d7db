//! An address that is not there, as most languages say it: a negation beside a verb (`not found`, `nicht bekannt`), or
//! a word for none before a noun (`no local mailbox`). Each side stands once, so that a pair needs no phrase of its own.

use crate::report::topics::PERSON;
use crate::report::wording::Wording;

/// A verb belongs to a negation with no more between them than `an address that we ever`, in bytes.
const GAP: usize = 26;

/// Behind a noun, no more than its ending stands before "there is none", in bytes.
const LACKING_GAP: usize = 6;

/// Words that negate a verb.
#[rustfmt::skip]
const NEGATION: &[&str] = &[
    "not ", "never ", "cannot ", "nicht ", "niet ", "pas ", "no ", "non ", "nao ", "inte ", "ej ", "ikke ", "nie ", "nem ", "nu ", "ne ",
    "ei ", "tidak ", "nebol ", "nebyl ", "nije ", "није ", "khong ", "не ", "ні ", "δεν ", "degil",
];

/// Verbs of what an address is where it is one: it exists, is found, is known, is registered.
#[rustfmt::skip]
const EXISTENCE: &[&str] = &[
    "exist", "esist", "eksister", "istniej", "letez", "существ", "съществ", "υπαρχ", "bestaat", "vorhanden", "olemassa",
    "found", "find ", "gefunden", "encontr", "encuentr", "localiz", "trovat", "trouv", "gevonden", "hittad", "fundet", "funnet", "finns ",
    "finnes ", "findes ", "znalez", "talal", "найден", "знайден", "gasit", "ditemukan", "loydy", "loytyn", "leitud",
    "known", "know ", "bekannt", "connu", "conosc", "conhec", "conoc", "connais", "bekend", "znam", "известен", "известна", "dikenal", "tunne",
    "regist", "enregistr", "cadastr", "зарегистр", "зареєстр", "zarejestr", "terdaftar", "provision", "assigned", "attribu", "asignad", "vergeben",
    "listed", "recogni", "reconoc", "reconhec", "match", "hosted", "defined", "valid", "created", "belong", "pertene", "apparten", "behoort", "принадлеж", "figur", "consta ", "eingerichtet",
    "verzeichnet", "zugeordnet", "εγγεγραμμ", "значит", "числит", "пронађен", "pronaden", "najden", "nalezen", "dada de alta", "dado de alta",
    "in use", "in service", "in operation",
];

/// Words for none.
#[rustfmt::skip]
const NONE: &[&str] = &[
    "no ", "not a ", "not an ", "not our ", "not any ", "not my ", "not among ", "not one of ", "kein ", "keine ", "keinen ", "aucun ", "aucune ", "nessun ", "nessuna ", "nenhum ", "nenhuma ", "ningun ", "ninguna ", "geen ",
    "ingen ", "inget ", "khong co ", "brak ", "nie ma ", "neni ", "нет ", "немає ", "няма ", "nincs ", "nincsen ",
];

/// Words for "there is none" behind its noun.
const LACKING: &[&str] = &["yok", "нет ", "немає", "nincs", "없", "はいません"];

/// Nouns for the line of a directory in which an address stands.
#[rustfmt::skip]
const RECORD: &[&str] = &["entry", "record", "listing", "result", "such ", "eintrag"];

/// Verbs that have a part of the sentence between them and their negation: `existiert bei uns nicht`.
const VERB_FIRST: &[&str] = &[
    "gibt es ",
    "existiert ",
    "findet sich ",
    "kennen wir ",
    "bestaat ",
    "komt ",
    "kennen we ",
];

/// Tells whether `words` say that the address is not there.
pub fn says_absent(words: &Wording) -> bool {
    words.has_within(NEGATION, EXISTENCE, GAP)
        || words.has_within(EXISTENCE, NEGATION, 1)
        || words.has_within(VERB_FIRST, NEGATION, GAP)
        || words.has_before(NONE, PERSON)
        || words.has_before(NONE, RECORD)
        || words.has_within(PERSON, LACKING, LACKING_GAP)
}

#[cfg(test)]
mod tests {
    use super::{EXISTENCE, LACKING, NEGATION, NONE, RECORD, VERB_FIRST, says_absent};
    use crate::report::wording::Wording;

    #[test]
    fn absence_is_told_from_pairs_of_words() {
        for (reply, is_absent) in [
            ("x was never known here", true),
            ("no local mailbox answers", true),
            ("not an address that we ever assigned", true),
            ("no entry for x", true),
            ("brak tej skrzynki", true),
            ("kein aktives Postfach", true),
            ("bestaat niet", true),
            ("posta kutusu yok", true),
            ("no delivery to this mailbox", false),
            ("the mailbox exists", false),
            ("this is not our user", true),
            ("Konto existiert bei uns nicht", true),
        ] {
            assert_eq!(says_absent(&Wording::of(reply)), is_absent, "{reply}");
        }
    }

    #[test]
    fn every_word_is_written_as_it_is_looked_for() {
        let all = [EXISTENCE, LACKING, NEGATION, NONE, RECORD, VERB_FIRST].concat();
        let wrong: Vec<&str> = all
            .into_iter()
            .filter(|word| Wording::of(word).plain.trim().split("  ").next() != Some(word.trim()))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
