//! What counts as the same text, what as nearly the same, and what does not.

use proptest::prelude::*;

use super::*;

const NEWS: &str = "У Києві через негоду зупинили рух трамваїв на Подолі: на колії впало дерево. \
    Рятувальники обіцяють відновити рух за дві години, пасажирів просять обирати автобуси 18 та 62.";

fn of(text: &str) -> Signature {
    signature(text).unwrap()
}

fn alike(a: &str, b: &str) -> bool {
    near(&of(a).sketch, &of(b).sketch).is_some()
}

#[test]
fn spelling_out_a_text_otherwise_keeps_its_hash() {
    let shouted = NEWS.to_uppercase();
    let spaced = NEWS.replace(' ', "  \n");
    let dressed = format!("⚡️⚡️ {} 🔥", NEWS.replace(',', " —"));
    let signed =
        format!("{NEWS}\n\n👉 Підписатися на @kyiv_now | Надіслати новину\nhttps://t.me/kyiv_now");
    for repost in [shouted, spaced, dressed, signed] {
        assert_eq!(of(&repost).exact, of(NEWS).exact, "{repost}");
    }
    assert_eq!(
        of("Деталі тут https://a.example/x?utm_source=tg").exact,
        of("деталі тут: http://www.a.example/x/").exact
    );
}

#[test]
fn another_word_number_or_link_changes_the_hash() {
    for other in [
        NEWS.replace("дерево", "стовп"),
        NEWS.replace("62", "63"),
        format!("{NEWS} https://a.example/x"),
    ] {
        assert_ne!(of(&other).exact, of(NEWS).exact, "{other}");
    }
}

#[test]
fn small_edits_leave_a_text_near() {
    for edited in [
        NEWS.replace("негоду", "сильну зливу"),
        NEWS.replace("трамваїв", "трамвайв"),
        NEWS.to_lowercase(),
        format!("ОНОВЛЕНО. {NEWS}"),
        format!("{NEWS} Фото: міська рада. Читайте також про погоду на вихідні."),
        NEWS.split_inclusive('.').next().unwrap().to_owned(),
    ] {
        assert!(alike(&edited, NEWS), "{edited}");
    }
}

#[test]
fn texts_of_one_template_are_not_near() {
    for (a, b) in [
        (
            "Увага! Повітряна тривога в Києві. Всім негайно пройти в укриття",
            "Увага! Повітряна тривога в Харкові. Всім негайно пройти в укриття",
        ),
        (
            "Курс долара на біржі сягнув позначки 41,2 гривні, євро коштує 45,1",
            "Курс долара на біржі сягнув позначки 42,9 гривні, євро коштує 47,3",
        ),
        (
            "The release of Kestrel is out, upgrade notes and checksums are on the site",
            "The release of Merlin is out, upgrade notes and checksums are on the site",
        ),
    ] {
        assert!(!alike(a, b), "{a}");
    }
}

#[test]
fn short_texts_are_near_nothing() {
    for text in [
        "ok",
        "дякую!",
        "доброго ранку всім, гарного дня!",
        "+1",
        "так",
    ] {
        assert!(!alike(text, text), "{text}");
    }
    assert_eq!(signature("👍🔥 !!!"), None);
    assert_eq!(signature(""), None);
    assert_eq!(of("ok").n_words, 1);
}

#[test]
fn scripts_without_spaces_are_compared_by_pairs() {
    let text = "东京今天发生五级地震，目前没有海啸危险，铁路暂停运行";
    let edited = text.replace("目前", "暂时");
    assert!(alike(text, &edited));
    assert!(!alike(
        text,
        "北京明天将举行国际马拉松比赛，多条道路封闭，请绕行"
    ));
}

#[test]
fn the_formula_of_version_1_never_changes() {
    // Records keep signatures for ever: another formula is another version.
    assert_eq!(
        of("Вчора о 10:30 сервер Kestrel впав, причина — диск. Деталі: https://a.example/x?utm_source=tg").to_string(),
        GOLDEN
    );
}
const GOLDEN: &str = "AQsAC1YtU1uHJUNBD1iQFRB8ITSJI9msKv4kTeX2d_a2jDdimP8qnpN30GmF";

#[test]
fn what_is_no_signature_is_refused() {
    let good = of(NEWS).to_string();
    assert_eq!(good.parse::<Signature>(), Ok(of(NEWS)));
    let descending = format!("{}{}", &good[..16], "ABCDAAAA");
    let other_version = format!("B{}", &good[1..]);
    for bad in [
        "",
        "AQ",
        "A",
        "ж",
        &good[..15],
        "====",
        &descending,
        &other_version,
    ] {
        assert!(bad.parse::<Signature>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn any_text_has_a_signature_that_reads_what_it_writes(text in any::<String>()) {
        if let Some(signature) = signature(&text) {
            let read: Signature = signature.to_string().parse().unwrap();
            prop_assert_eq!(read.exact, signature.exact);
            prop_assert_eq!(&read.sketch, &signature.sketch);
            prop_assert_eq!(read.n_words, signature.n_words.min(255));
            prop_assert!(similarity(&read.sketch, &signature.sketch) <= 1_000);
        }
    }

    #[test]
    fn similarity_has_no_direction(a in "[а-я ]{0,200}", b in "[а-я ]{0,200}") {
        let (a, b) = (signature(&a), signature(&b));
        if let (Some(a), Some(b)) = (a, b) {
            prop_assert_eq!(similarity(&a.sketch, &b.sketch), similarity(&b.sketch, &a.sketch));
        }
    }
}
