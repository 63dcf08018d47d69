//! `telesift eval extract`: conversations with their claims in, figures out.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result, bail};
use telesift_extract::{
    RulesExtractor,
    evaluation::{Report, Score, Wrong, conversations, evaluate},
};

use crate::{
    cli::Connection,
    commands::{block_on, print},
};

pub(super) fn run(connection: &Connection, labels: &Path, worst: usize) -> Result<()> {
    let text =
        fs::read_to_string(labels).with_context(|| format!("cannot read {}", labels.display()))?;
    let conversations =
        conversations(&text).with_context(|| format!("cannot use {}", labels.display()))?;
    if conversations.is_empty() {
        bail!("{} holds no conversations", labels.display());
    }
    let mut report =
        block_on(async { Ok(evaluate(&RulesExtractor::new(), &conversations, |_| {}).await) })?;
    report.mistakes.truncate(worst);
    if connection.json {
        print::json(&report)
    } else {
        print::line(table(&report).trim_end())
    }
}

fn table(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let by = report.extractor.as_ref();
    let by = by.map_or_else(
        || "nobody".to_owned(),
        |by| format!("{}@{}", by.name, by.version),
    );
    writeln!(
        out,
        "extractor {by}, {} conversations\n",
        report.conversations
    )?;
    writeln!(
        out,
        "{:<14}{:>8}{:>8}{:>10}{:>11}{:>9}{:>8}",
        "", "found", "missed", "invented", "precision", "recall", "F1"
    )?;
    let mut row = |name: &str, score: &Score| {
        writeln!(
            out,
            "{name:<14}{:>8}{:>8}{:>10}{:>11.3}{:>9.3}{:>8.3}",
            score.found,
            score.missed,
            score.invented,
            score.precision(),
            score.recall(),
            score.f1()
        )
    };
    row("all", &report.all)?;
    for (kind, score) in &report.kinds {
        row(kind, score)?;
    }
    for (lang, score) in &report.langs {
        row(lang, score)?;
    }
    writeln!(
        out,
        "\nevidence: {} of {} quotes stand in their message; subjects: {} of {} right",
        report.quotes_valid, report.quotes, report.subjects_right, report.subjects
    )?;
    for failed in &report.failed {
        writeln!(out, "no answer: {}", print::printable(failed))?;
    }
    if !report.mistakes.is_empty() {
        writeln!(out, "\nmistakes:")?;
    }
    for mistake in &report.mistakes {
        let what = match mistake.what {
            Wrong::Missed => "missed",
            Wrong::Invented => "invented",
            Wrong::Subject => "subject of",
        };
        writeln!(
            out,
            "  {what} {} in {}, message {}: {}",
            mistake.kind.as_str(),
            mistake.conversation,
            mistake.message,
            print::printable(&mistake.text)
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_figures_and_mistakes() {
        let line = r#"{"name":"talk","lang":"en","messages":[{"id":1,"text":"The importer crashes on every second file"}],"expect":[{"kind":"decision","message":1}]}"#;
        let conversations = conversations(line).unwrap();
        let report =
            block_on(async { Ok(evaluate(&RulesExtractor::new(), &conversations, |_| {}).await) });
        let text = table(&report.unwrap());
        for part in [
            "extractor rules@4, 1 conversations",
            "precision",
            "1 of 1 quotes stand in their message",
            "missed decision in talk, message 1",
            "invented problem in talk, message 1",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
