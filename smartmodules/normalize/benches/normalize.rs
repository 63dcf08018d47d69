//! How many raw records a second one core normalises.

use divan::{Bencher, black_box, counter::ItemsCount};

fn main() {
    divan::main();
}

const TEXT: &str = "Вчора ввечері сервер знову впав: помилка підключення до бази, логи в каналі. ";

fn export(n_repeats: usize) -> Vec<u8> {
    let text = TEXT.repeat(n_repeats);
    format!(
        r#"{{"v":1,"source":{{"kind":"export","import":"i1"}},"chat":{{"id":2100000001,"type":"private_supergroup","name":"Ops"}},"payload":{{"id":42,"type":"message","date":"2026-01-05T10:00:00","date_unixtime":"1767607200","from":"Olena","from_id":"user777","text":"{text}","text_entities":[{{"type":"plain","text":"{text}"}}]}}}}"#
    )
    .into_bytes()
}

fn update() -> Vec<u8> {
    format!(
        r#"{{"v":1,"source":{{"kind":"webhook","bot":"ops"}},"chat":null,"payload":{{"update_id":1,"message":{{"message_id":42,"from":{{"id":777,"is_bot":false,"first_name":"Olena"}},"chat":{{"id":-1002100000001,"title":"Ops","type":"supergroup"}},"date":1767607200,"text":"{TEXT}"}}}}}}"#
    )
    .into_bytes()
}

fn run(bencher: Bencher<'_, '_>, raw: &[u8]) {
    let mut out = Vec::with_capacity(8 << 10);
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        out.clear();
        telesift_normalize::normalize_into(black_box(raw), &mut out);
        out.len()
    });
}

#[divan::bench]
fn a_short_export_message(bencher: Bencher<'_, '_>) {
    run(bencher, &export(1));
}

#[divan::bench]
fn a_long_export_post(bencher: Bencher<'_, '_>) {
    run(bencher, &export(7));
}

#[divan::bench]
fn a_short_update(bencher: Bencher<'_, '_>) {
    run(bencher, &update());
}
