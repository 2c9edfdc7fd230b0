//! Which trace a piece of work belongs to.

/// The name of a trace and of the span that caused what carries it: W3C Trace Context, level 2,
/// section 3.2. Whoever carries one is to be recorded: what is not sampled travels without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace, never 0.
    pub trace: u128,
    /// The parent's span, never 0.
    pub span: u64,
}
