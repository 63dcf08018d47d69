// Texts of many kinds, and pieces of them put together.

pub fn texts() -> Vec<String> {
    let plain = [
        "",
        " ",
        "ok",
        "!!! 👍 🔥",
        "Міст Патона закрито до ранку, об'їзд через Південний",
        "М’ята, п'ять гривень; ґанок і ЄВРОПА",
        "Сегодня в метро закрыли перегон, работают автобусы",
        "Deployed the servers and rolled back: user's C++ build v1.2.3 failed",
        "数据库 迁移 完成 了",
        "データベースの移行が終わりました",
        "안녕하세요 데이터베이스",
        "#Новини @Olena_K https://t.me/chan/5?utm_source=x a.b@example.com snake_case_name",
        "1,500.00 грн за 20%",
        "مرحبا بالعالم",
        "Zażółć gęślą jaźń, straße, naïve café",
        "Xpещатик и кoфе",
        "line one\nline two\r\nline three\u{0}\u{200b}end",
        "Підписатися | Надіслати новину\nНаш канал: t.me/example",
        "the and or of",
    ];
    let mut texts: Vec<String> = plain.iter().map(|t| (*t).to_owned()).collect();
    for (i, a) in plain.iter().enumerate() {
        for b in &plain[i..] {
            texts.push(format!("{a} {b}. {a}"));
        }
    }
    texts.push("надзвичайно довге повідомлення ".repeat(2_000));
    texts
}

/// Runs a UDF over the texts and a NULL between them, through the symbol that Arroyo calls.
macro_rules! run_all {
    ($texts:expr) => {{
        use arroyo_udf_plugin::{
            arrow::array::{Array, StringArray},
            FfiArrays, RunResult,
        };
        let values: Vec<Option<&str>> = std::iter::once(None)
            .chain($texts.iter().map(|t| Some(t.as_str())))
            .collect();
        let column = StringArray::from(values);
        match __run(FfiArrays::from_vec(vec![column.to_data()])) {
            RunResult::Ok(result) => {
                let data = unsafe { arroyo_udf_plugin::arrow::ffi::from_ffi(result.0, &result.1) };
                let found = StringArray::from(data.expect("a column of text"));
                assert_eq!(found.len(), $texts.len() + 1);
                assert!(found.is_null(0), "of NULL comes NULL");
                (1..found.len())
                    .map(|i| (!found.is_null(i)).then(|| found.value(i).to_owned()))
                    .collect::<Vec<_>>()
            }
            RunResult::Err => panic!("the UDF failed"),
        }
    }};
}
