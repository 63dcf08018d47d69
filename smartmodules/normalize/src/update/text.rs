//! Entities of a text: their offsets count UTF-16 code units.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    json::{Int, Text},
    links::Links,
    read,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entity<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    offset: Int,
    length: Int,
    #[serde(borrow)]
    url: Text<'a>,
}

/// The URLs of `text`: those of its entities and those that only stand there.
pub(super) fn links(text: &str, entities: Option<&RawValue>) -> Vec<String> {
    let mut links = Links::default();
    let mut entities: Vec<Entity<'_>> = read(entities).unwrap_or_default();
    entities.retain(|e| matches!(e.kind.as_str(), "url" | "text_link"));
    entities.sort_by_key(|e| e.offset.0);
    let mut cursor = Utf16Cursor::new(text);
    for entity in &entities {
        let (Some(offset), Some(length)) = (entity.offset.get(), entity.length.get()) else {
            continue;
        };
        let Some(range) = cursor.range(offset, length) else {
            continue;
        };
        match entity.kind.as_str() {
            "text_link" => links.mark(range, entity.url.as_str()),
            _ => links.mark(range.clone(), &text[range]),
        }
    }
    links.finish(text)
}

/// Turns ascending UTF-16 offsets of a text into byte offsets, in one pass.
struct Utf16Cursor<'t> {
    text: &'t str,
    byte: usize,
    unit: usize,
}

impl<'t> Utf16Cursor<'t> {
    fn new(text: &'t str) -> Self {
        Utf16Cursor {
            text,
            byte: 0,
            unit: 0,
        }
    }

    /// The bytes of `length` units from `offset` on; `None` if that is beyond the text, within a character, or before an
    /// earlier range's start.
    fn range(&mut self, offset: usize, length: usize) -> Option<Range<usize>> {
        self.advance(offset)?;
        let start = self.byte;
        let mut end = Utf16Cursor { ..*self };
        end.advance(offset.checked_add(length)?)?;
        Some(start..end.byte)
    }

    fn advance(&mut self, to: usize) -> Option<()> {
        let mut chars = self.text[self.byte..].chars();
        while self.unit < to {
            let c = chars.next()?;
            self.byte += c.len_utf8();
            self.unit += c.len_utf16();
        }
        (self.unit == to).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn offsets_count_utf16_units() {
        let text = "🎉 дивись https://a.example/ї тут";
        let entities = raw(
            r#"[{"type":"text_link","offset":30,"length":3,"url":"https://b.example"},
                {"type":"url","offset":10,"length":19},{"type":"bold","offset":0,"length":2}]"#,
        );
        assert_eq!(
            links(text, Some(&entities)),
            ["https://a.example/ї", "https://b.example"]
        );
    }

    #[test]
    fn offsets_outside_the_text_are_ignored() {
        let entities = raw(
            r#"[{"type":"url","offset":1,"length":1},{"type":"url","offset":-4,"length":2},
                {"type":"url","offset":0,"length":99},{"type":"url"},{"type":"url","offset":9e18,"length":9e18}]"#,
        );
        assert_eq!(links("🎉🎉", Some(&entities)), Vec::<String>::new());
    }
}
