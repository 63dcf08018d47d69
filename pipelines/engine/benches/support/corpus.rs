//! Raw records for tests and benches: synthetic ones, and real exports and posts from beside the checkout.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// Messages of our own: every form a score looks at, and texts that break sloppy code.
#[allow(
    clippy::allow_attributes,
    dead_code,
    reason = "the bench has no use for it"
)]
pub(crate) fn own() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "ok",
        "+1",
        "Критична помилка: падає сервер",
        "Token refresh is broken, users are logged out",
        "N+1 запит на списку замовлень, дивіться `SELECT * FROM orders`",
        "доброго ранку всім, гарного дня!",
        "Зapaбoтoк бeз влoжeний, дoхoд oт 300$ в дeнь, пишитe в личку @manager",
        "👩‍👩‍👧‍👦👍🏽🇺🇦",
        "e\u{301}\u{301}\u{301} и\u{306} \u{1f468}\u{200d}",
        "\u{0}\u{1}\u{7f}\u{85}\u{ad}\u{200b}\u{2028}\u{2029}\u{feff}\u{fffd}\u{10ffff}",
        "服务器崩溃了，用户无法登录？",
        "تعطل الخادم ولا يمكن للمستخدمين تسجيل الدخول",
        "שלום עולם, השרת נפל",
        "เซิร์ฟเวอร์ล่ม ผู้ใช้เข้าสู่ระบบไม่ได้",
        "ДУЖЕ ВАЖЛИВО!!! ПРОЧИТАЙТЕ ВСІ!!!",
        "суууупер кллааааас ааааааааа",
        "- раз\n- два\n• три\n1. чотири\n2) пʼять",
        "```\nTraceback (most recent call last):\n    at main() {\n};\n```",
        "https://example.com/?q=1&r=2 t.me/+abcdef @user #тег name@example.com C++ C# .NET",
        "ﬁne ＡＢＣ１ İstanbul Straße ŁÓDŹ ΣΊΣΥΦΟΣ",
        "\"лапки\" \\ слеш \u{8} \u{c}",
    ];
    let long = "Сервер впав о 03:12, користувачі не можуть увійти; причина — вичерпано зʼєднання. "
        .repeat(80);
    let header = json!({"id": 1_712_691_810, "type": "public_supergroup", "name": "Команда \"А\""});
    let message = |(i, text): (usize, &str)| {
        json!({
            "id": i, "type": "message", "date": "2026-01-05T10:00:00", "date_unixtime": "1767607200",
            "from": "Оксана", "from_id": "user777", "text": text, "text_entities": [{"type": "plain", "text": text}],
        })
    };
    let mut messages: Vec<Value> = texts
        .into_iter()
        .chain([long.as_str()])
        .enumerate()
        .map(message)
        .collect();
    let with = |extra: Value| {
        let mut message = message((99, "Релиз 2.0 вышел"));
        merge(&mut message, extra);
        message
    };
    messages.push(with(
        json!({"edited": "2026-01-05T11:00:00", "edited_unixtime": "1767610800"}),
    ));
    messages.push(with(
        json!({"reply_to_message_id": 40, "forwarded_from": "Новости"}),
    ));
    messages.push(with(
        json!({"photo": "photos/1.jpg", "width": 800, "height": 600}),
    ));
    messages.push(with(json!({"type": "service", "actor": "Оксана", "actor_id": "user777", "action": "pin_message", "message_id": 4, "text": ""})));
    messages.push(with(json!({"type": "unheard_of"})));
    let mut raws: Vec<Vec<u8>> = messages.iter().map(|m| raw(&header, m)).collect();
    raws.push(b"no JSON".to_vec());
    raws.push(vec![0xff, 0x00, 0xc3]);
    raws.push(br#"{"v":1}"#.to_vec());
    raws.push(Vec::new());
    raws
}

/// Every message of the exports beside the checkout; `None`, aloud, where they are not there.
pub(crate) fn exports() -> Option<Vec<Vec<u8>>> {
    let folder = shared("exports")?;
    let mut files = Vec::new();
    find_json(&folder, &mut files);
    files.sort();
    let mut raws = Vec::new();
    for file in files {
        let Ok(export) = serde_json::from_str::<Value>(&fs::read_to_string(&file).ok()?) else {
            continue; // broken on purpose
        };
        let chats = match export["chats"]["list"].as_array() {
            Some(chats) => chats.clone(),
            None => vec![export],
        };
        for chat in &chats {
            let header = json!({"id": chat["id"], "type": chat["type"], "name": chat["name"]});
            raws.extend(
                chat["messages"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|m| raw(&header, m)),
            );
        }
    }
    Some(raws)
}

/// Every post beside the checkout, in the form of an export.
pub(crate) fn posts() -> Option<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    find_json(&shared("posts")?, &mut files);
    files.sort();
    files.retain(|file| file.to_string_lossy().ends_with("_messages.json"));
    let mut raws = Vec::new();
    for file in files {
        let posts: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file).ok()?).ok()?;
        for post in posts {
            let id = post["sender_id"].as_i64().unwrap_or_default();
            let header = json!({"id": id, "type": "public_channel", "name": post["channel"]});
            let message = json!({
                "id": post["message_id"], "type": "message", "date": "2024-12-04T09:00:28",
                "date_unixtime": "1733302828", "from": post["channel"], "from_id": "channel1000724666",
                "text": post["text"], "text_entities": [{"type": "plain", "text": post["text"]}],
            });
            raws.push(raw(&header, &message));
        }
    }
    Some(raws)
}

fn raw(header: &Value, message: &Value) -> Vec<u8> {
    let source = json!({"kind": "export", "import": "test"});
    format!(r#"{{"v":1,"source":{source},"chat":{header},"payload":{message}}}"#).into_bytes()
}

fn merge(into: &mut Value, extra: Value) {
    if let (Value::Object(into), Value::Object(extra)) = (into, extra) {
        into.extend(extra);
    }
}

fn find_json(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_json(&path, files);
        } else if path.extension().is_some_and(|e| e == "json") && !path.ends_with("metadata.json")
        {
            files.push(path);
        }
    }
}

fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there", path.display());
    None
}
