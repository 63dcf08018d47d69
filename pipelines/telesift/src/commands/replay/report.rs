//! A replay as the API shows it in, a page for a terminal out.

use std::fmt::Write as _;

use indicatif::HumanCount;
use serde_json::Value;

use crate::commands::print;

/// Characters shown of a sample's text.
const TEXT_CHARS: usize = 160;

/// What a replay does.
enum Kind {
    /// Has conversations read, or says what that would cost.
    Reads { is_dry: bool },
    /// Fills a generation.
    Fills,
    /// Counts what a stage would work on.
    Counts,
    /// Compares rules.
    Compares,
}

impl Kind {
    fn of(replay: &Value) -> Self {
        match (
            text(&replay["stage"]),
            replay["dry_run"] != Value::Bool(false),
        ) {
            ("extract", is_dry) => Kind::Reads { is_dry },
            (_, false) => Kind::Fills,
            ("screen", true) => Kind::Compares,
            (_, true) => Kind::Counts,
        }
    }
}

/// One line for a list.
pub(super) fn in_list(replay: &Value) -> String {
    let stage = text(&replay["stage"]);
    let what = match Kind::of(replay) {
        Kind::Reads { is_dry } => format!(
            "extract{}  {} conversations, {} calls",
            if is_dry { " (dry run)" } else { "" },
            count(&replay["estimate"]["units"]),
            count(&replay["estimate"]["calls"]),
        ),
        Kind::Fills => format!("{stage} -> {}", generation(&replay["generation"])),
        Kind::Counts => format!(
            "{stage} (dry run)  {} messages",
            count(&replay["cost"]["new"]["messages"])
        ),
        Kind::Compares => format!(
            "{} changes  {} -> {}",
            counts(&replay["diff"]).map(|(_, n)| n).sum::<u64>(),
            text(&replay["base"]),
            text(&replay["rules"]),
        ),
    };
    format!(
        "{}  {:<9}  {}/{} records  {what}",
        text(&replay["id"]),
        text(&replay["state"]),
        replay["processed"],
        replay["total"],
    )
}

/// Everything, with at most `n_samples` of each change.
pub(super) fn report(replay: &Value, n_samples: usize) -> String {
    let mut page = match Kind::of(replay) {
        Kind::Reads { is_dry } => read(replay, is_dry),
        Kind::Fills => filled(replay, n_samples),
        Kind::Counts => counted(replay),
        Kind::Compares => compared(replay, n_samples),
    };
    page.truncate(page.trim_end().len());
    page
}

/// A dry run of other rules.
fn compared(replay: &Value, n_samples: usize) -> String {
    let mut page = String::new();
    head(&mut page, replay);
    changes(&mut page, replay, n_samples);
    cost(&mut page, &replay["cost"]);
    labels(&mut page, &replay["labels"]);
    page
}

/// A dry run that compares nothing.
fn counted(replay: &Value) -> String {
    let (new, ledger) = (&replay["cost"]["new"], &replay["ledger"]);
    let mut page = format!(
        "{} of {} records of {}, {}\n{} would work on {} messages: {} characters, about {} tokens\npassed by: {}",
        count(&replay["processed"]),
        count(&replay["total"]),
        text(&replay["input"]),
        text(&replay["state"]),
        text(&replay["stage"]),
        count(&new["messages"]),
        count(&new["characters"]),
        count(&new["estimated_tokens"]),
        lost(&ledger["skipped"]),
    );
    let failed = lost(&ledger["failed"]);
    if failed != "none" {
        let _ = write!(page, "\nfailed: {failed}");
    }
    page
}

/// A replay of `extract`, or what one would cost.
fn read(replay: &Value, is_dry: bool) -> String {
    let (estimate, ledger) = (&replay["estimate"], &replay["ledger"]);
    let mut page = format!(
        "conversations closed {} .. {}: {} of {} records, {}\n",
        text(&replay["from"]),
        text(&replay["to"]),
        count(&replay["processed"]),
        count(&replay["total"]),
        text(&replay["state"]),
    );
    let _ = writeln!(
        page,
        "{} {}; left as they are: {}",
        count(&estimate["units"]),
        match is_dry {
            true => "would be read anew",
            false => "read anew",
        },
        lost(&ledger["skipped"])
    );
    let failed = lost(&ledger["failed"]);
    if failed != "none" {
        let _ = writeln!(page, "nobody can tell: {failed}");
    }
    let _ = writeln!(
        page,
        "calls: {}, at most {} tokens sent, {} received, {} USD; {} answered before",
        count(&estimate["calls"]),
        count(&estimate["tokens_in"]),
        count(&estimate["tokens_out"]),
        number(&estimate["usd"], 4),
        count(&estimate["kept"]),
    );
    if is_dry && estimate["units"].as_u64().is_some_and(|n| n > 0) {
        page.push_str("`telesift replay --stage extract` does it");
    }
    if !is_dry {
        let _ = writeln!(page, "fills {}", generation(&replay["generation"]));
    }
    page
}

/// A replay that fills a generation.
fn filled(replay: &Value, n_samples: usize) -> String {
    let rules = match text(&replay["rules"]) {
        "" => "the rules that screened each record",
        rules => rules,
    };
    let mut page = format!(
        "{} of {}: {} .. {}, {} of {} records, {}\n{}\n",
        text(&replay["stage"]),
        text(&replay["input"]),
        text(&replay["from"]),
        text(&replay["to"]),
        count(&replay["processed"]),
        count(&replay["total"]),
        text(&replay["state"]),
        generation(&replay["generation"]),
    );
    if replay["stage"] == "screen" {
        let _ = writeln!(page, "by {rules}");
    }
    let ledger = &replay["ledger"];
    let _ = writeln!(
        page,
        "{} made; skipped: {}",
        count(&ledger["judged"]),
        lost(&ledger["skipped"])
    );
    if replay["stage"] == "screen" && replay["state"] == "done" {
        page.push('\n');
        changes(&mut page, replay, n_samples);
    }
    let id = text(&replay["id"]);
    let is_ready = replay["generation"]["state"] == "ready";
    match replay["generation"]["live"].as_bool() {
        Some(true) => {
            let _ = write!(
                page,
                "it is live; `telesift replay switch-back {id}` undoes that"
            );
        }
        Some(false) if is_ready => {
            let _ = write!(page, "`telesift replay switch {id}` makes it live");
        }
        _ => {}
    }
    page
}

fn generation(generation: &Value) -> String {
    match generation["number"].as_u64() {
        None => "no generation yet".to_owned(),
        Some(number) => {
            let live = generation["live"] == Value::Bool(true);
            let state = if live {
                "live"
            } else {
                text(&generation["state"])
            };
            format!("generation {number}, {state}")
        }
    }
}

/// Counts in one line.
fn lost(of: &Value) -> String {
    let parts: Vec<String> = counts(of).map(|(name, n)| format!("{n} {name}")).collect();
    match parts.is_empty() {
        true => "none".to_owned(),
        false => parts.join(", "),
    }
}

// Writing to a String cannot fail, here and below.
fn head(page: &mut String, replay: &Value) {
    let ledger = &replay["ledger"];
    let _ = writeln!(
        page,
        "{} -> {}\n{} .. {}: {} of {} records, {}",
        text(&replay["base"]),
        match text(&replay["rules"]) {
            "" => "the same",
            rules => rules,
        },
        text(&replay["from"]),
        text(&replay["to"]),
        count(&replay["processed"]),
        count(&replay["total"]),
        text(&replay["state"]),
    );
    let _ = writeln!(
        page,
        "{} messages judged, {} alike to the last bit; skipped: {}; failed: {}\n",
        count(&ledger["judged"]),
        count(&replay["identical"]),
        lost(&ledger["skipped"]),
        lost(&ledger["failed"]),
    );
}

fn changes(page: &mut String, replay: &Value, n_samples: usize) {
    let mut pairs: Vec<(&str, u64)> = counts(&replay["diff"]).collect();
    pairs.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    if pairs.is_empty() {
        page.push_str("no message changes its class or its spam flag\n\n");
        return;
    }
    let _ = writeln!(page, "{:<28}{:>10}", "change", "messages");
    for (pair, n) in &pairs {
        let n = HumanCount(*n).to_string();
        let _ = writeln!(page, "{:<28}{n:>10}", arrow(pair));
    }
    page.push('\n');
    for (pair, n) in &pairs {
        let samples = replay["samples"][*pair].as_array();
        let shown: Vec<&Value> = samples.into_iter().flatten().take(n_samples).collect();
        if shown.is_empty() {
            continue;
        }
        let _ = writeln!(
            page,
            "{}: {} of {}",
            arrow(pair),
            shown.len(),
            HumanCount(*n)
        );
        for sample in shown {
            sample_lines(page, sample);
        }
        page.push('\n');
    }
}

fn sample_lines(page: &mut String, sample: &Value) {
    let origin = &sample["origin"];
    let _ = writeln!(
        page,
        "  {} {} -> {} {}  {}  {}/{}@{}",
        text(&sample["base"]["class"]),
        number(&sample["base"]["score"], 4),
        text(&sample["new"]["class"]),
        number(&sample["new"]["score"], 4),
        text(&sample["message"]),
        text(&origin["topic"]),
        origin["partition"],
        origin["offset"],
    );
    let body = print::shorten(&print::printable(text(&sample["text"])), TEXT_CHARS);
    let body = if body.is_empty() { "[no text]" } else { &body };
    let _ = writeln!(page, "      {body}");
    let reasons: Vec<String> = sample["factors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|f| {
            let (base, new) = (number(&f["base"], 2), number(&f["new"], 2));
            format!("{} {base} -> {new}", text(&f["name"]))
        })
        .collect();
    let reasons = match reasons.is_empty() {
        true => "the factors are the same; the thresholds or the bias are not".to_owned(),
        false => reasons.join(", "),
    };
    let _ = writeln!(page, "      because: {reasons}");
}

fn cost(page: &mut String, cost: &Value) {
    let _ = writeln!(
        page,
        "{:<28}{:>12}{:>12}{:>12}",
        "would go on to enrichment", "base", "new", "change"
    );
    for (name, field) in [
        ("messages", "messages"),
        ("characters", "characters"),
        ("tokens (estimated)", "estimated_tokens"),
    ] {
        let change = cost["change"][field].as_i64().unwrap_or_default();
        let sign = if change < 0 { '-' } else { '+' };
        let change = format!("{sign}{}", HumanCount(change.unsigned_abs()));
        let _ = writeln!(
            page,
            "{name:<28}{:>12}{:>12}{change:>12}",
            count(&cost["base"][field]),
            count(&cost["new"][field]),
        );
    }
    page.push('\n');
}

fn labels(page: &mut String, labels: &Value) {
    if labels.is_null() {
        page.push_str("no labels in this range: precision and recall are not known\n");
        return;
    }
    let _ = writeln!(
        page,
        "{:<28}{:>12}{:>12}{:>12}{:>12}",
        format!("{} labels", count(&labels["new"]["labelled"])),
        "P base",
        "P new",
        "R base",
        "R new"
    );
    let mut line = |name: &str, base: &Value, new: &Value| {
        let _ = writeln!(
            page,
            "{name:<28}{:>12}{:>12}{:>12}{:>12}",
            number(&base["precision"], 3),
            number(&new["precision"], 3),
            number(&base["recall"], 3),
            number(&new["recall"], 3),
        );
    };
    let (base, new) = (&labels["base"], &labels["new"]);
    line("not noise", &base["not_noise"], &new["not_noise"]);
    for class in ["noise", "weak_signal", "signal"] {
        line(class, &base["classes"][class], &new["classes"][class]);
    }
    if !new["spam"].is_null() {
        line("spam", &base["spam"], &new["spam"]);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn count(value: &Value) -> String {
    HumanCount(value.as_u64().unwrap_or_default()).to_string()
}

/// A number with `places` decimals; a dash where there is none.
fn number(value: &Value, places: usize) -> String {
    match value.as_f64() {
        Some(n) => format!("{n:.places$}"),
        None => "-".to_owned(),
    }
}

fn arrow(pair: &str) -> String {
    pair.replacen("->", " -> ", 1)
}

fn counts(object: &Value) -> impl Iterator<Item = (&str, u64)> {
    let members = object.as_object().into_iter().flatten();
    members.map(|(name, n)| (name.as_str(), n.as_u64().unwrap_or_default()))
}

#[cfg(test)]
mod tests;
