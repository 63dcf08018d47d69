//! What is refused of a new bot before anybody is asked.

use telesift_ports::{Secret, bots::BotError};

const MAX_NAME: usize = 64;
const MAX_TOKEN: usize = 256;
const MAX_SECRET: usize = 256;

fn invalid(field: &'static str, reason: &str) -> BotError {
    BotError::Invalid {
        field,
        reason: reason.to_owned(),
    }
}

/// The name stands in URLs, metrics and the ledger.
pub(super) fn name(name: &str) -> Result<(), BotError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let begins_well = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    match begins_well && name.len() <= MAX_NAME && name.bytes().all(plain) {
        true => Ok(()),
        false => Err(invalid(
            "name",
            "expected 1 to 64 of `A-Z a-z 0-9 _ - .`, beginning with a letter or digit",
        )),
    }
}

/// The token stands in the path of every call.
pub(super) fn token(token: &Secret) -> Result<(), BotError> {
    let text = token.expose();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b":-_".contains(&b);
    match (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(plain) {
        true => Ok(()),
        false => Err(invalid(
            "token",
            "this is no token of a bot; BotFather gives it in the form `123456:ABC-DEF`",
        )),
    }
}

/// As Telegram takes a `secret_token`.
pub(super) fn secret(secret: &Secret) -> Result<(), BotError> {
    let text = secret.expose();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    match (1..=MAX_SECRET).contains(&text.len()) && text.bytes().all(plain) {
        true => Ok(()),
        false => Err(invalid(
            "secret",
            "Telegram takes 1 to 256 of `A-Z a-z 0-9 _ -` as a secret",
        )),
    }
}

/// The bot's id: what stands before the colon of its token.
pub(super) fn id_of(token: &Secret) -> Option<i64> {
    let (id, _) = token.expose().split_once(':')?;
    id.parse().ok().filter(|id| *id > 0)
}

pub(super) fn no_id() -> BotError {
    invalid(
        "token",
        "it does not begin with the bot's id, and Telegram is not to be asked: expected the form `123456:ABC-DEF`",
    )
}

pub(super) fn no_secret() -> BotError {
    invalid(
        "secret",
        "without one nobody could tell Telegram from others; give the one Telegram was given",
    )
}

pub(super) fn no_public_url() -> BotError {
    invalid(
        "register",
        "the configuration does not say where Telegram reaches this server: set `telegram.public_url`, or poll instead, or register the webhook yourself",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_a_path() {
        for good in ["ops", "7", "a.b-c_D", &"x".repeat(64)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "-a",
            "a/b",
            "a b",
            "ботик",
            "a%2f",
            &"x".repeat(65),
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_what_telegram_takes() {
        assert!(secret(&Secret::new("Aa0_-")).is_ok());
        for bad in ["", "a b", "a:b", "ж", &"x".repeat(257)] {
            assert!(secret(&Secret::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_begins_with_the_id() {
        assert_eq!(id_of(&Secret::new("123456:ABC")), Some(123_456));
        assert_eq!(id_of(&Secret::new("ABC")), None);
        assert_eq!(id_of(&Secret::new("-5:ABC")), None);
        assert!(token(&Secret::new("123:A/../B")).is_err());
        let refused = token(&Secret::new("123:hunter2 ")).unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("hunter2"));
    }
}
