use arroyo_udf_plugin::udf;

/// What equal texts share, whatever their case, spacing, punctuation and emoji: 16 hexadecimal digits. NULL of texts of
/// fewer than four words, which are nobody's story.
#[udf]
fn story_key(text: &str) -> Option<String> {
    let signature = telesift_text::signature::signature(text)?;
    (signature.n_words >= 4).then(|| format!("{:016x}", signature.exact))
}
