//! Media of the Bot API, described.

use serde::Deserialize;
use serde_json::value::RawValue;
use telesift_schemas::{Media, MessageKind};

use super::parties::Party;
use crate::{
    json::{Int, Text},
    read,
};

/// Fields of a message that hold a medium, the telling ones first: an animation comes with a `document` too, and a venue
/// with a `location`.
pub(super) const KINDS: &[(&str, MessageKind)] = &[
    ("animation", MessageKind::Animation),
    ("audio", MessageKind::Audio),
    ("paid_media", MessageKind::PaidMedia),
    ("live_photo", MessageKind::Photo),
    ("photo", MessageKind::Photo),
    ("sticker", MessageKind::Sticker),
    ("story", MessageKind::Story),
    ("video", MessageKind::Video),
    ("video_note", MessageKind::VideoNote),
    ("voice", MessageKind::Voice),
    ("document", MessageKind::Document),
    ("checklist", MessageKind::Checklist),
    ("contact", MessageKind::Contact),
    ("dice", MessageKind::Dice),
    ("game", MessageKind::Game),
    ("giveaway", MessageKind::Giveaway),
    ("giveaway_winners", MessageKind::Giveaway),
    ("invoice", MessageKind::Invoice),
    ("poll", MessageKind::Poll),
    ("venue", MessageKind::Location),
    ("location", MessageKind::Location),
];

/// The rank of the field `key`, if it holds a medium.
pub(super) fn rank(key: &str) -> Option<usize> {
    KINDS.iter().position(|(name, _)| *name == key)
}

/// Everything media objects have that counts here; their fields do not collide.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Medium<'a> {
    #[serde(borrow)]
    file_id: Text<'a>,
    #[serde(borrow)]
    file_name: Text<'a>,
    #[serde(borrow)]
    mime_type: Text<'a>,
    file_size: Int,
    duration: Int,
    width: Int,
    height: Int,
    /// Width and height of a video note.
    length: Int,
    #[serde(borrow)]
    emoji: Text<'a>,
    #[serde(borrow)]
    performer: Text<'a>,
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(borrow)]
    description: Text<'a>,
    #[serde(borrow)]
    address: Text<'a>,
    #[serde(borrow)]
    first_name: Text<'a>,
    #[serde(borrow)]
    last_name: Text<'a>,
    #[serde(borrow)]
    question: Text<'a>,
    #[serde(borrow)]
    options: Option<&'a RawValue>,
    #[serde(borrow)]
    tasks: Option<&'a RawValue>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    #[serde(borrow)]
    prize_description: Text<'a>,
    #[serde(borrow)]
    chat: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

/// Describes the medium of that rank.
pub(super) fn read_medium(rank: usize, raw: &RawValue) -> Media {
    let (field, kind) = KINDS[rank];
    let medium = if field == "photo" {
        largest(raw)
    } else {
        read::<Medium<'_>>(Some(raw)).unwrap_or_default()
    };
    Media {
        description: describe(&medium, kind),
        file: medium.file_id.owned(),
        name: medium.file_name.owned(),
        mime: medium.mime_type.owned(),
        size: medium.file_size.get(),
        duration: medium.duration.get(),
        width: medium.width.get().or(medium.length.get()),
        height: medium.height.get().or(medium.length.get()),
    }
}

/// A photo comes in several sizes.
fn largest(raw: &RawValue) -> Medium<'_> {
    let sizes: Vec<Medium<'_>> = read(Some(raw)).unwrap_or_default();
    let area = |m: &Medium<'_>| {
        let side = |n: Int| n.get::<u32>().map_or(0, u64::from);
        side(m.width) * side(m.height)
    };
    sizes.into_iter().max_by_key(area).unwrap_or_default()
}

/// What a search should find.
fn describe(medium: &Medium<'_>, kind: MessageKind) -> Option<String> {
    match kind {
        MessageKind::Sticker | MessageKind::Dice => medium.emoji.owned(),
        MessageKind::Audio => match (medium.performer.non_empty(), medium.title.non_empty()) {
            (Some(performer), Some(title)) => Some(format!("{performer} – {title}")),
            (one, other) => one.or(other).map(str::to_owned),
        },
        MessageKind::Contact => {
            let name = [medium.first_name.as_str(), medium.last_name.as_str()].join(" ");
            Some(name.trim().to_owned()).filter(|n| !n.is_empty())
        }
        MessageKind::Poll => lines(&medium.question, medium.options),
        MessageKind::Checklist => lines(&medium.title, medium.tasks),
        MessageKind::Game | MessageKind::Invoice => join(&medium.title, &medium.description),
        MessageKind::Location => join(&medium.title, &medium.address)
            .or_else(|| Some(format!("{}, {}", medium.latitude?, medium.longitude?))),
        MessageKind::Giveaway => medium.prize_description.owned(),
        MessageKind::Story => read::<Party<'_>>(medium.chat).and_then(|c| c.name()),
        _ => None,
    }
}

fn join(first: &Text<'_>, second: &Text<'_>) -> Option<String> {
    match (first.non_empty(), second.non_empty()) {
        (Some(first), Some(second)) => Some(format!("{first}\n{second}")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

fn lines(head: &Text<'_>, list: Option<&RawValue>) -> Option<String> {
    let list: Vec<Line<'_>> = read(list).unwrap_or_default();
    let texts = list.iter().map(|line| line.text.as_str());
    let texts: Vec<&str> = std::iter::once(head.as_str())
        .chain(texts)
        .filter(|t| !t.is_empty())
        .collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}
