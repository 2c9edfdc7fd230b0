//! Evaluates `all`, `exists`, `exists_one`, `filter` and `map`.
//!
//! Invariants
//! - A macro ends: it goes once over a list or the keys of a map that is there before it begins,
//!   and every element costs steps.
//! - Its variable is known to its condition and its body alone.

use crate::ast::{Each, Macro, Node};
use crate::error::EvalError;
use crate::evaluate::Evaluation;
use crate::limits::LIST_ELEMENTS_MAX;
use crate::value::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// What a macro goes over.
enum Range<'e> {
    /// A list of the scope or of the expression.
    Borrowed(&'e [Value]),
    /// A list that was made.
    Shared(Arc<[Value]>),
    /// The keys of a map.
    Keys(Arc<Map>),
}

impl<'e> Range<'e> {
    /// What `value` has to go over; else the name of its kind.
    fn of(value: Cow<'e, Value>) -> Result<Range<'e>, &'static str> {
        Ok(match value {
            Cow::Borrowed(Value::List(elements)) => Range::Borrowed(elements),
            Cow::Owned(Value::List(elements)) => Range::Shared(elements),
            Cow::Borrowed(Value::Map(map)) => Range::Keys(map.clone()),
            Cow::Owned(Value::Map(map)) => Range::Keys(map),
            other => return Err(other.kind_name()),
        })
    }

    fn element(&self, index: usize) -> Option<Cow<'e, Value>> {
        match self {
            Range::Borrowed(elements) => elements.get(index).map(Cow::Borrowed),
            Range::Shared(elements) => elements.get(index).cloned().map(Cow::Owned),
            Range::Keys(map) => map.key_at(index).map(|key| Cow::Owned(Value::Text(key.clone()))),
        }
    }
}

impl<'e> Evaluation<'e, '_> {
    /// Does what the macro says with each element of a list or each key of a map. Kept out of
    /// `node`, whose frame every comparison pays for.
    #[inline(never)]
    pub(crate) fn each(
        &mut self,
        range: Cow<'e, Value>,
        each: &'e Each,
    ) -> Result<Value, EvalError> {
        let range = &Range::of(range)
            .map_err(|kind| EvalError::WrongKind { operation: each.what.name(), kind })?;
        let own = self.locals.len();
        self.locals.push(Cow::Owned(Value::Null));
        let body = &each.body;
        let result = match each.what {
            Macro::All => self.decided(range, body, false, each.what),
            Macro::Exists => self.decided(range, body, true, each.what),
            Macro::ExistsOne => self.exists_one(range, body),
            Macro::Filter => self.filter(range, body),
            Macro::Map => self.mapped(range, each.condition.as_ref(), body),
        };
        self.locals.truncate(own);
        result
    }

    /// Makes the element at `index` the variable; false behind the last.
    fn bind(&mut self, range: &Range<'e>, index: usize) -> Result<bool, EvalError> {
        self.meter.spend(1)?;
        let Some(element) = range.element(index) else { return Ok(false) };
        *self.locals.last_mut().expect("the macro has its variable") = element;
        Ok(true)
    }

    /// `all` and `exists`: an element whose truth is `deciding` decides, whatever errors others
    /// have.
    fn decided(
        &mut self,
        range: &Range<'e>,
        body: &'e Node,
        deciding: bool,
        what: Macro,
    ) -> Result<Value, EvalError> {
        let mut failure = None;
        let mut index = 0;
        while self.bind(range, index)? {
            match self.truth(body, what.name()) {
                Ok(truth) if truth == deciding => return Ok(Value::Bool(deciding)),
                Ok(_) => {}
                Err(error) if error.is_bound() => return Err(error),
                Err(error) => failure = failure.or(Some(error)),
            }
            index += 1;
        }
        failure.map_or(Ok(Value::Bool(!deciding)), Err)
    }

    fn exists_one(&mut self, range: &Range<'e>, body: &'e Node) -> Result<Value, EvalError> {
        let (mut index, mut count) = (0_usize, 0_usize);
        while self.bind(range, index)? {
            count += usize::from(self.truth(body, Macro::ExistsOne.name())?);
            index += 1;
        }
        Ok(Value::Bool(count == 1))
    }

    fn filter(&mut self, range: &Range<'e>, body: &'e Node) -> Result<Value, EvalError> {
        let mut kept = Vec::new();
        let mut index = 0;
        while self.bind(range, index)? {
            if self.truth(body, Macro::Filter.name())? {
                let element = self.locals.last().expect("the macro has its variable");
                push(&mut kept, Value::clone(element))?;
            }
            index += 1;
        }
        Ok(kept.into())
    }

    fn mapped(
        &mut self,
        range: &Range<'e>,
        condition: Option<&'e Node>,
        body: &'e Node,
    ) -> Result<Value, EvalError> {
        let mut made = Vec::new();
        let mut index = 0;
        while self.bind(range, index)? {
            let wanted = match condition {
                Some(condition) => self.truth(condition, Macro::Map.name())?,
                None => true,
            };
            if wanted {
                push(&mut made, self.node(body)?.into_owned())?;
            }
            index += 1;
        }
        Ok(made.into())
    }
}

fn push(list: &mut Vec<Value>, value: Value) -> Result<(), EvalError> {
    if list.len() == LIST_ELEMENTS_MAX {
        return Err(EvalError::ListTooLong);
    }
    list.push(value);
    Ok(())
}
