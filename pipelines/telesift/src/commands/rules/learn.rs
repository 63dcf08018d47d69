//! `telesift rules learn`: labels in, a proposed rule set with its measured effect out. Nothing changes until it is added
//! and activated.

use std::{fmt::Write, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use telesift_learn::{
    Labelled,
    proposal::{Effect, Proposal, propose},
};
use telesift_schemas::Class;
use telesift_signal_score::Rules;

use super::path_of;
use crate::{
    cli::{Connection, LearnArgs},
    client::Client,
    commands::{block_on, eval, feedback, print},
};

pub(super) fn run(connection: &Connection, args: &LearnArgs) -> Result<()> {
    let labels = match &args.labels {
        Some(file) => eval::read_labels(file)?,
        None => given(&Client::find(connection)?)?,
    };
    let rules = match (&args.rules, &args.labels) {
        (Some(file), _) => eval::read_rules(file)?,
        (None, Some(_)) => Rules::default(),
        (None, None) => active(&Client::find(connection)?)?,
    };
    let proposal = propose(&labels, &rules)?;
    if connection.json {
        return print::json(&json!({
            "base": rules.version(),
            "proposed": proposal.rules.version(),
            "effect": proposal.effect,
            "toml": proposal.rules.to_toml(),
        }));
    }
    let text = text(&rules, &proposal);
    match &args.out {
        Some(file) => {
            write(file, &text)?;
            print::line(comments(&rules, &proposal).replace("# ", "").trim_end())?;
            print::line(next_step(file, &proposal))
        }
        None => print::line(text.trim_end()),
    }
}

/// The labels the server keeps, with their texts.
fn given(client: &Client) -> Result<Vec<Labelled>> {
    let lines = feedback::exported(client)?;
    let labels: Result<Vec<Labelled>, _> = lines.into_iter().map(serde_json::from_value).collect();
    let labels = labels.context("the server's labels are not what this version expects")?;
    if labels.is_empty() {
        bail!(
            "there are no labels to learn from; give some with `telesift feedback MESSAGE --class CLASS`"
        );
    }
    Ok(labels)
}

/// The rules active now.
fn active(client: &Client) -> Result<Rules> {
    let rules: Value = block_on(async {
        let active: Value = client.get("/v1/rules/active", &[]).await?;
        let version = active["rules"]["version"].as_str().unwrap_or_default();
        client.get(&path_of(version), &[]).await
    })?;
    Rules::from_toml(rules["toml"].as_str().unwrap_or_default())
        .context("the active rules cannot be read by this version")
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// What to do with the file: look at what would change, and accept it if it is any better.
fn next_step(file: &Path, proposal: &Proposal) -> String {
    let (file, version) = (file.display(), proposal.rules.version());
    let look = format!("telesift rules diff --rules {file}");
    if proposal.effect.gain.0 > 0.0 {
        format!(
            "\nwritten to {file}; to accept it: {look}, telesift rules add {file}, telesift rules activate {version}"
        )
    } else {
        format!("\nwritten to {file}; to see what it would change: {look}")
    }
}

/// The proposed set, its effect in comments: a file that `rules add` takes.
fn text(base: &Rules, proposal: &Proposal) -> String {
    format!("{}\n{}", comments(base, proposal), proposal.rules.to_toml())
}

fn comments(base: &Rules, proposal: &Proposal) -> String {
    let Effect {
        n,
        before,
        after,
        gain: (gain, half),
        chats,
    } = &proposal.effect;
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# {text}");
    };
    line(format!(
        "Learned from {n} labels, over {}. Each label was judged by what the others teach:",
        base.version()
    ));
    line(format!("{:<26}{:>9}{:>9}", "", "before", "after"));
    line(format!(
        "{:<26}{:>9.3}{:>9.3}",
        "accuracy", before.accuracy, after.accuracy
    ));
    line(format!(
        "{:<26}{:>9.3}{:>9.3}",
        "macro F1", before.macro_f1, after.macro_f1
    ));
    let kept = (before.kept, after.kept);
    line(format!(
        "{:<26}{:>9.3}{:>9.3}",
        "not noise: precision", kept.0.precision, kept.1.precision
    ));
    line(format!(
        "{:<26}{:>9.3}{:>9.3}",
        "not noise: recall", kept.0.recall, kept.1.recall
    ));
    line(format!(
        "gain in macro F1 {gain:+.3} ± {half:.3} (95 %, 5 folds)"
    ));
    for class in Class::ALL {
        let row = |counts: [[u64; 3]; 3]| counts[class as usize].map(|n| n.to_string()).join(" ");
        line(format!(
            "{:<12} called noise, weak_signal, signal: {} before, {} after",
            class.as_str(),
            row(before.confusion.counts),
            row(after.confusion.counts),
        ));
    }
    for (chat, effect) in chats {
        line(format!(
            "chat {chat}: {} labels, {:.3} right before, {:.3} after",
            effect.n, effect.before, effect.after
        ));
    }
    if *gain <= 0.0 {
        line(
            "This is no better than the rules in force: label more before you accept it."
                .to_owned(),
        );
    } else if gain < half {
        line(
            "The gain may be chance: label more, or look at `telesift rules diff` first."
                .to_owned(),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use telesift_schemas::ChatId;

    use super::*;

    #[test]
    fn what_is_printed_is_a_rule_set_with_its_effect_in_comments() {
        let label = |i: usize| {
            let (text, class) = match i % 2 {
                0 => (
                    format!("standup notes number {i}, nothing new"),
                    Class::Noise,
                ),
                _ => (
                    format!("invoice {i} is overdue, the client stops work"),
                    Class::Signal,
                ),
            };
            Labelled {
                text,
                lang: "en".into(),
                class: Some(class),
                spam: None,
                chat: Some(ChatId(-1001)),
            }
        };
        let labels: Vec<Labelled> = (0..60).map(label).collect();
        let rules = Rules::default();
        let proposal = propose(&labels, &rules).unwrap();
        let text = text(&rules, &proposal);
        assert!(
            text.contains("# Learned from 60 labels") && text.contains("chat -1001"),
            "{text}"
        );
        let read = Rules::from_toml(&text).unwrap();
        assert_eq!(read.version(), proposal.rules.version());
    }
}
