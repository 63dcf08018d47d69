//! Providers of language models, and the desk that gives units of conversation to those their chat allows.

use std::sync::Arc;

use anyhow::{Context, Result};
use telesift_catalog::SqlCatalog;
use telesift_extract::RulesExtractor;
use telesift_models::ProviderBook;
use telesift_ports::{Clock, Extractor, Providers};
use telesift_stages::desk::{DeskParts, ExtractDesk};

use crate::config::Config;

/// The providers of the configuration and of the catalog, ready to be asked.
pub(super) fn open(
    config: &Config,
    catalog: Arc<SqlCatalog>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Providers>> {
    let enrich = &config.enrich;
    let book = ProviderBook::new(enrich.providers(), enrich.choice(), catalog, clock);
    Ok(Arc::new(book.context("in enrich.providers")?))
}

/// The one extractor of the flow: the rules, or the provider a chat allows, within the budgets.
pub(super) fn desk(
    config: &Config,
    catalog: Arc<SqlCatalog>,
    providers: Arc<dyn Providers>,
    clock: Arc<dyn Clock>,
) -> Arc<dyn Extractor> {
    Arc::new(ExtractDesk::new(DeskParts {
        rules: Arc::new(RulesExtractor::new()),
        providers,
        settings: catalog.clone(),
        ledger: catalog.clone(),
        answers: catalog,
        clock,
        limits: config.enrich.limits(),
    }))
}
