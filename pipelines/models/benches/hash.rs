//! How many texts a second one core embeds.

use divan::{Bencher, black_box, counter::ItemsCount};
use telesift_models::HashEmbedder;

fn main() {
    divan::main();
}

#[divan::bench]
fn a_short_message(bencher: Bencher<'_, '_>) {
    let embedder = HashEmbedder::default();
    let text = "Вчора ввечері сервер знову впав: помилка підключення до бази, логи в каналі.";
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| embedder.vector(black_box(text)));
}
