//! Providers of language models: those of the configuration and of the catalog.

use std::sync::Arc;

use anyhow::{Context, Result};
use telesift_catalog::SqlCatalog;
use telesift_models::ProviderBook;
use telesift_ports::{Clock, Providers};

use crate::config::Config;

/// The providers, ready to be asked.
pub(super) fn open(
    config: &Config,
    catalog: Arc<SqlCatalog>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Providers>> {
    let enrich = &config.enrich;
    let book = ProviderBook::new(enrich.providers(), enrich.choice(), catalog, clock);
    Ok(Arc::new(book.context("in enrich.providers")?))
}
