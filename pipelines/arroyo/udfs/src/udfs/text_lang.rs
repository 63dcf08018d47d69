use arroyo_udf_plugin::udf;

/// The language of a text as an ISO 639-1 code, `und` where it cannot be told.
#[udf]
fn text_lang(text: &str) -> String {
    telesift_text::lang::detect(text).to_owned()
}
