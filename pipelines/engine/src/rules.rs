//! Rules by name or text, read by the SmartModule's own code: what ships, until the catalog keeps others.

use async_trait::async_trait;
use telesift_ports::{
    catalog::Result,
    replays::{ReplayRange, ResolvedRules, RuleFault, RuleText, RulesSource},
};
use telesift_signal_score::{RuleError, Rules};

/// A [`RulesSource`] that knows the rules that ship, by the name `default` or by their version.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShippedRules;

#[async_trait]
impl RulesSource for ShippedRules {
    async fn resolve(&self, name: &str) -> Result<Option<ResolvedRules>> {
        let shipped = resolved(&Rules::default());
        Ok((name == "default" || name == shipped.version).then_some(shipped))
    }

    async fn active(&self, _ranges: &[ReplayRange]) -> Result<ResolvedRules> {
        Ok(resolved(&Rules::default()))
    }

    fn read(&self, text: &RuleText) -> std::result::Result<ResolvedRules, RuleFault> {
        let read = match text {
            RuleText::Toml(toml) => Rules::from_toml(toml),
            RuleText::Json(json) => Rules::from_json(json),
        };
        let fault = |RuleError { line, reason }| RuleFault { line, reason };
        read.as_ref().map(resolved).map_err(|e| fault(e.clone()))
    }
}

fn resolved(rules: &Rules) -> ResolvedRules {
    ResolvedRules {
        version: rules.version().to_owned(),
        json: rules.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_reads_back_as_the_same_version() {
        let text = "name = \"mine\"\nversion = 2\n[thresholds]\nsignal = 0.7\n";
        let read = ShippedRules.read(&RuleText::Toml(text.to_owned())).unwrap();
        assert!(read.version.starts_with("mine@2+"), "{}", read.version);
        let again = ShippedRules
            .read(&RuleText::Json(read.json.clone()))
            .unwrap();
        assert_eq!(again, read);
    }

    #[test]
    fn a_fault_names_its_line() {
        let text = "name = \"mine\"\nversion = 2\n[thresholds]\nsignal = 7\n";
        let fault = ShippedRules
            .read(&RuleText::Toml(text.to_owned()))
            .unwrap_err();
        assert_eq!(fault.line, Some(4));
        assert!(fault.reason.contains("signal"), "{fault}");
    }
}
