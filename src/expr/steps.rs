//! Steps that several evaluations take together.

use crate::error::EvalError;
use crate::evaluate::Meter;
use crate::limits::STEPS_MAX;

/// What evaluations that belong together may take besides the bound that each has by itself
/// ([`STEPS_MAX`]). What does not fit takes all that is left: nothing behind it is evaluated, however
/// small, so that people see where it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    steps_max: u32,
    left: u32,
}

impl Steps {
    /// So many.
    pub fn new(steps_max: u32) -> Self {
        Self { steps_max, left: steps_max }
    }

    /// How many are left.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// For work beside the evaluations: what they see is made, or what they gave is copied.
    pub fn spend(&mut self, steps: usize) -> Result<(), EvalError> {
        let left = u32::try_from(steps).ok().and_then(|steps| self.left.checked_sub(steps));
        self.left = left.unwrap_or(0);
        left.map(|_| ()).ok_or(EvalError::TooManyStepsTogether { steps_max: self.steps_max })
    }

    /// One evaluation, which gets no more than what is left.
    pub(crate) fn pay<T>(
        &mut self,
        evaluate: impl FnOnce(&mut Meter) -> Result<T, EvalError>,
    ) -> Result<T, EvalError> {
        let given = self.left.min(STEPS_MAX);
        let mut meter = Meter::of(given);
        match evaluate(&mut meter) {
            Err(EvalError::TooManySteps) => {
                self.left -= given;
                Err(if given < STEPS_MAX {
                    EvalError::TooManyStepsTogether { steps_max: self.steps_max }
                } else {
                    EvalError::TooManySteps
                })
            }
            result => {
                self.left -= meter.taken(given);
                result
            }
        }
    }
}

#[cfg(test)]
mod tests;
