use super::*;

fn cosine(a: &str, b: &str) -> f32 {
    let embedder = HashEmbedder::default();
    let (a, b) = (embedder.vector(a), embedder.vector(b));
    a.iter().zip(&b).map(|(x, y)| x * y).sum()
}

#[test]
fn shared_words_and_forms_come_closer_than_strangers() {
    for (text, near, far) in [
        (
            "Сервер бази даних знову впав",
            "бази даних: сервери впали вночі",
            "Хто йде на обід о першій?",
        ),
        (
            "Ошибка подключения к базе данных",
            "ошибки при подключении к базам",
            "В Москве ожидается снег и гололедица",
        ),
        (
            "Database connection errors after the deploy",
            "deploying caused errors in database connections",
            "Lunch at noon, anyone?",
        ),
        ("数据库连接失败", "数据库又失败了", "今天天气很好"),
    ] {
        let (near, far) = (cosine(text, near), cosine(text, far));
        assert!(
            near > 0.3 && near > far + 0.2,
            "{text}: {near} against {far}"
        );
    }
}

#[test]
fn a_misspelt_word_comes_near_the_right_one() {
    for (word, misspelt) in [("kubernetes", "kubernets"), ("підключення", "пидключення")]
    {
        assert!(
            cosine(word, misspelt) > 0.25,
            "{word}: {}",
            cosine(word, misspelt)
        );
        assert!(cosine(word, "lunch обід").abs() < 0.2);
    }
}

#[test]
fn vectors_have_length_one_or_are_zero() {
    let embedder = HashEmbedder::default();
    for text in [
        "a",
        "Слово",
        "a b c d e f g",
        "数",
        &"довге ".repeat(999),
        &"x".repeat(9999),
    ] {
        let vector = embedder.vector(text);
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert_eq!(vector.len(), 256);
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    assert!(embedder.vector("?! 👍").iter().all(|&x| x == 0.0));
}

#[test]
fn the_order_of_words_does_not_matter() {
    let embedder = HashEmbedder::default();
    assert_eq!(
        embedder.vector("сервер впав вночі"),
        embedder.vector("вночі впав сервер")
    );
}

#[test]
fn a_known_text_keeps_its_vector() {
    // Other numbers mean another model: give it a new id, or tables mix vectors of two.
    let vector = HashEmbedder::default().vector("Сервер is down");
    let bits: Vec<u8> = vector
        .iter()
        .flat_map(|x| ((x * 10_000.0).round() as i32).to_le_bytes())
        .collect();
    assert_eq!(xxh3_64_with_seed(&bits, 0), GOLDEN);
    assert_eq!(HashEmbedder::default().model.id, "hash@1");
}
const GOLDEN: u64 = 16_617_935_719_391_700_992;

#[tokio::test]
async fn embeds_in_order() {
    let embedder = HashEmbedder::default();
    let vectors = embedder
        .embed(&["один", "два"], Purpose::Passage)
        .await
        .unwrap();
    assert_eq!(vectors, [embedder.vector("один"), embedder.vector("два")]);
}
