use std::{fs, path::PathBuf};

use super::*;

#[test]
fn languages_are_told_from_short_messages() {
    for (lang, texts) in [
        (
            "uk",
            &[
                "Добре",
                "Так",
                "та",
                "Гаразд",
                "Добрий день",
                "Сервер знову впав",
                "Що робиш?",
                "П'ять хвилин",
                "Задеплой на staging, будь ласка",
                "Коли буде реліз?",
                "треба оновити PostgreSQL",
                "Хто на чергуванні?",
            ][..],
        ),
        (
            "ru",
            &[
                "Хорошо",
                "Спасибо",
                "Сервер снова упал",
                "Что делаешь?",
                "Когда будет релиз?",
                "нужно обновить PostgreSQL",
                "Пассивный доход, пиши в личку",
                "В Москве ожидаются снег и гололедица",
                "это да",
            ],
        ),
        (
            "be",
            &[
                "Прывітанне, як справы сёння?",
                "Гэта вельмі добрая мова",
                "Дзякуй, усё працуе",
            ],
        ),
        (
            "bg",
            &[
                "Добър ден, какво става?",
                "Това е много добре",
                "Трябва да се направи днес",
            ],
        ),
        (
            "sr",
            &["Шта је ово и како ће бити?", "Добро јутро, хвала ти"],
        ),
        (
            "en",
            &[
                "ok thanks",
                "lol",
                "The server is down again",
                "Can you review my pull request?",
                "deploy is blocked",
                "What do you think?",
                "N+1 queries in the user list",
            ],
        ),
        (
            "id",
            &[
                "saya tidak bisa login",
                "terima kasih ya",
                "gimana cara pake load balancer?",
                "kalau error handling nya gimana bang",
            ],
        ),
        (
            "pl",
            &[
                "Dzień dobry, jak się masz?",
                "Nie działa serwer",
                "Dziękuję bardzo",
            ],
        ),
        (
            "de",
            &[
                "Guten Tag, wie geht es dir?",
                "Der Server ist nicht erreichbar",
                "Danke für die Hilfe",
            ],
        ),
        (
            "es",
            &[
                "Hola, ¿cómo estás?",
                "El servidor no funciona hoy",
                "Muchas gracias por todo",
            ],
        ),
        (
            "fr",
            &[
                "Bonjour, comment ça va ?",
                "Le serveur est en panne",
                "Merci pour votre aide",
            ],
        ),
        (
            "it",
            &[
                "Ciao, come stai oggi?",
                "Il server non funziona più",
                "Grazie mille per tutto",
            ],
        ),
        (
            "pt",
            &[
                "Olá, tudo bem com você?",
                "O servidor não está funcionando",
                "Muito obrigado pela ajuda",
            ],
        ),
        (
            "tr",
            &[
                "Merhaba, nasılsın?",
                "Sunucu çalışmıyor, bir sorun var",
                "Çok teşekkür ederim",
            ],
        ),
        ("ar", &["السلام عليكم ورحمة الله", "كيف حالك اليوم؟"]),
        ("fa", &["سلام، چطوری؟", "این برنامه کار نمی‌کند"]),
        ("zh", &["数据库又挂了", "你好，今天 deploy 吗？"]),
        ("ja", &["サーバーが落ちました", "今日は良い天気ですね"]),
        ("ko", &["서버가 다운됐어요", "안녕하세요"]),
        ("he", &["שלום, מה שלומך?"]),
        ("hi", &["नमस्ते, आप कैसे हैं?"]),
        ("el", &["Καλημέρα, τι κάνεις;"]),
        ("ka", &["გამარჯობა"]),
        ("th", &["สวัสดีครับ"]),
        (
            "und",
            &[
                "",
                "👍👍",
                "+1",
                "...",
                "https://example.com/the/way",
                "@olena",
                "12:30",
            ],
        ),
    ] {
        for text in texts {
            assert_eq!(detect(text), lang, "{text}");
        }
    }
}

#[test]
fn quotations_and_jargon_do_not_decide() {
    assert_eq!(
        detect("Ринат Ахметов сказав «мы будем» і пішов, хоча його просили залишитися"),
        "uk"
    );
    assert_eq!(
        detect("надо пересобрать Docker image и запушить в production registry"),
        "ru"
    );
    assert_eq!(detect("The mayor said «добре» and left the room"), "en");
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}

/// The share of `texts` with at least `n_words` words told as `lang`; prints what was missed.
fn recall(lang: &str, n_words: usize, texts: &[String]) -> f64 {
    let mut n = 0;
    let mut missed = Vec::new();
    for text in texts {
        if Words::of(text).n < n_words {
            continue;
        }
        n += 1;
        let found = detect(text);
        if found != lang {
            missed.push(format!(
                "{found}: {}",
                text.chars().take(60).collect::<String>()
            ));
        }
    }
    eprintln!("{lang}: {} of {n} missed: {missed:#?}", missed.len());
    1.0 - missed.len() as f64 / f64::from(n.max(1))
}

/// Lines that are English but for a word or two carry the label of their chat.
fn mostly_cyrillic(text: &str) -> bool {
    let n = |script| text.chars().filter(|&c| script_of(c) == script).count();
    n(Script::Cyrillic) > n(Script::Latin)
}

#[test]
fn ukrainian_and_english_chat_is_told_apart() {
    let Some(path) = shared("importance/messages.jsonl") else {
        return;
    };
    let lines = fs::read_to_string(path).unwrap();
    for lang in ["uk", "en"] {
        let texts: Vec<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|m| m["lang"] == lang)
            .map(|m| m["text"].as_str().unwrap().to_owned())
            .filter(|t| lang == "en" || mostly_cyrillic(t))
            .collect();
        assert!(!texts.is_empty());
        // The labels of one-word lines are the chat's, not the word's: some are English or Russian.
        assert!(recall(lang, 2, &texts) >= 0.97, "{lang}");
    }
}

#[test]
fn russian_posts_are_russian() {
    let Some(dir) = shared("posts") else {
        return;
    };
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with("_messages.json") {
            continue;
        }
        let posts: Vec<serde_json::Value> =
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let texts: Vec<String> = posts
            .iter()
            .filter_map(|p| p["text"].as_str())
            // A post that is nothing but a name or number in Latin letters is in no language.
            .filter(|t| t.chars().any(|c| script_of(c) == Script::Cyrillic))
            .map(str::to_owned)
            .collect();
        assert!(recall("ru", 1, &texts) >= 0.97);
    }
}
