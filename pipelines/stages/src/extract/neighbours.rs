//! Claims and subjects that mean what is known already, found by the true cosine of their vectors.

use std::{collections::VecDeque, sync::Arc};

use telesift_ports::{
    Catalog, Embedder,
    embedder::Purpose,
    knowledge::{AtomFilter, SubjectPosition},
};
use telesift_schemas::{AtomKind, DraftAtom};

use super::ExtractConfig;
use crate::{
    consumer::StageError,
    knowledge::{atom_id, subject_key},
};

/// Atoms that new claims are compared with: the newest.
const MAX_ATOMS: usize = 2_000;
/// Subjects that names are compared with.
const MAX_SUBJECTS: usize = 5_000;
/// Texts embedded at once.
const PORTION: usize = 256;

/// What new claims are compared with. Read from the catalog at first; what is found since is added.
pub(super) struct Neighbours {
    embedder: Arc<dyn Embedder>,
    same_atom: f32,
    same_subject: f32,
    is_loaded: bool,
    subjects: Vec<Subject>,
    atoms: VecDeque<Atom>,
}

struct Subject {
    key: String,
    name: String,
    vector: Vec<f32>,
}

struct Atom {
    id: String,
    kind: AtomKind,
    vector: Vec<f32>,
}

impl Neighbours {
    pub(super) fn new(embedder: Arc<dyn Embedder>, config: &ExtractConfig) -> Self {
        Neighbours {
            embedder,
            same_atom: config.same_atom,
            same_subject: config.same_subject,
            is_loaded: false,
            subjects: Vec::new(),
            atoms: VecDeque::new(),
        }
    }

    /// Names known subjects by their known names, and atoms of other units that claim the same. Where no vectors can be had
    /// nothing is found: a claim twice is better than none. What is new is known from then on.
    pub(super) async fn resolve(
        &mut self,
        catalog: &dyn Catalog,
        unit: &str,
        drafts: &mut [DraftAtom],
    ) -> Result<(), StageError> {
        if drafts.is_empty() {
            return Ok(());
        }
        self.load(catalog).await?;
        let own = catalog.atoms_of_units(&[unit.to_owned()]).await?;
        let own: Vec<String> = own.into_iter().map(|stored| stored.atom.id).collect();
        let texts: Vec<String> = drafts.iter().map(said).collect();
        let Some(vectors) = self.vectors(&texts).await else {
            return Ok(());
        };
        for (draft, vector) in drafts.iter_mut().zip(vectors) {
            let others = self.atoms.iter();
            let others = others.filter(|a| a.kind == draft.kind && !own.contains(&a.id));
            let nearest = others.map(|a| (cosine(&a.vector, &vector), &a.id));
            let nearest = nearest.filter(|(similarity, _)| *similarity >= self.same_atom);
            let nearest = nearest.max_by(|a, b| a.0.total_cmp(&b.0));
            draft.same_atom = nearest.map(|(_, id)| id.clone());
            let own = |first| atom_id(unit, draft.kind, first);
            let id = draft.same_atom.clone();
            let id = id.or_else(|| draft.evidence.first().map(own));
            if let Some(id) = id.filter(|id| self.atoms.iter().all(|a| a.id != *id)) {
                let kind = draft.kind;
                self.atoms.push_back(Atom { id, kind, vector });
            }
        }
        while self.atoms.len() > MAX_ATOMS {
            self.atoms.pop_front();
        }
        let names: Vec<String> = drafts.iter().filter_map(|d| d.subject.clone()).collect();
        let Some(vectors) = self.vectors(&names).await else {
            return Ok(());
        };
        let named = drafts.iter_mut().filter_map(|d| d.subject.as_mut());
        for (name, vector) in named.zip(vectors) {
            self.name(name, vector);
        }
        Ok(())
    }

    /// The known name of a subject of this name, or the name itself, known from now on.
    fn name(&mut self, name: &mut String, vector: Vec<f32>) {
        let key = subject_key(name);
        if self.subjects.iter().any(|s| s.key == key) {
            return; // the same stems: the same subject anyway
        }
        let known = self.subjects.iter();
        let nearest = known.map(|s| (cosine(&s.vector, &vector), &s.name));
        let nearest = nearest.filter(|(similarity, _)| *similarity >= self.same_subject);
        match nearest.max_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((_, known)) => *name = known.clone(),
            None => self.subjects.push(Subject {
                key,
                name: name.clone(),
                vector,
            }),
        }
    }

    async fn load(&mut self, catalog: &dyn Catalog) -> Result<(), StageError> {
        if self.is_loaded {
            return Ok(());
        }
        let mut atoms = catalog
            .atoms(&AtomFilter::default(), None, MAX_ATOMS)
            .await?;
        atoms.reverse();
        let atoms = atoms.into_iter().map(|s| s.atom);
        let atoms: Vec<_> = atoms
            .map(|a| (a.id, a.kind, text(&a.title, &a.content)))
            .collect();
        let subjects = catalog
            .subjects(None, None::<&SubjectPosition>, MAX_SUBJECTS)
            .await?;
        let names: Vec<String> = subjects.into_iter().map(|s| s.name).collect();
        self.remember(atoms).await;
        for part in names.chunks(PORTION) {
            let Some(vectors) = self.vectors(part).await else {
                return Ok(());
            };
            let known = part.iter().zip(vectors).map(|(name, vector)| Subject {
                key: subject_key(name),
                name: name.clone(),
                vector,
            });
            self.subjects.extend(known);
        }
        self.is_loaded = true;
        Ok(())
    }

    async fn remember(&mut self, atoms: Vec<(String, AtomKind, String)>) {
        for part in atoms.chunks(PORTION) {
            let texts: Vec<String> = part.iter().map(|(_, _, text)| text.clone()).collect();
            let Some(vectors) = self.vectors(&texts).await else {
                return;
            };
            for ((id, kind, _), vector) in part.iter().zip(vectors) {
                self.atoms.push_back(Atom {
                    id: id.clone(),
                    kind: *kind,
                    vector,
                });
            }
        }
        while self.atoms.len() > MAX_ATOMS {
            self.atoms.pop_front();
        }
    }

    async fn vectors(&self, texts: &[String]) -> Option<Vec<Vec<f32>>> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        if texts.is_empty() {
            return Some(Vec::new());
        }
        match self.embedder.embed(&texts, Purpose::Passage).await {
            Ok(vectors) => Some(vectors),
            Err(error) => {
                tracing::warn!(%error, "claims are not compared with what is known");
                None
            }
        }
    }
}

fn said(draft: &DraftAtom) -> String {
    text(&draft.title, &draft.content)
}

fn text(title: &str, content: &str) -> String {
    format!("{title}\n{content}")
}

/// The cosine of two vectors; 0 where one has no direction.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let lengths = length(a) * length(b);
    if lengths > 0.0 { dot / lengths } else { 0.0 }
}
