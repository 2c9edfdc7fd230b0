//! Orders of workflows, carried out by the worker on this core.

use engine::record::{Ended, Failed};
use replica::Caller;

#[derive(Debug)]
pub(crate) struct Calls;

impl Calls {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn caller(self) -> Caller {
        Box::new(|_order| {
            Box::pin(async {
                Ended::Failed(Failed {
                    code: "connect".into(),
                    message: "soon".into(),
                    retryable: true,
                })
            })
        })
    }
}
