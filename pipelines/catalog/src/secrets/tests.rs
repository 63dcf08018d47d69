use super::*;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_hex(&hex::encode([byte; 32])).unwrap()
}

fn sealer(byte: u8) -> Sealer {
    Sealer::new(KeySource::Given(key(byte)))
}

const HERE: Place<'static> = Place {
    table: "bots",
    row: "ops",
    column: "token",
};

#[test]
fn what_is_sealed_opens_in_its_place_only() {
    let sealer = sealer(1);
    let secret = Secret::new("123:ABC");
    let sealed = sealer.seal(&HERE, &secret, false).unwrap();
    assert_eq!(sealer.open(&HERE, &sealed).unwrap(), secret);
    assert!(!sealed.windows(3).any(|w| w == b"ABC"));
    for place in [
        Place {
            row: "other",
            ..HERE
        },
        Place {
            column: "secret",
            ..HERE
        },
        Place {
            table: "providers",
            ..HERE
        },
        // The same letters, cut elsewhere.
        Place {
            table: "bot",
            row: "sops",
            ..HERE
        },
    ] {
        let refused = sealer.open(&place, &sealed);
        assert_eq!(refused, Err(SecretKeyError::Changed), "{place:?}");
    }
}

#[test]
fn no_changed_bit_opens() {
    let sealer = sealer(1);
    let sealed = sealer.seal(&HERE, &Secret::new("x"), false).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(sealer.open(&HERE, &changed).is_err(), "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert!(sealer.open(&HERE, &sealed[..length]).is_err());
    }
}

#[test]
fn the_same_secret_is_never_sealed_alike() {
    let sealer = sealer(1);
    let seal = || sealer.seal(&HERE, &Secret::new("x"), false).unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn another_key_says_which_one_is_wanted() {
    let sealed = sealer(1).seal(&HERE, &Secret::new("x"), false).unwrap();
    let error = sealer(2).open(&HERE, &sealed).unwrap_err().to_string();
    assert!(error.contains(&key(1).id().to_string()), "{error}");
    assert!(error.contains("TELESIFT_SECRET_KEY"), "{error}");
    assert!(!format!("{:?}", key(1)).contains("01010101"));
}

#[test]
fn the_file_is_made_once_for_its_owner_alone_and_never_when_secrets_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    let source = || KeySource::File(path.clone());
    let missing = Sealer::new(source()).seal(&HERE, &Secret::new("x"), false);
    assert!(matches!(missing, Err(SecretKeyError::Missing { .. })));
    assert!(!path.exists());

    let sealed = Sealer::new(source())
        .seal(&HERE, &Secret::new("x"), true)
        .unwrap();
    assert_eq!(std::fs::read(&path).unwrap().len(), 32);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = Sealer::new(source());
    assert_eq!(again.open(&HERE, &sealed).unwrap().expose(), "x");

    std::fs::remove_file(&path).unwrap();
    let error = Sealer::new(source()).open(&HERE, &sealed).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("secret.key is missing"), "{error}");
    assert!(error.contains("telesift bots remove"), "{error}");
    std::fs::write(&path, b"short").unwrap();
    let error = Sealer::new(source()).open(&HERE, &sealed).unwrap_err();
    assert_eq!(error, SecretKeyError::Damaged { path });
}

#[test]
fn a_key_is_64_hexadecimal_digits() {
    assert!(SecretKey::from_hex(&format!(" {}\n", "aB".repeat(32))).is_ok());
    for text in ["", "abc", &"g".repeat(64), &"a".repeat(66)] {
        assert_eq!(SecretKey::from_hex(text), Err(SecretKeyError::Malformed));
    }
}
