//! Text of an export: a string, or an array of strings and entity objects.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{json::Text, links::Links};

/// A text with its URLs.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) text: String,
    pub(super) links: Vec<String>,
}

/// Reads `text` or `text_entities`; what is neither of their forms gives an empty text.
pub(super) fn read(raw: Option<&RawValue>) -> Body {
    let Some(Parts { text, links }) = crate::read(raw) else {
        return Body::default();
    };
    let links = links.finish(&text);
    Body { text, links }
}

/// The text put together, with the marked URLs.
#[derive(Default)]
struct Parts {
    text: String,
    links: Links,
}

impl Parts {
    fn push(&mut self, part: &Part<'_>) {
        let start = self.text.len();
        self.text.push_str(part.text.as_str());
        let at = start..self.text.len();
        match part.kind.as_str() {
            "link" => self.links.mark(at, part.text.as_str()),
            "text_link" => self.links.mark(at, part.href.as_str()),
            _ => {}
        }
    }
}

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct AllParts;
        impl<'de> Visitor<'de> for AllParts {
            type Value = Parts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or its parts")
            }
            fn visit_str<E>(self, s: &str) -> Result<Parts, E> {
                Ok(Parts {
                    text: s.to_owned(),
                    links: Links::default(),
                })
            }
            fn visit_string<E>(self, text: String) -> Result<Parts, E> {
                Ok(Parts {
                    text,
                    links: Links::default(),
                })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Parts, A::Error> {
                let mut parts = Parts::default();
                while let Some(part) = seq.next_element::<Part<'de>>()? {
                    parts.push(&part);
                }
                Ok(parts)
            }
        }
        d.deserialize_any(AllParts)
    }
}

/// A part of a text: plain, or with what it is.
#[derive(Default)]
struct Part<'a> {
    kind: Text<'a>,
    text: Text<'a>,
    href: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct OnePart;
        impl<'de> Visitor<'de> for OnePart {
            type Value = Part<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an entity")
            }
            fn visit_borrowed_str<E>(self, s: &'de str) -> Result<Part<'de>, E> {
                Ok(Part {
                    text: Text::from(s),
                    ..Part::default()
                })
            }
            fn visit_str<E>(self, s: &str) -> Result<Part<'de>, E> {
                Ok(Part {
                    text: Text::from(s.to_owned()),
                    ..Part::default()
                })
            }
            fn visit_unit<E>(self) -> Result<Part<'de>, E> {
                Ok(Part::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part<'de>, A::Error> {
                let mut part = Part::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    let value = map.next_value::<Text<'de>>()?;
                    match key.as_str() {
                        "type" => part.kind = value,
                        "text" => part.text = value,
                        "href" => part.href = value,
                        _ => {}
                    }
                }
                Ok(part)
            }
        }
        d.deserialize_any(OnePart)
    }
}
