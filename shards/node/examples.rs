//! The example catalogue, carried in the binary, so that a first start needs no file.

use anyhow::{Context, Result};
use document::Source;
use engine::record::Change;

const RULES: &[(&str, &str)] = &[
    ("config/rules/payments.yaml", include_str!("../../config/rules/payments.yaml")),
    ("config/rules/operations.yaml", include_str!("../../config/rules/operations.yaml")),
];

const WORKFLOWS: &[(&str, &str)] = &[
    ("config/workflows/fraud_check.yaml", include_str!("../../config/workflows/fraud_check.yaml")),
    (
        "config/workflows/order_fulfilment.yaml",
        include_str!("../../config/workflows/order_fulfilment.yaml"),
    ),
    (
        "config/workflows/user_onboarding.yaml",
        include_str!("../../config/workflows/user_onboarding.yaml"),
    ),
    (
        "config/workflows/incident_alert.yaml",
        include_str!("../../config/workflows/incident_alert.yaml"),
    ),
];

/// The changes that put the examples into an empty catalogue.
pub(crate) fn catalogue() -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for (name, text) in WORKFLOWS {
        let found = flow::parse(Source { name, text }, flow::Plugins::Known(&[]))
            .context("an example workflow is wrong")?;
        changes.extend(found.into_iter().map(|found| Change::PutDefinition(found.source)));
    }
    for (name, text) in RULES {
        let found = rules::parse(Source { name, text }).context("an example rule is wrong")?;
        changes.extend(found.into_iter().map(|found| Change::PutRule(found.source)));
    }
    Ok(changes)
}
