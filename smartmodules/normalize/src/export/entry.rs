//! An entry of `messages` in an export, as Telegram Desktop writes it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{Int, Text};

/// Every field is optional: exports of ten years differ. Field names and meanings: `export_output_json.cpp` of Telegram
/// Desktop.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry<'a> {
    pub(super) id: Int,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) date_unixtime: Int,
    pub(super) edited_unixtime: Int,
    #[serde(borrow)]
    pub(super) edited: Text<'a>,
    #[serde(borrow)]
    pub(super) from: Text<'a>,
    #[serde(borrow)]
    pub(super) from_id: Text<'a>,
    #[serde(borrow)]
    pub(super) forwarded_from: Text<'a>,
    #[serde(borrow)]
    pub(super) forwarded_from_id: Text<'a>,
    #[serde(borrow)]
    pub(super) saved_from: Text<'a>,
    pub(super) reply_to_message_id: Int,
    #[serde(borrow)]
    pub(super) reply_to_peer_id: Text<'a>,
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) text_entities: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) reactions: Option<&'a RawValue>,

    // Service messages.
    #[serde(borrow)]
    pub(super) actor: Text<'a>,
    #[serde(borrow)]
    pub(super) actor_id: Text<'a>,
    #[serde(borrow)]
    pub(super) action: Text<'a>,
    #[serde(borrow)]
    pub(super) title: Text<'a>,
    #[serde(borrow)]
    pub(super) new_title: Text<'a>,
    #[serde(borrow)]
    pub(super) members: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) information_text: Text<'a>,
    #[serde(borrow)]
    pub(super) discard_reason: Text<'a>,

    // Media.
    #[serde(borrow)]
    pub(super) photo: Text<'a>,
    pub(super) photo_file_size: Int,
    #[serde(borrow)]
    pub(super) file: Text<'a>,
    #[serde(borrow)]
    pub(super) file_name: Text<'a>,
    pub(super) file_size: Int,
    #[serde(borrow)]
    pub(super) media_type: Text<'a>,
    #[serde(borrow)]
    pub(super) mime_type: Text<'a>,
    #[serde(borrow)]
    pub(super) sticker_emoji: Text<'a>,
    #[serde(borrow)]
    pub(super) performer: Text<'a>,
    pub(super) duration_seconds: Int,
    pub(super) width: Int,
    pub(super) height: Int,
    #[serde(borrow)]
    pub(super) contact_information: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) location_information: Option<&'a RawValue>,
    pub(super) live_location_period_seconds: Int,
    #[serde(borrow)]
    pub(super) place_name: Text<'a>,
    #[serde(borrow)]
    pub(super) address: Text<'a>,
    #[serde(borrow)]
    pub(super) poll: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) game_title: Text<'a>,
    #[serde(borrow)]
    pub(super) game_description: Text<'a>,
    #[serde(borrow)]
    pub(super) invoice_information: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) giveaway_information: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) giveaway_results: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) todo_list: Option<&'a RawValue>,
    pub(super) paid_stars_amount: Int,
    #[serde(borrow)]
    pub(super) story_id: Text<'a>,
    #[serde(borrow)]
    pub(super) dice: Option<&'a RawValue>,
}
