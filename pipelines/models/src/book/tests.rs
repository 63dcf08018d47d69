use telesift_ports::{
    Secret,
    memory::{ManualClock, MemoryCatalog},
};

use super::*;

fn new(name: &str, kind: ProviderKind, url: &str) -> NewProvider {
    NewProvider {
        name: name.to_owned(),
        kind,
        url: url.to_owned(),
        model: "small".to_owned(),
        key: Some(Secret::new("topsecret")),
        terms: Terms::default(),
    }
}

fn configured(name: &str, kind: ProviderKind, url: &str) -> ConfiguredProvider {
    ConfiguredProvider {
        provider: new(name, kind, url),
        local: None,
        rest: None,
    }
}

fn book(
    configured: Vec<ConfiguredProvider>,
    choice: Choice,
) -> Result<ProviderBook, ProviderError> {
    let catalog = Arc::new(MemoryCatalog::new());
    ProviderBook::new(
        configured,
        choice,
        catalog,
        Arc::new(ManualClock::default()),
    )
}

fn choice(local: Option<&str>, remote: Option<&str>) -> Choice {
    Choice {
        local: local.map(str::to_owned),
        remote: remote.map(str::to_owned),
    }
}

async fn who(book: &ProviderBook, enrich: Enrich) -> Option<String> {
    let chosen = book.chosen(enrich).await.unwrap();
    chosen.map(|p| p.by().name.clone())
}

const OLLAMA: &str = "http://127.0.0.1:11434";

#[tokio::test]
async fn only_what_is_sure_to_stay_here_is_local() {
    let mut cloud = configured("cloud", ProviderKind::Ollama, OLLAMA);
    cloud.provider.model = "large:cloud".to_owned();
    let book = book(
        vec![
            configured("here", ProviderKind::Ollama, "http://localhost:11434"),
            configured("there", ProviderKind::Ollama, "http://10.0.0.5:11434"),
            configured("proxy", ProviderKind::OpenAi, "http://127.0.0.1:4000/v1"),
            ConfiguredProvider {
                local: Some(true),
                ..configured("ours", ProviderKind::OpenAi, "http://10.0.0.6/v1")
            },
            ConfiguredProvider {
                local: Some(false),
                ..configured("passed-on", ProviderKind::Ollama, OLLAMA)
            },
            cloud.clone(),
        ],
        Choice::default(),
    )
    .unwrap();
    let all = book.list().await.unwrap();
    let local: Vec<_> = all
        .iter()
        .filter(|p| p.local)
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(local, ["here", "ours"]);
    cloud.local = Some(true);
    let refused = self::book(vec![cloud], Choice::default()).err().unwrap();
    assert!(matches!(
        refused,
        ProviderError::Invalid { field: "local", .. }
    ));
}

#[tokio::test]
async fn chats_are_read_by_whom_the_configuration_names() {
    let both = || {
        vec![
            configured("here", ProviderKind::Ollama, OLLAMA),
            configured("b", ProviderKind::OpenAi, "https://api.example/v1"),
            configured("a", ProviderKind::Anthropic, "https://api.example"),
        ]
    };
    let rules = book(both(), Choice::default()).unwrap();
    assert_eq!(who(&rules, Enrich::Local).await, None, "the rules");
    assert_eq!(who(&rules, Enrich::Remote).await.as_deref(), Some("a"));
    assert_eq!(who(&rules, Enrich::Off).await, None);
    let named = book(both(), choice(Some("here"), Some("b"))).unwrap();
    assert_eq!(who(&named, Enrich::Local).await.as_deref(), Some("here"));
    assert_eq!(who(&named, Enrich::Remote).await.as_deref(), Some("b"));
    let alone = book(both()[..1].to_vec(), choice(Some("here"), None)).unwrap();
    assert_eq!(who(&alone, Enrich::Remote).await.as_deref(), Some("here"));
    let absent = book(both(), choice(None, Some("gone"))).unwrap();
    assert!(
        absent.chosen(Enrich::Remote).await.is_err(),
        "and nobody instead"
    );
    assert!(
        book(both(), choice(Some("b"), None)).is_err(),
        "it is not local"
    );
    let mut twice = both();
    twice.push(configured("a", ProviderKind::Ollama, OLLAMA));
    assert!(matches!(
        book(twice, Choice::default()).err(),
        Some(ProviderError::Exists(_))
    ));
}

#[tokio::test]
async fn an_added_one_is_public_named_once_and_never_shows_its_key() {
    let book = book(
        vec![configured("here", ProviderKind::Ollama, OLLAMA)],
        Choice::default(),
    )
    .unwrap();
    for (url, field) in [
        ("http://8.8.8.8/v1", "url"),
        ("https://127.0.0.1/v1", "url"),
        ("https://10.0.0.5/v1", "url"),
        ("https://user:topsecret@8.8.8.8/v1", "url"),
        ("ftp://8.8.8.8", "url"),
    ] {
        let refused = book
            .add(new("x", ProviderKind::OpenAi, url))
            .await
            .unwrap_err();
        let text = refused.to_string();
        assert!(
            matches!(refused, ProviderError::Invalid { field: f, .. } if f == field),
            "{text}"
        );
        assert!(!text.contains("topsecret"), "{text}");
    }
    let public = new("x", ProviderKind::OpenAi, "https://8.8.8.8/v1");
    let bad_key = NewProvider {
        key: Some(Secret::new("top\nsecret")),
        ..public.clone()
    };
    for (change, field) in [
        (bad_key, "key"),
        (
            NewProvider {
                name: "a/b".to_owned(),
                ..public.clone()
            },
            "name",
        ),
        (
            NewProvider {
                name: "rules".to_owned(),
                ..public.clone()
            },
            "name",
        ),
        (
            NewProvider {
                model: " ".to_owned(),
                ..public.clone()
            },
            "model",
        ),
    ] {
        let refused = book.add(change).await.unwrap_err();
        assert!(
            matches!(refused, ProviderError::Invalid { field: f, .. } if f == field),
            "{refused}"
        );
    }
    let terms = Terms {
        usd_per_million_in: f64::NAN,
        ..Terms::default()
    };
    let refused = book
        .add(NewProvider {
            terms,
            ..public.clone()
        })
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("usd_per_million_in"),
        "{refused}"
    );

    let added = book.add(public.clone()).await.unwrap();
    assert!(added.has_key && !added.local && added.source == "api");
    for taken in ["x", "here"] {
        let again = book
            .add(NewProvider {
                name: taken.to_owned(),
                ..public.clone()
            })
            .await;
        assert!(matches!(again, Err(ProviderError::Exists(_))), "{again:?}");
    }
    let told = serde_json::to_string(&book.list().await.unwrap()).unwrap();
    assert!(
        told.contains("\"x\"") && !told.contains("topsecret"),
        "{told}"
    );
    assert!(!format!("{public:?}").contains("topsecret"));
    assert_eq!(who(&book, Enrich::Remote).await.as_deref(), Some("x"));
    let same = (
        book.get("x").await.unwrap().unwrap(),
        book.get("x").await.unwrap().unwrap(),
    );
    assert!(
        Arc::ptr_eq(&same.0, &same.1),
        "its limits and breaker are shared"
    );

    assert!(matches!(
        book.remove("here").await,
        Err(ProviderError::Configured(_))
    ));
    assert!(book.remove("x").await.unwrap() && !book.remove("x").await.unwrap());
    assert!(book.get("x").await.unwrap().is_none());
}
