use super::*;

#[test]
fn shipped_rules_are_valid_and_say_all_there_is_to_say() {
    let rules = Rules::default();
    assert!(
        rules.version().starts_with("default@1+"),
        "{}",
        rules.version()
    );
    for factor in Factor::ALL {
        assert!(
            rules.set.weights.contains_key(factor.name()),
            "{}",
            factor.name()
        );
    }
    for list in List::ALL {
        assert!(
            !rules.set.lexicons[list.name()].is_empty(),
            "{}",
            list.name()
        );
    }
}

#[test]
fn a_rule_set_reads_what_it_writes() {
    let rules = Rules::default();
    let again = Rules::from_json(&rules.to_json()).unwrap();
    assert_eq!(again.version(), rules.version());
    assert_eq!(again.to_json(), rules.to_json());
}

#[test]
fn a_set_of_ones_own_changes_only_what_it_holds() {
    let toml = "name = \"mine\"\nversion = 7\n[weights]\nincident = 2.5\n[lexicons]\nthanks = [\"дяк*\"]\n";
    let rules = Rules::from_toml(toml).unwrap();
    assert!(rules.version().starts_with("mine@7+"));
    assert_eq!(rules.weight(Factor::Incident), 2.5);
    assert_eq!(
        rules.weight(Factor::Tech),
        Rules::default().weight(Factor::Tech)
    );
    assert_eq!(rules.set.lexicons["thanks"], ["дяк*"]);
    let json =
        r#"{"name":"mine","version":7,"weights":{"incident":2.5},"lexicons":{"thanks":["дяк*"]}}"#;
    assert_eq!(Rules::from_json(json).unwrap().version(), rules.version());
}

#[test]
fn the_version_tells_data_apart_that_differ() {
    let version = |bias: &str| {
        let toml = format!("name = \"a\"\nversion = 1\nbias = {bias}\n");
        Rules::from_toml(&toml).unwrap().version().to_owned()
    };
    assert_ne!(version("-1"), version("-1.1"));
    assert_eq!(version("-1"), version("-1.0"));
}

#[test]
fn unusable_rules_are_refused_with_line_and_reason() {
    let head = "name = \"a\"\nversion = 1\n";
    for (tail, line, part) in [
        ("bias = 1e3\n", 3, "-20 to 20"),
        ("biass = 1\n", 3, "biass"),
        ("\n[weights]\nincidents = 1\n", 5, "no factor `incidents`"),
        ("[weights]\nincident = \"high\"\n", 4, "invalid type"),
        (
            "[thresholds]\nweak_signal = 0.9\nsignal = 0.5\n",
            4,
            "above `signal`",
        ),
        ("[thresholds]\nsignal = 1.5\n", 4, "from 0 to 1"),
        ("[spam]\nwordz = 1\n", 4, "no cue"),
        ("[lexicons]\nthank = []\n", 4, "no word list `thank`"),
        (
            "[lexicons]\nthanks = [\n  \"thank you\"]\n",
            5,
            "no single word",
        ),
        ("[lexicons]\nthanks = [\"*\"]\n", 4, "no single word"),
        ("[weights\n", 3, ""),
    ] {
        let error = Rules::from_toml(&format!("{head}{tail}")).unwrap_err();
        assert_eq!(error.line, Some(line), "{tail}: {error}");
        assert!(error.reason.contains(part), "{tail}: {error}");
    }
    assert_eq!(
        Rules::from_json("{\n\"name\": 3}").unwrap_err().line,
        Some(2)
    );
    assert!(
        Rules::from_toml("version = 1\n")
            .unwrap_err()
            .reason
            .contains("name")
    );
}
