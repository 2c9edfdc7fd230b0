use super::*;
use std::collections::BTreeSet;

const CALLER: TraceContext = TraceContext { trace: 5, span: 6 };

fn begun(ratio: f64, requests: usize) -> Vec<TraceContext> {
    let mut sampler = Sampler::new(ratio, Prng::new(9)).unwrap();
    (0..requests).filter_map(|_| sampler.decide(Traceparent::Absent)).collect()
}

#[test]
fn the_callers_decision_stands() {
    for ratio in [0.0, 0.5, 1.0] {
        let mut sampler = Sampler::new(ratio, Prng::new(9)).unwrap();
        assert_eq!(sampler.decide(Traceparent::Sampled(CALLER)), Some(CALLER));
        assert_eq!(sampler.decide(Traceparent::Unsampled), None);
    }
}

#[test]
fn without_one_the_ratio_decides() {
    // Requests, ratio, and the traces that may come of it: 5 standard deviations around the mean.
    for (ratio, least, most) in
        [(0.0, 0, 0), (1.0, 10_000, 10_000), (0.5, 4_750, 5_250), (0.01, 50, 150)]
    {
        let traces = begun(ratio, 10_000).len();
        assert!((least..=most).contains(&traces), "{ratio}: {traces}");
    }
}

#[test]
fn a_trace_that_begins_here_has_a_name_of_its_own_and_no_parent() {
    let traces = begun(1.0, 1_000);
    let names: BTreeSet<_> = traces.iter().map(|context| context.trace).collect();
    assert_eq!(names.len(), 1_000);
    assert!(traces.iter().all(|context| context.trace >> 64 != 0 && context.span == 0));
}

#[test]
fn a_sampler_that_is_off_traces_nobody() {
    let mut sampler = Sampler::off();
    assert_eq!(sampler.decide(Traceparent::Sampled(CALLER)), None);
    assert_eq!(sampler.decide(Traceparent::Absent), None);
}

#[test]
fn what_is_no_ratio_is_refused_with_its_value() {
    for ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = Sampler::new(ratio, Prng::new(9)).unwrap_err();
        assert!(error.to_string().starts_with(&ratio.to_string()), "{error}");
    }
}
