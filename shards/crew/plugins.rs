//! Runs a worker's orders in plugins.

use crate::runner::{Over, Runner};
use base::Instant;
use bytes::Bytes;
use engine::OrderId;
use engine::record::{Ended, Failed};
use engine::workers::{PluginInfo, Run, Verdict};
use host::{Host, Job, RunError, TaskError};
use plugin::code;
use runtime::{LocalNotify, TaskSet, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use telemetry::{TRACEPARENT_BYTES, TraceContext};

/// The plugins of a node, as a worker's [`Runner`].
#[derive(Debug)]
pub struct Plugins {
    host: Host,
    /// Jobs have numbers there.
    orders: RefCell<BTreeMap<u64, OrderId>>,
    jobs: RefCell<BTreeMap<OrderId, u64>>,
    next_job: Cell<u64>,
    /// What is over and is not the host's to tell.
    told: Rc<Told>,
    questions: TaskSet,
}

#[derive(Debug, Default)]
struct Told {
    over: RefCell<Vec<Over>>,
    ring: LocalNotify,
}

impl Told {
    fn push(&self, over: Over) {
        self.over.borrow_mut().push(over);
        self.ring.notify();
    }
}

impl Plugins {
    /// Runs orders in the plugins of this host, which is nobody else's.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            orders: RefCell::new(BTreeMap::new()),
            jobs: RefCell::new(BTreeMap::new()),
            next_job: Cell::new(1),
            told: Rc::default(),
            questions: TaskSet::new(),
        }
    }

    /// What a worker says of them, by name.
    pub fn known(host: &Host) -> Vec<PluginInfo> {
        let plugins = host.plugins().iter().map(|plugin| PluginInfo {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            abi: plugin.abi,
        });
        let mut plugins: Vec<PluginInfo> = plugins.collect();
        plugins.sort();
        plugins
    }

    fn over(&self, job: u64, outcome: Result<Bytes, TaskError>) -> Option<Over> {
        let order = self.orders.borrow_mut().remove(&job)?;
        self.jobs.borrow_mut().remove(&order);
        Some(over(order, outcome))
    }
}

fn over(order: OrderId, outcome: Result<Bytes, TaskError>) -> Over {
    match outcome {
        Ok(output) => Over::Ended { order, ended: Ended::Output(output.to_vec()) },
        Err(error) if error.code == code::STOPPED => Over::Stopped { order },
        Err(TaskError { code, message, retryable }) => {
            Over::Ended { order, ended: Ended::Failed(Failed { code, message, retryable }) }
        }
    }
}

impl Runner for Plugins {
    fn start(&self, run: Run) {
        let Run { order, .. } = run;
        let job = self.next_job.get();
        self.next_job.set(job + 1);
        let refused = self.host.run(Job {
            key: job,
            plugin: run.plugin,
            config: run.config,
            input: run.input,
            timeout: (run.timeout_ms > 0).then(|| Duration::from_millis(run.timeout_ms)),
            idempotency_key: run.idempotency_key,
            instance: order.instance.to_string(),
            workflow: run.workflow,
            task: run.task,
            attempt: order.attempt,
            trace: run.trace.map(traceparent).unwrap_or_default(),
        });
        match refused {
            Ok(()) => {
                self.orders.borrow_mut().insert(job, order);
                self.jobs.borrow_mut().insert(order, job);
            }
            Err(error) => self.told.push(over(order, Err(refusal(&error)))),
        }
    }

    fn stop(&self, order: OrderId) {
        if let Some(job) = self.jobs.borrow().get(&order) {
            // One that is over already is about to be told.
            let _is_live = self.host.stop(*job);
        }
    }

    fn kill_all(&self) {
        self.host.stop_all(true);
    }

    fn keep(&self, until: Instant) {
        self.host.keep_until(until);
    }

    fn validate(&self, ticket: u64, plugin: &str, config: Bytes) {
        let answer = self.host.validate(plugin, config);
        let told = Rc::clone(&self.told);
        self.questions.spawn(async move {
            // A task runs at once when it is spawned, within an input.
            yield_now().await;
            let verdict = match answer.await {
                Ok(()) => Verdict::Valid,
                Err(error) if error.code == code::CONFIG => Verdict::Invalid(error.message),
                Err(error) => Verdict::Unsaid(error.message),
            };
            told.push(Over::Validated { ticket, verdict });
        });
    }

    fn poll_over(&self, context: &mut Context<'_>) -> Poll<Vec<Over>> {
        let mut all = loop {
            let over = self.told.over.take();
            if !over.is_empty() || self.told.ring.poll_notified(context).is_pending() {
                break over;
            }
        };
        if let Poll::Ready(finished) = self.host.poll_finished(context) {
            all.extend(finished.into_iter().filter_map(|one| self.over(one.key, one.outcome)));
        }
        if all.is_empty() { Poll::Pending } else { Poll::Ready(all) }
    }

    fn memory_bytes(&self) -> u64 {
        self.host.metrics().iter().map(|plugin| plugin.memory_bytes).sum()
    }
}

fn traceparent(trace: TraceContext) -> String {
    let mut text = Vec::with_capacity(TRACEPARENT_BYTES);
    trace.write_traceparent(&mut text);
    String::from_utf8(text).expect("hexadecimal digits and dashes")
}

/// A job that was not taken has failed; none of it has happened.
fn refusal(error: &RunError) -> TaskError {
    let code = match error {
        RunError::Unknown { .. } => code::MISSING,
        RunError::TooLarge { .. } | RunError::NotText { .. } => code::CONFIG,
        // The worker counts as the host does, and ends its host last.
        RunError::Full { .. } | RunError::Repeated { .. } | RunError::Stopping => code::STOPPED,
    };
    TaskError {
        code: code.to_owned(),
        message: error.to_string(),
        retryable: code == code::STOPPED,
    }
}
