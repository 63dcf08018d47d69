//! What an extractor claims against what the messages say: only claims whose words stand there, literally, are kept. Pure.

use std::collections::{BTreeMap, HashSet};

use telesift_ports::extractor::{Claim, ClaimedQuote, UnitMessage};
use telesift_schemas::{AtomKind, DraftAtom, DraftLink, MessageKey, Quote};

/// Claims kept of one answer, at most.
const MAX_CLAIMS: usize = 50;
/// Quotes kept of one claim, at most.
const MAX_QUOTES: usize = 8;
/// Characters a title, a content, the name of a subject, a quote may have.
const MAX_TITLE: usize = 200;
const MAX_CONTENT: usize = 2_000;
const MAX_SUBJECT: usize = 80;
const MAX_QUOTE: usize = 1_000;
/// Letters and digits a quote must have, unless it is the whole message: less proves nothing.
const MIN_QUOTE: usize = 3;

/// What is left of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verified {
    /// Claims with verified quotes, in their order.
    pub atoms: Vec<DraftAtom>,
    /// What was not kept, by reason: claims, quotes, links.
    pub rejected: BTreeMap<String, u32>,
}

impl Verified {
    fn reject(&mut self, reason: &str) {
        *self.rejected.entry(reason.to_owned()).or_default() += 1;
    }
}

/// Checks `claims` against the whole texts of `messages`.
pub fn verify(claims: &[Claim], messages: &[UnitMessage]) -> Verified {
    let mut verified = Verified::default();
    // Where each claim went, by its place in the answer.
    let mut places: Vec<Option<u32>> = Vec::with_capacity(claims.len());
    let mut known: HashSet<(AtomKind, MessageKey, u32, u32)> = HashSet::new();
    for claim in claims {
        let place = (|| {
            if verified.atoms.len() >= MAX_CLAIMS {
                verified.reject("too_many_claims");
                return None;
            }
            let atom = check(claim, messages, &mut verified)?;
            let first = atom.evidence.first()?;
            if !known.insert((atom.kind, first.message, first.start, first.end)) {
                verified.reject("repeated");
                return None;
            }
            verified.atoms.push(atom);
            u32::try_from(verified.atoms.len() - 1).ok()
        })();
        places.push(place);
    }
    link(claims, &places, &mut verified);
    verified
}

fn check(claim: &Claim, messages: &[UnitMessage], verified: &mut Verified) -> Option<DraftAtom> {
    let confidence = match claim.confidence {
        Some(c) if (0.0..=1.0).contains(&c) => c,
        Some(_) => {
            verified.reject("bad_confidence");
            return None;
        }
        None => {
            verified.reject("no_confidence");
            return None;
        }
    };
    let title = plain(&claim.title);
    let content = plain(&claim.content);
    let refused = match () {
        () if title.is_empty() => Some("no_title"),
        () if is_longer(&title, MAX_TITLE) => Some("long_title"),
        () if is_longer(&content, MAX_CONTENT) => Some("long_content"),
        () => None,
    };
    if let Some(reason) = refused {
        verified.reject(reason);
        return None;
    }
    let mut evidence: Vec<Quote> = Vec::new();
    for quote in &claim.quotes {
        match find(quote, messages) {
            Ok(found) if evidence.contains(&found) => {}
            Ok(_) if evidence.len() >= MAX_QUOTES => verified.reject("too_many_quotes"),
            Ok(found) => evidence.push(found),
            Err(reason) => verified.reject(reason),
        }
    }
    if evidence.is_empty() {
        verified.reject("no_evidence");
        return None;
    }
    let subject = claim.subject.as_deref().map(plain);
    let subject = subject.filter(|s| {
        let is_long = is_longer(s, MAX_SUBJECT);
        if is_long {
            verified.reject("long_subject");
        }
        !is_long && s.chars().any(char::is_alphanumeric)
    });
    Some(DraftAtom {
        kind: claim.kind,
        title,
        content,
        confidence,
        subject,
        evidence,
        links: Vec::new(),
        same_atom: None,
    })
}

/// Where a quote stands: its first occurrence, in characters.
fn find(quote: &ClaimedQuote, messages: &[UnitMessage]) -> Result<Quote, &'static str> {
    let message = messages
        .iter()
        .find(|m| m.id.message_id == quote.message_id)
        .ok_or("foreign_message")?;
    let words = quote.quote.trim();
    if is_longer(words, MAX_QUOTE) {
        return Err("long_quote");
    }
    let n_letters = words.chars().filter(|c| c.is_alphanumeric()).count();
    if n_letters == 0 || (n_letters < MIN_QUOTE && words != message.text.trim()) {
        return Err("short_quote");
    }
    let at = message.text.find(words).ok_or("quote_not_found")?;
    let start = message.text[..at].chars().count();
    let end = start + words.chars().count();
    let offset = |n: usize| u32::try_from(n).map_err(|_| "quote_not_found");
    Ok(Quote {
        message: message.id,
        quote: words.to_owned(),
        start: offset(start)?,
        end: offset(end)?,
    })
}

/// Links between claims that are left; one to itself, or to nowhere, is none.
fn link(claims: &[Claim], places: &[Option<u32>], verified: &mut Verified) {
    for (claim, from) in claims.iter().zip(places) {
        for (kind, to) in &claim.links {
            let to = places.get(*to).copied().flatten();
            match (from, to) {
                (Some(from), Some(to)) if *from != to => {
                    let link = DraftLink { kind: *kind, to };
                    let links = &mut verified.atoms[*from as usize].links;
                    if !links.contains(&link) {
                        links.push(link);
                    }
                }
                (Some(_), _) => verified.reject("bad_link"),
                (None, _) => {}
            }
        }
    }
}

fn is_longer(text: &str, max: usize) -> bool {
    text.chars().nth(max).is_some()
}

/// A text in one line, without control characters and marks that turn the direction or are not seen at all.
fn plain(text: &str) -> String {
    let seen = text.chars().map(|c| match c {
        c if c.is_whitespace() => ' ',
        c => c,
    });
    let seen: String = seen.filter(|c| !c.is_control() && !is_hidden(*c)).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Zero-width characters, marks of direction, tags, the byte order mark.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests;
