//! How many messages a second one core analyses.

use divan::{Bencher, black_box, counter::ItemsCount};

fn main() {
    divan::main();
}

const SHORT: &str = "Вчора ввечері сервер знову впав: помилка підключення до бази даних, дивіться https://example.com/logs/42. \
    @olena, зможеш глянути до обіду? Deploy is blocked until the migration is fixed.";

fn long() -> String {
    SHORT.repeat(8)
}

#[divan::bench]
fn terms_of_a_short_message(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| telesift_text::terms(black_box(SHORT)));
}

#[divan::bench]
fn terms_of_a_long_post(bencher: Bencher<'_, '_>) {
    let text = long();
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| telesift_text::terms(black_box(&text)));
}

#[divan::bench]
fn tokens_of_a_long_post(bencher: Bencher<'_, '_>) {
    let text = long();
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| telesift_text::tokens(black_box(&text)).count());
}

#[divan::bench]
fn signature_of_a_short_message(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| telesift_text::signature::signature(black_box(SHORT)).map(|s| s.to_string()));
}

#[divan::bench]
fn comparisons_of_two_long_posts(bencher: Bencher<'_, '_>) {
    let text = long();
    let [a, b] = [text.clone(), text.replace("Вчора", "Сьогодні")]
        .map(|t| telesift_text::signature::signature(&t));
    let (Some(a), Some(b)) = (a, b) else { return };
    bencher
        .counter(ItemsCount::new(1usize))
        .bench(|| telesift_text::signature::near(black_box(&a.sketch), black_box(&b.sketch)));
}
