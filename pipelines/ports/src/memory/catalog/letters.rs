//! Dead letters in a map, by id.

use async_trait::async_trait;
use telesift_schemas::Offset;

use super::MemoryCatalog;
use crate::{
    catalog::Result,
    dead_letters::{LetterCatalog, LetterFilter, LetterRow},
};

#[async_trait]
impl LetterCatalog for MemoryCatalog {
    async fn put_letters(&self, letters: &[LetterRow]) -> Result<()> {
        let mut tables = self.tables();
        for letter in letters {
            match tables.letters.get_mut(&letter.id) {
                Some(held) if held.last >= letter.last => {}
                Some(held) => {
                    *held = LetterRow {
                        first: held.first,
                        ..letter.clone()
                    };
                }
                None => {
                    tables.letters.insert(letter.id.clone(), letter.clone());
                }
            }
        }
        Ok(())
    }

    async fn letter(&self, id: &str) -> Result<Option<LetterRow>> {
        Ok(self.tables().letters.get(id).cloned())
    }

    async fn letters(
        &self,
        filter: &LetterFilter,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<LetterRow>> {
        let tables = self.tables();
        let mut found: Vec<&LetterRow> = tables
            .letters
            .values()
            .filter(|l| before.is_none_or(|before| l.first < before) && filter.matches(l))
            .collect();
        found.sort_by_key(|l| std::cmp::Reverse(l.first));
        Ok(found.into_iter().take(limit).cloned().collect())
    }
}
