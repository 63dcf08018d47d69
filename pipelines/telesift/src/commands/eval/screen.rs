//! `telesift eval screen`: labelled messages in, figures out.

use std::{fmt::Write, fs::File, io::BufReader, path::Path};

use anyhow::{Context, Result, bail};
use telesift_learn::{
    Labelled,
    evaluation::{Evaluation, SpamFigures, evaluate},
    labels,
    metrics::ClassFigures,
};
use telesift_schemas::Class;
use telesift_signal_score::Rules;

use crate::{cli::Connection, commands::print};

pub(super) fn run(
    connection: &Connection,
    labels: &Path,
    rules: Option<&Path>,
    worst: usize,
) -> Result<()> {
    let rules = match rules {
        Some(path) => read_rules(path)?,
        None => Rules::default(),
    };
    let mut evaluation = evaluate(&read_labels(labels)?, &rules);
    evaluation.worst.truncate(worst);
    if connection.json {
        print::json(&evaluation)
    } else {
        print::line(table(&evaluation).trim_end())
    }
}

/// Labelled messages of a file; an unreadable one is named with its line.
pub(crate) fn read_labels(path: &Path) -> Result<Vec<Labelled>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let labels = labels::read(BufReader::new(file))
        .with_context(|| format!("cannot use {}", path.display()))?;
    if labels.is_empty() {
        bail!("{} holds no labels", path.display());
    }
    Ok(labels)
}

/// The rule set of a TOML file; an invalid one is named with its line.
pub(crate) fn read_rules(path: &Path) -> Result<Rules> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Rules::from_toml(&text).with_context(|| format!("cannot use {}", path.display()))
}

fn table(evaluation: &Evaluation) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, evaluation);
    out
}

fn write(out: &mut String, evaluation: &Evaluation) -> std::fmt::Result {
    writeln!(
        out,
        "rules {}, {} labelled messages\n",
        evaluation.rules, evaluation.n_classed
    )?;
    if evaluation.n_classed > 0 {
        confusion(out, evaluation)?;
        languages(out, evaluation)?;
        calibration(out, evaluation)?;
    }
    if let Some(figures) = &evaluation.spam {
        spam(out, figures)?;
    }
    worst(out, evaluation)
}

/// What was flagged as spam; without spam among the labels there is no recall to tell.
fn spam(out: &mut String, spam: &SpamFigures) -> std::fmt::Result {
    let (counts, figures) = (spam.counts, spam.figures);
    match figures.n {
        0 => write!(out, "spam: none among the labels")?,
        n => write!(
            out,
            "spam: {} of {n} flagged (recall {:.3}, precision {:.3})",
            counts.true_positive, figures.recall, figures.precision,
        )?,
    }
    writeln!(
        out,
        "; {} of {} honest messages flagged ({:.1} %)\n",
        counts.false_positive,
        counts.false_positive + counts.true_negative,
        spam.false_positive_rate * 100.0,
    )
}

fn confusion(out: &mut String, evaluation: &Evaluation) -> std::fmt::Result {
    writeln!(
        out,
        "{:<22}{:>8}{:>13}{:>8}",
        "truth \\ called", "noise", "weak_signal", "signal"
    )?;
    for class in Class::ALL {
        let [noise, weak, signal] = evaluation.confusion.counts[class as usize];
        writeln!(out, "{:<22}{noise:>8}{weak:>13}{signal:>8}", class.as_str())?;
    }
    writeln!(
        out,
        "\naccuracy {:.3}, macro F1 {:.3}   (two cuts on length alone: accuracy {:.3}, macro F1 {:.3})\n",
        evaluation.accuracy,
        evaluation.macro_f1,
        evaluation.length_baseline.accuracy,
        evaluation.length_baseline.macro_f1,
    )
}

fn languages(out: &mut String, evaluation: &Evaluation) -> std::fmt::Result {
    writeln!(
        out,
        "{:<8}{:<13}{:>6}{:>11}{:>9}{:>8}",
        "lang", "class", "n", "precision", "recall", "F1"
    )?;
    let mut row = |lang: &str, name: &str, figures: &ClassFigures| {
        let ClassFigures {
            precision,
            recall,
            f1,
            n,
        } = figures;
        writeln!(
            out,
            "{lang:<8}{name:<13}{n:>6}{precision:>11.3}{recall:>9.3}{f1:>8.3}"
        )
    };
    for class in Class::ALL {
        row("all", class.as_str(), &evaluation.classes[class.as_str()])?;
    }
    for (lang, figures) in &evaluation.languages {
        for class in Class::ALL {
            row(lang, class.as_str(), &figures.classes[class.as_str()])?;
        }
    }
    writeln!(out)?;
    for (lang, figures) in &evaluation.languages {
        writeln!(
            out,
            "{lang:<8}{} messages, accuracy {:.3}, macro F1 {:.3}   (length alone: {:.3})",
            figures.n, figures.accuracy, figures.macro_f1, figures.length_macro_f1
        )?;
    }
    writeln!(out)
}

fn calibration(out: &mut String, evaluation: &Evaluation) -> std::fmt::Result {
    writeln!(
        out,
        "{:<12}{:>8}{:>13}{:>18}",
        "score", "n", "mean score", "share not noise"
    )?;
    for bin in evaluation.calibration.iter().filter(|bin| bin.n > 0) {
        let range = format!("{:.1}–{:.1}", bin.from, bin.to);
        writeln!(
            out,
            "{range:<12}{:>8}{:>13.3}{:>18.3}",
            bin.n, bin.mean_score, bin.share
        )?;
    }
    writeln!(
        out,
        "expected calibration error {:.3}\n",
        evaluation.calibration_error
    )
}

fn worst(out: &mut String, evaluation: &Evaluation) -> std::fmt::Result {
    if evaluation.worst.is_empty() {
        return Ok(());
    }
    writeln!(out, "worst mistakes:")?;
    for mistake in &evaluation.worst {
        writeln!(
            out,
            "  {} called {} ({:.2}, {}): {}",
            mistake.truth.as_str(),
            mistake.called.as_str(),
            mistake.score,
            mistake.lang,
            print::printable(&mistake.text),
        )?;
        let because: Vec<String> = mistake
            .because
            .iter()
            .map(|(name, push)| format!("{name} {push:+.2}"))
            .collect();
        let evidence = if mistake.evidence.is_empty() {
            String::new()
        } else {
            format!("  [{}]", print::printable(&mistake.evidence.join(", ")))
        };
        writeln!(out, "      {}{evidence}", because.join(", "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_every_figure_asked_for() {
        let lines = "{\"text\":\"прод упав\",\"lang\":\"uk\",\"class\":\"signal\"}\n{\"text\":\"ok\",\"lang\":\"en\",\"class\":\"signal\",\"spam\":false}\n";
        let labels = labels::read(lines.as_bytes()).unwrap();
        let text = table(&evaluate(&labels, &Rules::default()));
        for part in [
            "truth \\ called",
            "length alone",
            "precision",
            "calibration",
            "spam: none among the labels; 0 of 1 honest messages flagged",
            "worst mistakes",
            "signal called noise",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
