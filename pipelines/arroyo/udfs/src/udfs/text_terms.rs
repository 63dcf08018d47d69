use arroyo_udf_plugin::udf;

/// The terms of a text that trends and bursts count, each once, a space between them; NULL of none.
#[udf]
fn text_terms(text: &str) -> Option<String> {
    let terms = telesift_text::topical_terms(text);
    (!terms.is_empty()).then(|| terms.join(" "))
}
