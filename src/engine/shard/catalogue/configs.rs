//! What a workflow sets plugins up with: they are asked before it goes into the log.
//!
//! The core asks whoever leads, by way of the consensus core; only that node has workers to ask. Nothing
//! is in the log meanwhile, and what becomes of the question is an answer to the client alone: apply
//! takes every definition (docs/decisions/0027).

use super::{ChangeReady, refused_for, told};
use crate::cluster::{Demand, Fulfilled, PluginConfig};
use crate::message::{Answer, ToConsensus};
use crate::shard::{ShardCore, ShardEffect};
use api::{ApiError, Code};
use base::Outbox;
use document::{FAULTS_MAX, Span};
use flow::Definition;
use std::collections::BTreeMap;

/// A configuration, and the tasks that use it.
#[derive(Debug)]
pub(crate) struct UsedConfig {
    what: PluginConfig,
    by: Vec<User>,
}

/// A task that uses a configuration.
#[derive(Debug)]
struct User {
    workflow: String,
    task: String,
    at: Span,
}

/// A change that waits for what plugins say.
#[derive(Debug)]
pub(super) struct Asking {
    ticket: u64,
    ready: ChangeReady,
    used: Vec<UsedConfig>,
}

/// What the definitions set plugins up with, each once.
pub(super) fn used_configs(definitions: &[Definition]) -> Vec<UsedConfig> {
    let mut found: BTreeMap<PluginConfig, Vec<User>> = BTreeMap::new();
    for definition in definitions {
        for task in &definition.tasks {
            let (Some((plugin, config)), Some(at)) = (task.plugin(), task.config_at()) else {
                continue;
            };
            let what = PluginConfig { plugin: plugin.to_owned(), config: config.to_owned() };
            let by = User { workflow: definition.id.clone(), task: task.id.clone(), at };
            found.entry(what).or_default().push(by);
        }
    }
    found.into_iter().map(|(what, by)| UsedConfig { what, by }).collect()
}

impl super::Changes {
    /// Whether the answer to this question is about the change under way.
    pub(in crate::shard) fn is_asking(&self, ticket: u64) -> bool {
        let asking = self.under_way.as_ref().and_then(|under_way| under_way.asking.as_ref());
        asking.is_some_and(|asking| asking.ticket == ticket)
    }
}

impl ShardCore {
    /// The change under way waits for what plugins say.
    pub(super) fn ask_plugins(&mut self, mut ready: ChangeReady, out: &mut Outbox<ShardEffect>) {
        let used = std::mem::take(&mut ready.configs);
        let ticket = self.queries.next_ticket();
        let configs = used.iter().map(|one| one.what.clone()).collect();
        let demand = Demand::Validate { configs };
        out.push(ShardEffect::ToConsensus(ToConsensus::Demand { ticket, demand }));
        let under_way = self.changes.under_way.as_mut().expect("a change was made ready");
        under_way.asking = Some(Asking { ticket, ready, used });
    }

    /// Plugins have said something, or nobody could ask them.
    pub(in crate::shard) fn on_plugins_asked(
        &mut self,
        answer: Answer,
        out: &mut Outbox<ShardEffect>,
    ) {
        let under_way = self.changes.under_way.as_mut().expect("a change waits for it");
        let asking = under_way.asking.take().expect("it waits for it");
        let error = match answer {
            Answer::Fulfilled(fulfilled) => match *fulfilled {
                Fulfilled::Validated { faults } if faults.is_empty() => {
                    self.on_change_sound(asking.ready, out);
                    return;
                }
                Fulfilled::Validated { faults } => asking.refusal(&faults),
                Fulfilled::Refused(error) => error,
                // Of a leader whose release means something else by it.
                other => {
                    let detail =
                        format!("the leader answered {other:?} where plugins were to be asked");
                    ApiError::new(Code::Internal, detail)
                }
            },
            answer => unreachable!("{answer:?} is no answer to a demand"),
        };
        let waiter = under_way.waiter.clone();
        self.refuse(&waiter, &error, out);
    }
}

impl Asking {
    /// What a client is told of the configurations that plugins do not take.
    fn refusal(&self, faults: &[(u32, String)]) -> ApiError {
        let mut list = Vec::new();
        for (place, fault) in faults {
            // A leader names places of the question.
            let Some(used) = self.used.get(*place as usize) else { continue };
            for User { workflow, task, at } in &used.by {
                let plugin = &used.what.plugin;
                let what = format!(
                    "the plugin `{plugin}` refuses the configuration of task `{task}` of workflow \
                     `{workflow}`: {fault}"
                );
                let hint = format!(
                    "correct `config`; `distric-admin plugins check plugins/{plugin}.so --config \
                     JSON` tries one without a node"
                );
                list.push(told(*at, what, Some(hint)));
            }
        }
        list.sort_by_key(|fault| (fault.line, fault.column));
        list.truncate(FAULTS_MAX);
        refused_for(Code::InvalidDefinition, list)
    }
}
