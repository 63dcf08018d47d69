//! Files that cannot be imported: what a person is told, and at which byte.

use std::ops::ControlFlow;

use telesift_ports::ExportReader as _;
use telesift_telegram::DesktopExport;

use crate::support::{Export, refusal, supergroup};

const MESSAGE: &str =
    r#"{"id": 1, "type": "message", "date_unixtime": "1767600000", "text": "hi"}"#;

/// The byte at which `needle` begins.
fn byte_of(text: &str, needle: &str) -> u64 {
    text.find(needle).unwrap() as u64
}

#[test]
fn other_formats_are_named_with_what_to_do() {
    for (content, said) in [
        (&b"<!DOCTYPE html>\n<html>"[..], "Machine-readable JSON"),
        (b"\xef\xbb\xbf  \n<html>", "Machine-readable JSON"),
        (
            b"PK\x03\x04\x14\0\0\0",
            "unpack it and import the `result.json` inside",
        ),
        (b"\x1f\x8b\x08\0\0", "this is a gzip file"),
        (b"\xff\xfe{\0}\0", "this file is UTF-16"),
        (b"", "the file is empty"),
        (b" \r\n\t ", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
    ] {
        let (byte_offset, cause) = refusal(content);
        assert_eq!(byte_offset, 0, "{cause}");
        assert!(cause.contains(said), "{cause}");
    }
}

#[test]
fn json_of_another_shape_is_refused() {
    for (content, at, said) in [
        ("[]", 0, "expected a Telegram Desktop export (an object)"),
        ("42", 1, "expected a Telegram Desktop export (an object)"),
        ("{}", 0, "no chats found"),
        (r#"{"chats": {"about": "…"}}"#, 0, "no chats found"),
        (r#"{"messages": {}}"#, 13, "expected a list of messages"),
        (
            r#"{"chats": []}"#,
            10,
            "expected an object with a `list` of chats",
        ),
        (r#"{"messages": []} {}"#, 17, "trailing characters"),
    ] {
        let (byte_offset, cause) = refusal(content);
        assert!(cause.contains(said), "{content}: {cause}");
        assert_eq!(byte_offset, at, "{content}: {cause}");
    }
}

#[test]
fn an_export_cut_short_at_any_byte_is_refused_at_its_end() {
    let full = format!(
        "{{\n \"about\": \"Ось ваш експорт\",\n \"chats\": {{\"list\": [\n  {{\"name\": \"Чат \\u2764\", \"type\": \"private_group\", \
         \"id\": 77, \"messages\": [\n   {MESSAGE},\n   {{\"id\": 2, \"text\": [\"a\", {{\"type\": \"bold\", \"text\": \"б\"}}]}}\n  ]}}\n \
         ]}},\n \"left_chats\": {{\"list\": []}}\n}}"
    );
    assert_eq!(Export::new(&full).entries().len(), 2);
    for cut in 1..full.len() {
        let (byte_offset, cause) = refusal(&full.as_bytes()[..cut]);
        assert_eq!(byte_offset, cut as u64, "{cause}");
        assert!(
            cause.starts_with("the file ends in the middle"),
            "{cut}: {cause}"
        );
    }
}

#[test]
fn an_export_damaged_at_any_byte_never_panics() {
    let full = supergroup(MESSAGE).into_bytes();
    for at in 0..full.len() {
        for byte in [b'\0', b'"', b'{', b']', b'\\', b'\n', 0x80, 0xff] {
            let mut damaged = full.clone();
            damaged[at] = byte;
            let export = Export::new(&damaged);
            match export.validate() {
                Ok(summary) => assert_eq!(export.entries().len() as u64, summary.n_entries),
                Err(_) => drop(refusal(&damaged)),
            }
        }
    }
}

#[test]
fn the_offset_is_that_of_the_byte_at_fault() {
    for line_end in ["\n", "\r\n", ""] {
        let text = supergroup(&format!(
            "{line_end}{MESSAGE},{line_end}{{\"id\": 2 oops}}{line_end}"
        ));
        for mark in ["", "\u{feff}"] {
            let content = format!("{mark}{text}");
            let (byte_offset, cause) = refusal(&content);
            assert_eq!(byte_offset, byte_of(&content, "oops"), "{content:?}");
            assert_eq!(cause, "expected `,` or `}`");
        }
    }
    // A line feed may itself be what is wrong.
    let content = supergroup("{\"id\": 2, \"text\": \"a\nb\"}");
    assert_eq!(refusal(&content).0, byte_of(&content, "\n"));
}

#[test]
fn the_offset_is_right_far_into_a_file() {
    let many = vec![MESSAGE; 3_000].join(",\n");
    let content = supergroup(&format!("{many},\n{MESSAGE} oops"));
    assert!(content.len() > 3 << 16);
    assert_eq!(refusal(&content).0, byte_of(&content, "oops"));
}

#[test]
fn an_entry_that_is_no_object_is_named() {
    for entry in ["42", "-1.5e3", "\"text\"", "null", "true", "[{}]"] {
        let content = supergroup(&format!("{MESSAGE},\n  {entry}\n , {MESSAGE}"));
        let (byte_offset, cause) = refusal(&content);
        assert_eq!(cause, "entry 2 of `messages` is not an object");
        assert_eq!(
            byte_offset,
            byte_of(&content, &format!("{entry}\n ")),
            "{entry}"
        );
    }
}

#[test]
fn a_chat_with_messages_must_say_which_it_is() {
    for (header, said) in [
        (r#""type": "personal_chat""#, "has no `id`"),
        (r#""id": 5"#, "has no `type`"),
        (r#""id": null, "type": "personal_chat""#, "has no `id`"),
    ] {
        let (_, cause) = refusal(format!("{{{header}, \"messages\": [{MESSAGE}]}}"));
        assert!(cause.contains(said), "{cause}");
        // Without messages there is nothing to lose.
        let empty = Export::new(format!("{{{header}, \"messages\": []}}"));
        assert_eq!(empty.validate().unwrap().n_entries, 0);
    }
    let (_, cause) = refusal(format!(
        r#"{{"id": "x", "type": "personal_chat", "messages": [{MESSAGE}]}}"#
    ));
    assert!(cause.contains("expected the id of a chat"), "{cause}");
}

#[test]
fn messages_given_twice_are_refused() {
    let (_, cause) =
        refusal(r#"{"id": 5, "type": "personal_chat", "messages": [], "messages": []}"#);
    assert_eq!(cause, "duplicate field `messages`");
}

#[test]
fn a_byte_that_is_not_utf8_is_found() {
    let far = "x".repeat(70_000);
    for pad in ["", far.as_str(), &far[..65_535 - 120]] {
        let text = supergroup(&format!(r#"{{"id": 1, "text": "{pad}кава ?"}}"#));
        let at = byte_of(&text, "?");
        for bad in [0xff, 0x80, 0xd0] {
            let mut content = text.clone().into_bytes();
            content[at as usize] = bad;
            let (byte_offset, cause) = refusal(&content);
            assert_eq!(byte_offset, at, "{cause}");
            assert!(
                cause.contains("not UTF-8"),
                "{} {bad:x} {at} {cause}",
                pad.len()
            );
        }
    }
}

#[test]
fn a_broken_file_is_refused_before_anything_of_it_is_read_and_again_at_the_fault() {
    let export = Export::new(supergroup(&format!("{MESSAGE}, oops")));
    let refused = export.validate().unwrap_err();
    let mut n_given = 0;
    let read = DesktopExport.read("import-1", &export.request(), 0, &mut |_, _| {
        n_given += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(read.unwrap_err().to_string(), refused.to_string());
    assert_eq!(n_given, 1);
}

#[test]
fn a_header_is_found_after_the_messages_and_none_comes_twice() {
    let late = r#"{"messages": [MESSAGE], "type": "public_supergroup", "name": "Ferry", "id": 2100000001}"#;
    let half = r#"{"type": "public_supergroup", "id": 2100000001, "messages": [MESSAGE], "name": "Ferry"}"#;
    let early = r#"{"id": 2100000001, "name": "Ferry", "type": "public_supergroup", "messages": [MESSAGE]}"#;
    let given =
        [late, half, early].map(|chat| Export::new(chat.replace("MESSAGE", MESSAGE)).entries());
    assert_eq!(given[0].len(), 1);
    assert!(given.iter().all(|g| *g == given[0]), "{given:?}");
    let twice = early.replace(r#""name": "Ferry""#, r#""name": "Ferry", "name": "Port""#);
    let export = Export::new(twice.replace("MESSAGE", MESSAGE));
    let refused = export.validate().unwrap_err();
    assert!(
        refused.to_string().contains("duplicate field `name`"),
        "{refused}"
    );
}

#[test]
fn an_unknown_zone_is_named() {
    let mut request = Export::new(supergroup(MESSAGE)).request();
    request.tz = "Europe/Kyyiv".to_owned();
    let refused = DesktopExport.validate(&request).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "unknown time zone `Europe/Kyyiv`; use an IANA name such as `Europe/Kyiv`"
    );
}
