//! `make model`: trains the weights that ship from labelled files, writes them, and says how good they are.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use telesift_learn::{
    corpus, rule_file,
    train::{Source, Trained, train},
};
use telesift_schemas::Class;
use telesift_signal_score::Rules;

/// Trains the n-gram weights and the default rules of signal-score.
#[derive(Parser)]
struct Arguments {
    /// The folder of signal-score: training/ is read, model/ and rules/default.toml are written.
    #[arg(default_value = "smartmodules/signal-score")]
    folder: PathBuf,
    /// A folder with further labelled data: importance/messages.jsonl, spam/spam.txt, spam/ham.txt.
    #[arg(long)]
    more: Option<PathBuf>,
    /// Write nothing; fail unless the files that ship are what training gives.
    #[arg(long)]
    check: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = arguments.folder.as_path();
    let mut sources = corpus::own(&folder.join("training"))?;
    if let Some(more) = &arguments.more {
        let further = corpus::further(more, &folder.join("training"))?;
        sources.extend(further.into_sources());
    }
    let prior = read(&folder.join("rules/prior.toml"))?;
    let rules = Rules::from_toml(&prior).context("rules/prior.toml")?;
    let trained = train(&sources, &rules);
    let report = report(&sources, &trained);
    print(&report);

    let default = folder.join("rules/default.toml");
    let with_learned = rule_file::with_learned(&read(&default)?, &trained)?;
    let files: [(PathBuf, Vec<u8>); 3] = [
        (folder.join("model/ngrams.bin"), trained.model),
        (folder.join("model/REPORT.md"), report.into_bytes()),
        (default, with_learned.into_bytes()),
    ];
    for (path, bytes) in files {
        if arguments.check {
            let same = fs::read(&path).is_ok_and(|known| known == bytes);
            ensure!(
                same,
                "{} is not what training gives; run `make model`",
                path.display()
            );
        } else {
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[expect(
    clippy::print_stdout,
    reason = "the report is what this program prints"
)]
fn print(report: &str) {
    println!("{report}");
}

/// What the model was made of and how good it is on what it had not seen.
fn report(sources: &[Source], trained: &Trained) -> String {
    let mut text = String::from(
        "# The model that ships\n\nWritten by `make model`. Figures are out of fold: each message is judged by a model \
         trained on the other four fifths.\n\n\
         | source | lines | counts | accuracy | macro F1 | F1 noise | F1 weak_signal | F1 signal |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (name, confusion) in &trained.out_of_fold {
        let source = sources.iter().find(|source| source.name == *name);
        let (n, weight) = source.map_or((0, 0.0), |s| (s.labels.len(), s.weight));
        let [noise, weak, signal] = Class::ALL.map(|class| confusion.of(class).f1);
        let (accuracy, f1) = (confusion.accuracy(), confusion.macro_f1());
        let _ = writeln!(
            text,
            "| {name} | {n} | {weight} | {accuracy:.3} | {f1:.3} | {noise:.3} | {weak:.3} | {signal:.3} |",
        );
    }
    text.push_str(
        "\nSpam:\n\n| source | spam | honest | recall | honest flagged |\n|---|--:|--:|--:|--:|\n",
    );
    for (name, counts) in &trained.spam_out_of_fold {
        let honest = counts.false_positive + counts.true_negative;
        let (figures, flagged) = (counts.figures(), counts.false_positive_rate());
        let (n, recall) = (figures.n, figures.recall);
        let _ = writeln!(
            text,
            "| {name} | {n} | {honest} | {recall:.3} | {flagged:.4} |"
        );
    }
    text
}
