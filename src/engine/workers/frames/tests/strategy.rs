//! Any message that a worker and a leader can send.

use super::Said;
use crate::record::{Ended, Failed};
use crate::shard::OrderId;
use crate::workers::{CAPACITY_MAX, FromWorker, PluginInfo, Refusal, Run, ToWorker, Verdict};
use base::{Address, BootId, InstanceId, MessageId, WorkerId};
use bytes::Bytes;
use flow::TaskIndex;
use proptest::collection::vec;
use proptest::prelude::*;
use telemetry::TraceContext;

fn text() -> impl Strategy<Value = String> + Clone {
    "[a-zäß_/ ]{0,24}"
}

fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![0..4_u64, any::<u64>(), Just(u64::MAX)]
}

fn boot() -> impl Strategy<Value = BootId> + Clone {
    number().prop_map(BootId)
}

fn bytes() -> impl Strategy<Value = Bytes> + Clone {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn order() -> impl Strategy<Value = OrderId> + Clone {
    (number(), any::<u16>(), any::<u16>(), any::<u32>()).prop_map(
        |(message, ordinal, task, attempt)| {
            let instance = InstanceId { message: MessageId(message), ordinal };
            OrderId { instance, task: TaskIndex(task), attempt }
        },
    )
}

fn ended() -> impl Strategy<Value = Ended> {
    prop_oneof![
        bytes().prop_map(|output| Ended::Output(output.to_vec())),
        (text(), text(), any::<bool>()).prop_map(|(code, message, retryable)| {
            Ended::Failed(Failed { code, message, retryable })
        }),
    ]
}

fn plugin() -> impl Strategy<Value = PluginInfo> {
    (text(), text(), any::<u32>()).prop_map(|(name, version, abi)| PluginInfo {
        name,
        version,
        abi,
    })
}

fn from_worker() -> impl Strategy<Value = FromWorker> {
    let why = prop::sample::select(vec![
        Refusal::Boot,
        Refusal::Full,
        Refusal::Draining,
        Refusal::Plugin,
        Refusal::Over,
        Refusal::Lease,
    ]);
    let texts = (text(), text(), text());
    let register = (number(), boot(), texts, 0..=CAPACITY_MAX, vec(plugin(), 0..4)).prop_map(
        |(worker, boot, (name, address, zone), capacity, plugins)| FromWorker::Register {
            worker: WorkerId(worker),
            boot,
            name,
            address,
            capacity,
            plugins,
            zone,
        },
    );
    let renew = (boot(), number(), any::<u32>(), any::<u32>(), number()).prop_map(
        |(boot, number, running, cpu_permille, memory_bytes)| FromWorker::Renew {
            boot,
            number,
            running,
            cpu_permille,
            memory_bytes,
        },
    );
    prop_oneof![
        register,
        renew,
        order().prop_map(|order| FromWorker::Accepted { order }),
        (order(), why).prop_map(|(order, why)| FromWorker::Refused { order, why }),
        (order(), ended()).prop_map(|(order, ended)| FromWorker::Ended { order, ended }),
        order().prop_map(|order| FromWorker::Stopped { order }),
        any::<bool>().prop_map(|on| FromWorker::Drain { on }),
        boot().prop_map(|boot| FromWorker::Leave { boot }),
        (number(), verdict())
            .prop_map(|(ticket, verdict)| FromWorker::Validated { ticket, verdict }),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let (invalid, unsaid) = (text().prop_map(Verdict::Invalid), text().prop_map(Verdict::Unsaid));
    prop_oneof![Just(Verdict::Valid), invalid, unsaid]
}

fn run() -> impl Strategy<Value = Run> {
    let texts = (text(), text(), text(), text());
    let trace = prop::option::of((1..=u128::MAX, 1..=u64::MAX));
    (boot(), order(), texts, bytes(), bytes(), number(), trace).prop_map(
        |(
            boot,
            order,
            (plugin, idempotency_key, workflow, task),
            config,
            input,
            timeout_ms,
            trace,
        )| {
            Run {
                boot,
                order,
                plugin,
                config,
                input,
                timeout_ms,
                idempotency_key,
                workflow,
                task,
                trace: trace.map(|(trace, span)| TraceContext { trace, span }),
            }
        },
    )
}

fn to_worker() -> impl Strategy<Value = ToWorker> {
    let places = ["10.0.0.7:9201", "[2001:db8::7]:1", "node-7.example:65535"];
    let leader = prop::option::of(prop::sample::select(places.to_vec()));
    let not_taken = (text(), leader).prop_map(|(why, leader)| ToWorker::NotTaken {
        why,
        leader: leader.map(|text| Address::parse(text).unwrap()),
    });
    prop_oneof![
        (any::<u32>(), boot()).prop_map(|(lease_ms, boot)| ToWorker::Registered { lease_ms, boot }),
        not_taken,
        number().prop_map(|number| ToWorker::Renewed { number }),
        run().prop_map(|run| ToWorker::Run(Box::new(run))),
        order().prop_map(|order| ToWorker::Stop { order }),
        order().prop_map(|order| ToWorker::Recorded { order }),
        any::<bool>().prop_map(|on| ToWorker::Draining { on }),
        Just(ToWorker::Left),
        boot().prop_map(|boot| ToWorker::Lost { boot }),
        (number(), text(), bytes()).prop_map(|(ticket, plugin, config)| ToWorker::Validate {
            ticket,
            plugin,
            config
        }),
    ]
}

pub(super) fn said() -> impl Strategy<Value = Said> {
    prop_oneof![from_worker().prop_map(Said::ByWorker), to_worker().prop_map(Said::ByLeader)]
}
