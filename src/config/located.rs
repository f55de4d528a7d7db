//! Reads the values of a configuration from a TOML document that knows where each of them stands. A refusal says which
//! entry is wrong and what was expected, in the words of whoever writes the file; serde's name types.

use std::fmt;
use std::ops::Range;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

/// What is wrong with one entry.
#[derive(Debug)]
pub enum EntryFault {
    /// There is no such key; these there are.
    UnknownKey(&'static [&'static str]),
    /// The value is not allowed, for this reason.
    Value(String),
}

/// One entry that is wrong.
#[derive(Debug)]
pub struct WrongEntry {
    /// The tables that it stands in, and its key.
    pub path: Vec<String>,
    /// Which bytes of the text are wrong.
    pub span: Option<Range<usize>>,
    /// What is wrong.
    pub trouble: EntryFault,
}

impl WrongEntry {
    fn expected(what: impl fmt::Display) -> Self {
        de::Error::custom(format_args!("expected {what}"))
    }

    /// Says in which entry it is.
    fn within(mut self, key: &Spanned<DeString<'_>>, span: Range<usize>) -> Self {
        self.path.insert(0, key.get_ref().to_string());
        self.span.get_or_insert(span);
        self
    }
}

impl fmt::Display for WrongEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.trouble)
    }
}

impl std::error::Error for WrongEntry {}

impl de::Error for WrongEntry {
    fn custom<T: fmt::Display>(cause: T) -> Self {
        Self {
            path: Vec::new(),
            span: None,
            trouble: EntryFault::Value(cause.to_string()),
        }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(expected)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(expected)
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Self::expected(one_of(variants))
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self {
            trouble: EntryFault::UnknownKey(known),
            ..Self::expected("")
        }
    }
}

/// One value of a document.
#[derive(Clone, Copy)]
pub struct Located<'de>(pub &'de DeValue<'de>);

impl Located<'_> {
    fn count(self, most: u64) -> Result<u64, WrongEntry> {
        let DeValue::Integer(number) = self.0 else {
            return Err(WrongEntry::expected("a number, without quotes"));
        };
        match integer(number) {
            Some(number) if u64::try_from(number).is_ok_and(|number| number <= most) => Ok(number.unsigned_abs()),
            Some(..0) => Err(WrongEntry::expected("a number that is not negative")),
            _ => Err(WrongEntry::expected(format_args!("a number of at most {most}"))),
        }
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

impl<'de> Deserializer<'de> for Located<'de> {
    type Error = WrongEntry;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongEntry> {
        match self.0 {
            DeValue::String(text) => visitor.visit_borrowed_str(text),
            DeValue::Integer(number) => match integer(number) {
                Some(number) => visitor.visit_i64(number),
                None => Err(WrongEntry::expected(&visitor as &dyn Expected)),
            },
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            DeValue::Array(items) => visitor.visit_seq(Items(items.iter())),
            DeValue::Table(table) => visitor.visit_map(Entries::of(table)),
            DeValue::Float(_) | DeValue::Datetime(_) => Err(WrongEntry::expected(&visitor as &dyn Expected)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongEntry> {
        match self.0.as_bool() {
            Some(value) => visitor.visit_bool(value),
            None => Err(WrongEntry::expected("true or false, without quotes")),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongEntry> {
        visitor.visit_u64(self.count(u64::from(u32::MAX))?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongEntry> {
        visitor.visit_u64(self.count(u64::MAX)?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongEntry> {
        match self.0.as_str() {
            Some(text) => visitor.visit_borrowed_str(text),
            None => Err(WrongEntry::expected("text in quotes")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongEntry> {
        self.deserialize_string(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongEntry> {
        match self.0.as_array() {
            Some(items) => visitor.visit_seq(Items(items.iter())),
            None => Err(WrongEntry::expected("a list in brackets, such as [\"...\"]")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongEntry> {
        match self.0.as_table() {
            Some(table) => visitor.visit_map(Entries::of(table)),
            None => Err(WrongEntry::expected(
                "a table: its name in brackets on a line, its keys below",
            )),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WrongEntry> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WrongEntry> {
        match self.0.as_str() {
            Some(text) => visitor.visit_enum(StrDeserializer::<WrongEntry>::new(text)),
            None => Err(WrongEntry::expected(format_args!("{}, in quotes", one_of(variants)))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, WrongEntry> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct identifier
        ignored_any
    }
}

/// The entries of a table, one after the other.
struct Entries<'de, I> {
    rest: I,
    entry: Option<(&'de Spanned<DeString<'de>>, &'de Spanned<DeValue<'de>>)>,
}

impl<'de> Entries<'de, ()> {
    fn of(table: &'de DeTable<'de>) -> impl MapAccess<'de, Error = WrongEntry> {
        Entries {
            rest: table.iter(),
            entry: None,
        }
    }
}

impl<'de, I> MapAccess<'de> for Entries<'de, I>
where
    I: Iterator<Item = (&'de Spanned<DeString<'de>>, &'de Spanned<DeValue<'de>>)>,
{
    type Error = WrongEntry;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, WrongEntry> {
        self.entry = self.rest.next();
        let Some((key, _)) = self.entry else { return Ok(None) };
        let name: &'de str = key.get_ref();
        let read = seed.deserialize(name.into_deserializer());
        read.map(Some).map_err(|e: WrongEntry| e.within(key, key.span()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, WrongEntry> {
        let Some((key, value)) = self.entry else {
            return Err(WrongEntry::expected("a value"));
        };
        let read = seed.deserialize(Located(value.get_ref()));
        read.map_err(|e| e.within(key, value.span()))
    }
}

/// The items of a list, one after the other.
struct Items<I>(I);

impl<'de, I: Iterator<Item = &'de Spanned<DeValue<'de>>>> SeqAccess<'de> for Items<I> {
    type Error = WrongEntry;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, WrongEntry> {
        let Some(item) = self.0.next() else { return Ok(None) };
        let read = seed.deserialize(Located(item.get_ref()));
        read.map(Some).map_err(|mut e| {
            e.span.get_or_insert(item.span());
            e
        })
    }
}

/// Lists what is allowed.
pub fn one_of(allowed: &[&str]) -> String {
    match allowed.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}
