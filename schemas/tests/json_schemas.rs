//! The JSON Schemas that lie in `schemas/json`, and the example payloads kept for ever, are what the types say.

use std::{env, fs, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use telesift_schemas::{
    Atom, Burst, DeadLetter, Decision, Extraction, Marker, Message, RawRecord, Reactions,
    ScreenStats, StoryAssigned, StorySpread, Trend, UnitRecord,
};

fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

#[test]
fn checked_in_schemas_are_those_of_the_types() {
    let schemas = [
        ("telegram-raw", schemars::schema_for!(RawRecord<'_>)),
        ("messages", schemars::schema_for!(Message)),
        ("messages-marker", schemars::schema_for!(Marker)),
        ("reactions", schemars::schema_for!(Reactions)),
        ("stories", schemars::schema_for!(StoryAssigned)),
        ("units", schemars::schema_for!(UnitRecord)),
        ("extractions", schemars::schema_for!(Extraction)),
        ("atoms", schemars::schema_for!(Atom)),
        ("screen-stats", schemars::schema_for!(ScreenStats)),
        ("trends", schemars::schema_for!(Trend)),
        ("bursts", schemars::schema_for!(Burst)),
        ("story-spread", schemars::schema_for!(StorySpread)),
        ("dead-letters", schemars::schema_for!(DeadLetter)),
        ("decisions", schemars::schema_for!(Decision)),
    ];
    let bless = env::var_os("TELESIFT_BLESS").is_some();
    for (topic, schema) in schemas {
        let path = path(&format!("json/{topic}.schema.json"));
        let fresh = schema.to_value();
        if bless {
            fs::write(&path, format!("{fresh:#}\n")).unwrap();
        }
        // Compared as values: whether JSON keeps the order of fields depends on what else is built with this crate.
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            serde_json::from_str(&kept).ok() == Some(fresh),
            "json/{topic}.schema.json is stale: run this test with TELESIFT_BLESS=1 and commit what changed"
        );
    }
}

/// Reads an example of version 1 as `T` and writes it again; the payload must be the same, field by field and in order.
fn assert_kept<T: Serialize + DeserializeOwned>(topic: &str) {
    let text = fs::read_to_string(path(&format!("examples/v1/{topic}.json"))).expect("an example");
    let record: T = serde_json::from_str(&text).expect("a record");
    let written = serde_json::to_string_pretty(&record).expect("JSON");
    assert_eq!(written, text.trim_end(), "{topic}");
}

#[test]
fn examples_of_version_1_read_and_write_unchanged() {
    assert_kept::<Message>("messages");
    assert_kept::<Marker>("messages-marker");
    assert_kept::<Reactions>("reactions");
    assert_kept::<StoryAssigned>("stories");
    assert_kept::<UnitRecord>("units");
    assert_kept::<UnitRecord>("units-touched");
    assert_kept::<UnitRecord>("units-labelled");
    assert_kept::<Extraction>("extractions");
    assert_kept::<Extraction>("extractions-generation");
    assert_kept::<Atom>("atoms");
    assert_kept::<StoryAssigned>("stories-times");
    assert_kept::<ScreenStats>("screen-stats");
    assert_kept::<Trend>("trends");
    assert_kept::<Burst>("bursts");
    assert_kept::<Burst>("bursts-silence");
    assert_kept::<StorySpread>("story-spread");
    assert_kept::<DeadLetter>("dead-letters");
    assert_kept::<DeadLetter>("dead-letters-solved");
    assert_kept::<Decision>("decisions");
    assert_kept::<Decision>("decisions-rules-added");
    assert_kept::<Decision>("decisions-rules-activated");
    assert_kept::<Decision>("decisions-atom-reviewed");
    assert_kept::<Decision>("decisions-subject-changed");
    assert_kept::<Decision>("decisions-approval-rules-set");
    assert_kept::<Decision>("decisions-chat-set");
    assert_kept::<Decision>("decisions-readings-switched");
}

#[test]
fn the_examples_of_raw_records_keep_their_payload_byte_for_byte() {
    for name in ["telegram-raw", "telegram-raw-update"] {
        let text = fs::read_to_string(path(&format!("examples/v1/{name}.json"))).unwrap();
        let record: RawRecord<'_> = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text.trim_end());
    }
}
