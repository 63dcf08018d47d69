//! A local model gives the vectors of the library it was made with.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use telesift_models::{LocalEmbedder, Prefixes};
use telesift_ports::embedder::{Embedder, Purpose};

/// Vectors of sentence-transformers 6.2 for our texts, and which model made them.
#[derive(Deserialize)]
struct Fixture {
    model_sha256: String,
    dimensions: usize,
    texts: Vec<String>,
    vectors_f32_le_base64: String,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/all-minilm-l6-v2.json")).unwrap()
}

impl Fixture {
    fn vectors(&self) -> Vec<Vec<f32>> {
        let bytes = STANDARD.decode(&self.vectors_f32_le_base64).unwrap();
        let floats: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        floats
            .chunks(self.dimensions)
            .map(<[f32]>::to_vec)
            .collect()
    }
}

/// The folder of all-MiniLM-L6-v2, where the environment names one.
fn model() -> Option<PathBuf> {
    let found = std::env::var_os("TELESIFT_TEST_MODEL").map(PathBuf::from);
    if found.is_none() {
        eprintln!("skipped: TELESIFT_TEST_MODEL names no folder with all-MiniLM-L6-v2");
    }
    found
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[derive(Deserialize)]
struct Expected {
    texts: Vec<String>,
    vectors: Vec<Vec<f32>>,
}

fn tiny() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny")
}

#[tokio::test]
async fn the_arithmetic_is_that_of_the_reference() {
    let model = LocalEmbedder::load(&tiny(), None).unwrap();
    let expected = std::fs::read(tiny().join("expected.json")).unwrap();
    let expected: Expected = serde_json::from_slice(&expected).unwrap();
    let texts: Vec<&str> = expected.texts.iter().map(String::as_str).collect();
    let vectors = model.embed(&texts, Purpose::Passage).await.unwrap();
    for ((text, vector), wanted) in texts.iter().zip(&vectors).zip(&expected.vectors) {
        let similarity = cosine(vector, wanted);
        assert!(similarity > 0.99999, "{similarity}: {text}");
    }
}

#[test]
fn the_name_of_a_model_is_that_of_its_folder_and_of_what_is_in_it() {
    let id = LocalEmbedder::load(&tiny(), None)
        .unwrap()
        .model()
        .id
        .clone();
    assert!(
        id.starts_with("tiny@") && id.len() == "tiny@".len() + 12,
        "{id}"
    );
    let other = tempfile::tempdir().unwrap();
    let folder = other.path().join("tiny");
    std::fs::create_dir(&folder).unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(tiny().join(file), folder.join(file)).unwrap();
    }
    // Without `sentence_bert_config.json` it reads longer texts: other vectors, another model.
    let other = LocalEmbedder::load(&folder, None)
        .unwrap()
        .model()
        .id
        .clone();
    assert!(other.starts_with("tiny@") && other != id, "{other}");
}

#[test]
fn broken_weights_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(tiny().join(file), folder.path().join(file)).unwrap();
    }
    let weights = folder.path().join("model.safetensors");
    std::fs::write(&weights, b"not weights").unwrap();
    let error = LocalEmbedder::load(folder.path(), None).unwrap_err();
    assert!(error.to_string().contains("model.safetensors"), "{error}");
}

#[test]
fn vectors_equal_those_of_the_library_the_model_was_made_with() {
    let Some(folder) = model() else { return };
    let fixture = fixture();
    let weights = std::fs::read(folder.join("model.safetensors")).unwrap();
    let found = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&weights));
    assert_eq!(
        found, fixture.model_sha256,
        "TELESIFT_TEST_MODEL is another model"
    );
    let model = LocalEmbedder::load(&folder, None).unwrap();
    assert_eq!(model.model().dimensions, 384);
    let texts: Vec<&str> = fixture.texts.iter().map(String::as_str).collect();
    let vectors = model.vectors(&texts, Purpose::Passage).unwrap();
    for ((text, vector), wanted) in texts.iter().zip(&vectors).zip(fixture.vectors()) {
        let similarity = cosine(vector, &wanted);
        assert!(similarity > 0.999, "{similarity}: {text}");
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_text_has_the_same_vector_alone_and_in_company() {
    let Some(folder) = model() else { return };
    let model = LocalEmbedder::load(&folder, None).unwrap();
    let long = "one more word ".repeat(400);
    let texts = ["short", "a somewhat longer text about ferries", &long, ""];
    let together = model.vectors(&texts, Purpose::Passage).unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        let alone = model.vectors(&[text], Purpose::Passage).unwrap();
        assert!(cosine(&alone[0], vector) > 0.9999);
    }
}

#[test]
fn a_query_the_model_can_only_spell_has_no_direction() {
    let Some(folder) = model() else { return };
    let model = LocalEmbedder::load(&folder, None).unwrap();
    let texts = ["парковка в центре", "parking in the centre"];
    let vectors = model.vectors(&texts, Purpose::Query).unwrap();
    assert!(vectors[0].iter().all(|x| *x == 0.0));
    assert!(vectors[1].iter().any(|x| *x != 0.0));
}

#[test]
fn prefixes_are_part_of_the_model_and_of_its_name() {
    let Some(folder) = model() else { return };
    let plain = LocalEmbedder::load(&folder, None).unwrap();
    let prefixes = Prefixes {
        query: "query: ".to_owned(),
        passage: "passage: ".to_owned(),
    };
    let prefixed = LocalEmbedder::load(&folder, Some(prefixes)).unwrap();
    assert_ne!(plain.model().id, prefixed.model().id);
    let query = prefixed.vectors(&["a ferry"], Purpose::Query).unwrap();
    let passage = prefixed.vectors(&["a ferry"], Purpose::Passage).unwrap();
    let by_hand = plain
        .vectors(&["query: a ferry"], Purpose::Passage)
        .unwrap();
    assert!(cosine(&query[0], &by_hand[0]) > 0.9999);
    assert!(cosine(&query[0], &passage[0]) < 0.9999);
}
