use telesift_schemas::{Class, MessageKind};

use super::*;
use crate::{explain, view::Text};

fn message(text: &str) -> MessageView<'_> {
    MessageView::of_text(text)
}

fn class(text: &str) -> Class {
    score(&message(text), &Rules::default()).class
}

#[test]
fn what_must_be_seen_is_signal() {
    for text in [
        "Token refresh is broken, users are logged out",
        "Критична помилка: падає сервер",
        "Критическая ошибка: упал сервер базы данных",
        "Deploy failed on production: database timeout, rolling back to v2.3.1",
        "Вирішили: переходимо на PostgreSQL 17, міграція у п'ятницю о 18:00, відповідає Оксана",
        "Утечка паролей пользователей, срочно меняем все токены",
        "Прод упал, платежи не проходят с 14:20",
        "Прод лежить, оплата не проходить з 14:20",
        "Checkout is down, customers cannot pay since 14:20",
        "Баг: після оновлення звіти показують суму без ПДВ",
        "Баг: после обновления отчёт считает сумму без НДС",
        "Memory leak in the websocket worker, it restarts every 20 minutes",
        "Рішення: з понеділка деплоїмо лише через CI, відповідає Андрій",
        "Решили: релиз переносим на 14 марта, ответственная Марина",
        "⚡️ Уряд запровадив надзвичайний стан у двох областях",
        "⚡️ Суд арестовал министра транспорта по делу о взятке",
    ] {
        let screen = score(&message(text), &Rules::default());
        assert_eq!(screen.class, Class::Signal, "{text}: {screen:?}");
    }
}

#[test]
fn chatter_is_noise() {
    for text in [
        "ok",
        "OK!!!",
        "+1",
        "дякую!",
        "Дякую всім 🙏",
        "👍",
        "👍🏽👍🏽❤️",
        "😂😂😂😂",
        "доброго ранку всім, гарного дня!",
        "Привіт, як справи?",
        "Всем привет!",
        "спасибо большое",
        "ахахахаха",
        "lol",
        "LMAOOOO",
        "...",
        "",
        "   \n ",
        "так",
        "Good morning everyone!",
        "happy birthday bro 🎉🎂",
        "дякую, дуже виручили!",
        "ну ок",
        "та ладно",
        "Гарних вихідних усім!",
        "+++",
        "👏👏👏",
        "Смачного",
        "ага, понял",
        "да ладно?",
        "Хороших выходных!",
        "ну и денёк",
        "sounds good",
        "no way",
        "wow, that's awesome",
        "have a great weekend everyone",
        "good night guys",
        "С днём рождения! Счастья, здоровья!",
    ] {
        let screen = score(&message(text), &Rules::default());
        assert_eq!(screen.class, Class::Noise, "{text}: {screen:?}");
    }
}

#[test]
fn code_alone_is_no_signal_and_a_word_about_it_counts() {
    for text in [
        "const total = items.reduce((sum, item) => sum + item.price, 0);",
        "def area(r):\n    return 3.14 * r ** 2\n\nprint(area(2))",
        "type Item struct {\n\tID   int\n\tName string\n}",
        "```\nimpl Display for Shape {\n    fn fmt(&self, f: &mut Formatter) -> Result { write!(f, \"{}\", self.name()) }\n}\n```",
        "useEffect(() => {\n  load(id).then(setItem);\n}, [id]);",
    ] {
        let screen = score(&message(text), &Rules::default());
        assert_eq!(screen.class, Class::WeakSignal, "{text}: {screen:?}");
    }
    let told = "const total = items.reduce((sum, item) => sum + item.price, 0);\n\
                This crashes in production with a TypeError when items is undefined, since yesterday's release";
    assert_eq!(class(told), Class::Signal);
}

#[test]
fn words_match_within_their_bounds_only() {
    for text in [
        "N+1 запит",
        "Чому на списку замовлень N+1 запит?",
        "N+1 запрос в списке заказов",
        "N+1 query in the orders endpoint",
    ] {
        let screen = score(&message(text), &Rules::default());
        assert_ne!(screen.class, Class::Noise, "{text}: {screen:?}");
        assert!(!screen.factors.contains_key("acknowledgement"), "{text}");
    }
    let screen = score(&message("token"), &Rules::default());
    assert!(
        !screen.factors.contains_key("acknowledgement"),
        "{screen:?}"
    );
}

#[test]
fn signs_between_words_and_the_ends_of_a_text_are_read() {
    let n_buckets = |text: &str| {
        let features = crate::features(&message(text), &Rules::default());
        features.buckets.len()
    };
    // The sign itself and the pair it makes with the word before; the pair with the end is there in both.
    assert_eq!(n_buckets("is it done?"), n_buckets("is it done") + 2);
    assert_eq!(n_buckets("is it, done"), n_buckets("is it done"));
    assert_eq!(n_buckets(""), 0);
}

#[test]
fn length_alone_makes_no_signal() {
    let chatter =
        "ну так от вчора ми сиділи дивилися кіно потім пішли гуляти їли морозиво співали пісні "
            .repeat(8);
    assert_ne!(class(&chatter), Class::Signal);
    let long = score(&message(&chatter), &Rules::default()).score;
    let short = score(&message("прод упал, ошибка 500"), &Rules::default()).score;
    assert!(short > long, "{short} <= {long}");
}

#[test]
fn an_unknown_language_is_not_punished() {
    let texts = [
        "服务器崩溃了，用户无法登录，请尽快检查数据库连接",
        "تعطل الخادم ولا يمكن للمستخدمين تسجيل الدخول منذ ساعة",
        "Palvelin kaatui ja käyttäjät eivät pääse kirjautumaan sisään",
    ];
    for text in texts {
        assert_ne!(class(text), Class::Noise, "{text}");
    }
}

#[test]
fn what_telegram_says_about_itself_is_noise() {
    for kind in [MessageKind::Service, MessageKind::Deleted] {
        let message = MessageView {
            kind,
            ..message("pinned: critical incident, server down")
        };
        assert_eq!(score(&message, &Rules::default()).class, Class::Noise);
    }
}

#[test]
fn a_picture_without_words_is_noise_and_with_a_caption_counts() {
    let photo = |text| MessageView {
        kind: MessageKind::Photo,
        has_media: true,
        ..message(text)
    };
    assert_eq!(score(&photo(""), &Rules::default()).class, Class::Noise);
    let caption = score(
        &photo("Графік відключень на завтра, 12 січня"),
        &Rules::default(),
    );
    assert!(caption.factors.contains_key("media_caption"));
    assert_ne!(caption.class, Class::Noise);
}

#[test]
fn spam_is_flagged_apart_from_importance() {
    let rules = Rules::default();
    for text in [
        "Ищу людей в команду, удаленный заработок от 500$ в неделю, пишите в лс",
        "Зapaбoтoк бeз влoжeний, дoхoд oт 300$ в дeнь, пишитe в личку @manager",
        "Earn passive income with bitcoin, guaranteed profit $5000 weekly, join https://t.me/+abcdef",
    ] {
        let screen = score(&message(text), &rules);
        assert_eq!(screen.flags, ["spam"], "{text}: {screen:?}");
    }
    for text in [
        "Bitcoin fell below $60k today",
        "Зарплата прийшла, кредит закрив",
        "Кто может посоветовать банк для ипотеки?",
        "Критична помилка: падає сервер",
    ] {
        let screen = score(&message(text), &rules);
        assert!(screen.flags.is_empty(), "{text}: {screen:?}");
    }
}

#[test]
fn known_flags_are_kept_and_none_is_repeated() {
    let flags = || ["edited", "spam"].map(|f| Text(f.into())).to_vec();
    let spam = "Заработок от 500$ в неделю, доход, пишите в лс @manager";
    let screen = score(
        &MessageView {
            flags: flags(),
            ..message(spam)
        },
        &Rules::default(),
    );
    assert_eq!(screen.flags, ["edited", "spam"]);
}

#[test]
fn contributions_add_up_to_the_logit() {
    let rules = Rules::default();
    for text in [
        "Token refresh is broken, users are logged out, fix `auth()` by 18:00: https://example.com/1",
        "ахаха дякую!!! СУУУПЕР 👍👍",
        "",
    ] {
        let explanation = explain(&message(text), &rules);
        let mut by_name = explanation.factors.clone();
        by_name.sort_by_key(|f| f.name);
        let logit = by_name
            .iter()
            .fold(explanation.bias, |sum, f| sum + f.contribution);
        assert_eq!(logit, explanation.logit, "{text}");
        let screen = score(&message(text), &rules);
        assert_eq!(screen.score, explanation.score);
        assert_eq!(screen.class.as_str(), explanation.class);
        for factor in by_name.iter().filter(|f| f.contribution != 0.0) {
            assert_eq!(screen.factors[factor.name], factor.contribution);
            assert!((factor.value * factor.weight - factor.contribution).abs() < 1e-4);
        }
    }
}

#[test]
fn an_explanation_shows_the_words() {
    let explanation = explain(
        &message("Критична помилка: падає сервер"),
        &Rules::default(),
    );
    let incident = explanation
        .factors
        .iter()
        .find(|f| f.name == "incident")
        .unwrap();
    assert_eq!(incident.evidence, ["Критична", "падає"]);
    assert_eq!(
        explanation.factors[0].name, "incident",
        "the strongest comes first"
    );
}
