//! Dates without a zone, and what they are taken for.

use telesift_ports::source::{RawUpdate, message_identity};

use crate::support::{Export, SUPERGROUP, assumed, entries, supergroup, update};

/// The entry with these fields beside its id, read in the zone `tz`.
fn read(tz: &str, fields: &str) -> RawUpdate {
    let export = Export::new(supergroup(&format!(r#"{{"id": 7, {fields}}}"#)));
    let mut request = export.request();
    request.tz = tz.to_owned();
    update(entries(&request, 0).unwrap().remove(0))
}

fn kyiv(fields: &str) -> Option<(String, i64, Option<i64>)> {
    assumed(&read("Europe/Kyiv", fields))
}

fn at(utc: &str) -> i64 {
    utc.parse::<jiff::Timestamp>().unwrap().as_second()
}

#[test]
fn a_date_without_a_zone_is_taken_for_local_time() {
    for (local, utc) in [
        ("2026-01-05T12:00:00", "2026-01-05T10:00:00Z"), // winter
        ("2025-07-01T12:00:00", "2025-07-01T09:00:00Z"), // summer
        ("2024-03-31T02:59:59", "2024-03-31T00:59:59Z"),
        ("2024-03-31T03:30:00", "2024-03-31T01:30:00Z"), // there was no such time: clocks went on
        ("2024-03-31T04:00:00", "2024-03-31T01:00:00Z"),
        ("2024-10-27T02:59:59", "2024-10-26T23:59:59Z"),
        ("2024-10-27T03:30:00", "2024-10-27T00:30:00Z"), // there were two: the first
        ("2024-10-27T04:00:00", "2024-10-27T02:00:00Z"),
    ] {
        let expected = Some(("Europe/Kyiv".to_owned(), at(utc), None));
        assert_eq!(kyiv(&format!(r#""date": "{local}""#)), expected, "{local}");
    }
}

#[test]
fn utc_is_what_is_assumed_unless_told() {
    let update = read("UTC", r#""date": "2026-01-05T12:00:00""#);
    assert_eq!(
        assumed(&update),
        Some(("UTC".to_owned(), at("2026-01-05T12:00:00Z"), None))
    );
}

#[test]
fn unix_times_need_no_zone() {
    for unix in [r#""1767600000""#, "1767600000"] {
        let fields = format!(r#""date": "2026-01-05T12:00:00", "date_unixtime": {unix}"#);
        assert_eq!(kyiv(&fields), None);
    }
}

#[test]
fn an_edit_without_a_zone_is_local_time_too() {
    let fields = r#""date": "2026-01-05T12:00:00", "edited": "2026-01-05T12:01:40""#;
    let edited = at("2026-01-05T10:01:40Z");
    let update = read("Europe/Kyiv", fields);
    assert_eq!(
        assumed(&update).and_then(|(_, _, edited)| edited),
        Some(edited)
    );
    assert_eq!(update.unique, [message_identity(SUPERGROUP, 7, edited)]);
}

#[test]
fn an_edit_in_1970_is_none() {
    for (tz, never) in [
        ("Europe/Kyiv", "1970-01-01T03:00:00"),
        ("UTC", "1970-01-01T00:00:00"),
        ("Pacific/Honolulu", "1969-12-31T14:00:00"),
    ] {
        let update = read(
            tz,
            &format!(r#""date": "2026-01-05T12:00:00", "edited": "{never}""#),
        );
        assert_eq!(
            assumed(&update).map(|(_, _, edited)| edited),
            Some(None),
            "{tz}"
        );
        assert_eq!(update.unique, [message_identity(SUPERGROUP, 7, 0)]);
    }
}

#[test]
fn a_date_that_is_none_is_left_to_the_next_stage() {
    for fields in [
        r#""date": "yesterday""#,
        r#""date": null"#,
        r#""text": "no date""#,
    ] {
        let update = read("Europe/Kyiv", fields);
        assert_eq!(assumed(&update), None, "{fields}");
        assert_eq!(update.unique, [message_identity(SUPERGROUP, 7, 0)]);
    }
}
