//! Lenient JSON scalars, so that one odd field does not make a message unreadable.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A text. Numbers count as they are written; `null`, lists and objects are empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text<'a>(Option<Cow<'a, str>>);

impl<'a> Text<'a> {
    /// The text, empty where there is none.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }

    /// The text, unless it is empty.
    pub(crate) fn non_empty(&self) -> Option<&str> {
        self.0.as_deref().filter(|t| !t.is_empty())
    }

    /// The text as a `String`, unless it is empty.
    pub(crate) fn owned(&self) -> Option<String> {
        self.non_empty().map(str::to_owned)
    }

    /// Whether the field was there, be it `null`.
    pub(crate) fn is_present(&self) -> bool {
        self.0.is_some()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text(Some(Cow::Borrowed(text)))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Text(Some(Cow::Owned(text)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_borrowed_str<E>(self, s: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(s))))
    }
    fn visit_str<E>(self, s: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(s.to_owned()))))
    }
    fn visit_string<E>(self, s: String) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(s))))
    }
    fn visit_i64<E>(self, n: i64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(n.to_string()))))
    }
    fn visit_u64<E>(self, n: u64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(n.to_string()))))
    }
    fn visit_f64<E>(self, n: f64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(n.to_string()))))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(""))))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(""))))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(Some(Cow::Borrowed(""))))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(Some(Cow::Borrowed(""))))
    }
}

/// A whole number, written as a number or as a text; anything else is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Int(pub(crate) Option<i64>);

impl Int {
    /// The number, where it fits what is wanted.
    pub(crate) fn get<T: TryFrom<i64>>(self) -> Option<T> {
        self.0.and_then(|n| T::try_from(n).ok())
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(IntVisitor)
    }
}

struct IntVisitor;

impl<'de> Visitor<'de> for IntVisitor {
    type Value = Int;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }
    fn visit_str<E>(self, s: &str) -> Result<Int, E> {
        Ok(Int(s.trim().parse().ok()))
    }
    fn visit_i64<E>(self, n: i64) -> Result<Int, E> {
        Ok(Int(Some(n)))
    }
    fn visit_u64<E>(self, n: u64) -> Result<Int, E> {
        Ok(Int(i64::try_from(n).ok()))
    }
    fn visit_f64<E>(self, n: f64) -> Result<Int, E> {
        // Exact up to 2⁵³; ids and times lie far below.
        let is_exact = n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0;
        Ok(Int(is_exact.then_some(n as i64)))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Int, E> {
        Ok(Int(None))
    }
    fn visit_unit<E>(self) -> Result<Int, E> {
        Ok(Int(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Int, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Int(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Int, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Int(None))
    }
}
