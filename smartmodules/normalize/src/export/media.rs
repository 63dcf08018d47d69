//! What an exported message carries beside text.

use serde::Deserialize;
use telesift_schemas::{Media, MessageKind};

use super::{entry::Entry, plain_kind};
use crate::{
    json::{Int, Text},
    read,
};

/// The kind of the message, and its medium if it has one. A service message may carry a photo, and stays one.
pub(super) fn of(entry: &Entry<'_>, is_service: bool) -> (MessageKind, Option<Media>) {
    let Some((kind, mut media)) = medium(entry) else {
        return (plain_kind(is_service), None);
    };
    media.width = entry.width.get();
    media.height = entry.height.get();
    media.duration = media.duration.or(entry.duration_seconds.get());
    let kind = if is_service {
        MessageKind::Service
    } else {
        kind
    };
    (kind, Some(media))
}

fn medium(entry: &Entry<'_>) -> Option<(MessageKind, Media)> {
    let described = |kind, description: Option<String>| {
        let media = Media {
            description,
            ..Media::default()
        };
        Some((kind, media))
    };
    if entry.file.is_present() || entry.media_type.is_present() {
        return Some(file(entry));
    }
    if entry.photo.is_present() {
        let media = Media {
            file: path(&entry.photo),
            size: entry.photo_file_size.get(),
            ..Media::default()
        };
        return Some((MessageKind::Photo, media));
    }
    if entry.poll.is_some() {
        return described(MessageKind::Poll, poll(entry));
    }
    if entry.contact_information.is_some() {
        return described(MessageKind::Contact, contact(entry));
    }
    if entry.place_name.is_present() || entry.address.is_present() {
        let place = [entry.place_name.as_str(), entry.address.as_str()];
        return described(MessageKind::Location, lines(place));
    }
    if entry.location_information.is_some() || entry.live_location_period_seconds.0.is_some() {
        return described(MessageKind::Location, location(entry));
    }
    if entry.game_title.is_present() {
        let game = [entry.game_title.as_str(), entry.game_description.as_str()];
        return described(MessageKind::Game, lines(game));
    }
    if entry.invoice_information.is_some() {
        let invoice: Titled<'_> = read(entry.invoice_information).unwrap_or_default();
        let text = [invoice.title.as_str(), invoice.description.as_str()];
        return described(MessageKind::Invoice, lines(text));
    }
    if entry.todo_list.is_some() {
        return described(MessageKind::Checklist, todo_list(entry));
    }
    if entry.giveaway_information.is_some() || entry.giveaway_results.is_some() {
        return described(MessageKind::Giveaway, None);
    }
    if entry.paid_stars_amount.0.is_some() {
        return described(MessageKind::PaidMedia, None);
    }
    if entry.dice.is_some() {
        let dice: Dice<'_> = read(entry.dice).unwrap_or_default();
        return described(MessageKind::Dice, dice.emoji.owned());
    }
    if entry.story_id.is_present() {
        return described(MessageKind::Story, None);
    }
    None
}

fn file(entry: &Entry<'_>) -> (MessageKind, Media) {
    let kind = match entry.media_type.as_str() {
        "sticker" => MessageKind::Sticker,
        "video_message" => MessageKind::VideoNote,
        "voice_message" => MessageKind::Voice,
        "animation" => MessageKind::Animation,
        "video_file" => MessageKind::Video,
        "audio_file" => MessageKind::Audio,
        _ => MessageKind::Document,
    };
    let description = match kind {
        MessageKind::Sticker => entry.sticker_emoji.owned(),
        MessageKind::Audio => match (entry.performer.non_empty(), entry.title.non_empty()) {
            (Some(performer), Some(title)) => Some(format!("{performer} – {title}")),
            (one, other) => one.or(other).map(str::to_owned),
        },
        _ => None,
    };
    let file = path(&entry.file);
    let name = entry.file_name.owned().or_else(|| {
        let path = file.as_deref()?;
        Some(path.rsplit('/').next().unwrap_or(path).to_owned())
    });
    let media = Media {
        name,
        mime: entry.mime_type.owned(),
        size: entry.file_size.get(),
        description,
        file,
        ..Media::default()
    };
    (kind, media)
}

/// The path in the export; a file that was not exported has a sentence in brackets instead, perhaps after its name.
fn path(text: &Text<'_>) -> Option<String> {
    let text = text.non_empty()?;
    let is_missing = text.ends_with(')')
        && ["(File ", "(Photo "]
            .iter()
            .any(|start| text.contains(start));
    (!is_missing).then(|| text.to_owned())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Titled<'a> {
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(borrow)]
    description: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Dice<'a> {
    #[serde(borrow)]
    emoji: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Poll<'a> {
    #[serde(borrow)]
    question: Text<'a>,
    #[serde(borrow)]
    answers: Vec<Line<'a>>,
}

/// A poll's answer or a checklist's task.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

fn poll(entry: &Entry<'_>) -> Option<String> {
    let poll: Poll<'_> = read(entry.poll)?;
    let answers = poll.answers.iter().map(|a| a.text.as_str());
    lines(std::iter::once(poll.question.as_str()).chain(answers))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TodoList<'a> {
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(borrow)]
    answers: Vec<Line<'a>>,
    #[serde(borrow)]
    items: Vec<Line<'a>>,
}

fn todo_list(entry: &Entry<'_>) -> Option<String> {
    let list: TodoList<'_> = read(entry.todo_list)?;
    let items = list.items.iter().chain(&list.answers);
    lines(std::iter::once(list.title.as_str()).chain(items.map(|i| i.text.as_str())))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Contact<'a> {
    #[serde(borrow)]
    first_name: Text<'a>,
    #[serde(borrow)]
    last_name: Text<'a>,
}

/// The name only: a telephone number is found in the raw record by whoever needs it.
fn contact(entry: &Entry<'_>) -> Option<String> {
    let contact: Contact<'_> = read(entry.contact_information)?;
    let name = format!(
        "{} {}",
        contact.first_name.as_str(),
        contact.last_name.as_str()
    );
    lines([name.trim()])
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

fn location(entry: &Entry<'_>) -> Option<String> {
    let location: Location = read(entry.location_information)?;
    Some(format!("{}, {}", location.latitude?, location.longitude?))
}

/// The texts that are not empty, a line each.
fn lines<'t>(texts: impl IntoIterator<Item = &'t str>) -> Option<String> {
    let texts: Vec<&str> = texts.into_iter().filter(|t| !t.is_empty()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// Used by service messages for lists of names.
pub(super) fn names(raw: Option<&serde_json::value::RawValue>) -> String {
    let names: Vec<Text<'_>> = read(raw).unwrap_or_default();
    let names: Vec<&str> = names.iter().filter_map(|n| n.non_empty()).collect();
    names.join(", ")
}

/// A duration in words, where there is one.
pub(super) fn seconds(n: Int) -> Option<String> {
    n.get::<u32>().map(|s| format!("{s} s"))
}
