//! Questions against paragraphs nobody here wrote, in three languages: the paragraph that answers must come first.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use telesift_ports::{
    contract::message_store::fixtures::{key, message, plain, text_request},
    message_store::MessageStore,
};
use telesift_store_lance::{LanceStore, LanceStoreConfig};

/// Every so manyth question: enough to tell a broken analysis from a working one.
const EVERY: usize = 3;

#[derive(Deserialize)]
struct File {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    question: String,
}

struct Score {
    n_questions: usize,
    first: f64,
    among_five: f64,
}

async fn score(path: &Path) -> Score {
    let text = std::fs::read_to_string(path).expect("the file can be read");
    let file: File = serde_json::from_str(&text).expect("the file is JSON");
    let paragraphs: Vec<Paragraph> = file.data.into_iter().flat_map(|a| a.paragraphs).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let uri = folder.path().to_str().expect("a path");
    let mut config = LanceStoreConfig::new(uri, None);
    config.max_unindexed_rows = 0;
    let store = LanceStore::open(config).await.expect("the store opens");
    let messages = paragraphs.iter().zip(1..);
    let messages = messages.map(|(p, id)| plain(message(1, id, &p.context)));
    store.apply(messages.collect()).await.expect("stored");
    store.maintain().await.expect("maintenance succeeds");

    let (mut n_questions, mut n_first, mut n_five) = (0, 0, 0);
    let questions = paragraphs.iter().zip(1..);
    let questions = questions.flat_map(|(p, id)| p.qas.iter().map(move |q| (&q.question, id)));
    for (question, id) in questions.step_by(EVERY) {
        let hits = store.search(&text_request(question, 5)).await;
        let hits = hits.expect("any text is answered");
        let place = hits.iter().position(|h| h.message.id == key(1, id));
        n_questions += 1;
        n_first += usize::from(place == Some(0));
        n_five += usize::from(place.is_some());
    }
    Score {
        n_questions,
        first: n_first as f64 / n_questions as f64,
        among_five: n_five as f64 / n_questions as f64,
    }
}

#[tokio::test]
async fn the_paragraph_that_answers_comes_first() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/search");
    if !folder.is_dir() {
        eprintln!("skipped: no questions in {}", folder.display());
        return;
    }
    let wanted = BTreeMap::from([("en", 0.88), ("ru", 0.85), ("ar", 0.75)]);
    eprintln!("lang  questions   R@1   R@5");
    let mut missed = Vec::new();
    for (lang, least) in wanted {
        let score = score(&folder.join(format!("xquad.{lang}.json"))).await;
        let Score {
            n_questions,
            first,
            among_five,
        } = score;
        eprintln!("{lang:<5} {n_questions:>9}  {first:.3} {among_five:.3}");
        if first < least {
            missed.push(format!("{lang}: {first:.3} < {least}"));
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
