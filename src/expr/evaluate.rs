//! Walks the tree of an expression and makes its value.
//!
//! Values are borrowed from the scope and from the expression as long as possible: a comparison of
//! paths with constants allocates nothing and counts no reference.

use crate::arithmetic;
use crate::ast::{Access, Node, Operator, Path, Unary};
use crate::compare;
use crate::error::EvalError;
use crate::functions::{self, Function};
use crate::limits::{
    FOLD_STEPS_MAX, LIST_ELEMENTS_MAX, STEP_BYTES, STEPS_MAX, TEXT_BYTES_MAX, VALUE_BYTES_MAX,
};
use crate::scope::{Empty, Scope};
use crate::transient::{Kept, Transient};
use crate::value::{Map, Value};
use base::limits::NESTING_MAX;
use std::borrow::Cow;
use std::cmp::Ordering;

/// The steps that an evaluation has left.
#[derive(Debug)]
pub(crate) struct Meter {
    left: Option<u32>,
}

impl Meter {
    pub(crate) fn new() -> Meter {
        Meter::of(STEPS_MAX)
    }

    pub(crate) fn of(steps: u32) -> Meter {
        Meter { left: Some(steps) }
    }

    /// How many of the steps that it was made of were taken.
    pub(crate) fn taken(&self, of: u32) -> u32 {
        of - self.left.unwrap_or(of)
    }

    /// For what is constant in one expression.
    pub(crate) fn for_folding() -> Meter {
        Meter { left: Some(FOLD_STEPS_MAX) }
    }

    /// For a comparison outside of any evaluation.
    pub(crate) fn unlimited() -> Meter {
        Meter { left: None }
    }

    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), EvalError> {
        if let Some(left) = &mut self.left {
            let steps = u32::try_from(steps).unwrap_or(u32::MAX);
            *left = left.checked_sub(steps).ok_or(EvalError::TooManySteps)?;
        }
        Ok(())
    }

    /// For work on so many bytes.
    pub(crate) fn spend_bytes(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.spend(bytes / STEP_BYTES)
    }
}

/// The value of a node that has only constants in it; None when there is an error instead.
pub(crate) fn constant(node: &Node, meter: &mut Meter) -> Option<Value> {
    Evaluation::new("", &Empty, meter).node(node).ok().map(Cow::into_owned)
}

/// Refuses a value that an evaluation built if it could not be written and read back. Whether there
/// is something in it that has to be settled first.
pub(crate) fn check_built(value: &Value) -> Result<bool, EvalError> {
    let mut bytes_left = VALUE_BYTES_MAX;
    measure(value, NESTING_MAX, &mut bytes_left)
}

fn measure(value: &Value, levels: usize, bytes_left: &mut usize) -> Result<bool, EvalError> {
    let mut take = |bytes: usize| {
        *bytes_left = bytes_left.checked_sub(bytes).ok_or(EvalError::TooLarge)?;
        Ok(())
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Double(_) => {
            take(1)?;
            Ok(false)
        }
        Value::Uint(number) => {
            take(1)?;
            Ok(i64::try_from(*number).is_ok())
        }
        Value::Text(text) => {
            take(text.len() + 2)?;
            Ok(false)
        }
        Value::Transient(Transient(kept)) => {
            take(kept.text_bytes_max() + 2)?;
            Ok(true)
        }
        Value::List(elements) => {
            take(2 + elements.len())?;
            let levels = levels.checked_sub(1).ok_or(EvalError::TooDeep)?;
            elements.iter().try_fold(false, |unsettled, element| {
                Ok(measure(element, levels, bytes_left)? || unsettled)
            })
        }
        Value::Map(map) => {
            take(2)?;
            let levels = levels.checked_sub(1).ok_or(EvalError::TooDeep)?;
            map.iter().try_fold(false, |unsettled, (key, value)| {
                let entry = key.len() + 4;
                *bytes_left = bytes_left.checked_sub(entry).ok_or(EvalError::TooLarge)?;
                Ok(measure(value, levels, bytes_left)? || unsettled)
            })
        }
    }
}

/// So many names of a path are handed to a scope without an allocation.
const PATH_NAMES_USUAL: usize = 8;

/// Something that a path names and that is not there. Small: `has()` makes and drops many.
struct Missing {
    start: u32,
    end: u32,
    what: What,
}

enum What {
    Key,
    Element { count: usize },
    NotAMap { kind: &'static str },
}

impl Missing {
    fn into_error(self, source: &str) -> EvalError {
        // While constants are folded there is no source, and the error is dropped.
        let path = source.get(self.start as usize..self.end as usize).unwrap_or("").to_owned();
        match self.what {
            What::Key => EvalError::NoSuchKey { path },
            What::Element { count } => EvalError::NoSuchElement { path, count },
            What::NotAMap { kind } => EvalError::NotAMap { path, kind },
        }
    }
}

/// One evaluation of one expression. `'e` is the life of the expression and of the scope.
pub(crate) struct Evaluation<'e, 'm> {
    /// The text of the expression, from which errors quote.
    source: &'e str,
    scope: &'e dyn Scope,
    pub(crate) meter: &'m mut Meter,
    /// The variables of the macros that are at work, outermost first.
    pub(crate) locals: Vec<Cow<'e, Value>>,
}

impl<'e, 'm> Evaluation<'e, 'm> {
    pub(crate) fn new(source: &'e str, scope: &'e dyn Scope, meter: &'m mut Meter) -> Self {
        Evaluation { source, scope, meter, locals: Vec::new() }
    }

    /// The value of `node`. Recurses as deep as the expression nests.
    pub(crate) fn node(&mut self, node: &'e Node) -> Result<Cow<'e, Value>, EvalError> {
        self.meter.spend(1)?;
        let value = match node {
            Node::Constant(value) => return Ok(Cow::Borrowed(value)),
            Node::Path(path) => {
                return self.path(path).map_err(|missing| missing.into_error(self.source));
            }
            Node::Member { base, start, accesses } => return self.member(base, *start, accesses),
            Node::Local(index) => return Ok(self.locals[*index].clone()),
            Node::Type(path, of) => {
                return Ok(self.path(path).unwrap_or(Cow::Owned(Kept::Type(*of).into())));
            }
            Node::Conditional { cases, otherwise } => {
                for (condition, then) in cases {
                    if self.truth(condition, "?:")? {
                        return self.node(then);
                    }
                }
                return self.node(otherwise);
            }
            Node::Chain { first, rest } => return self.chain(first, rest),
            Node::Has(node) => self.has(node)?,
            Node::Unary { operator: Unary::Not, count, operand } => {
                Value::Bool(self.truth(operand, "!")? ^ (count % 2 == 1))
            }
            Node::Unary { operator: Unary::Negate, count, operand } => {
                let negative = arithmetic::negate(&*self.node(operand)?)?;
                if count % 2 == 1 { negative } else { arithmetic::negate(&negative)? }
            }
            Node::And(operands) => self.logical(operands, false, "&&")?,
            Node::Or(operands) => self.logical(operands, true, "||")?,
            Node::List(elements) => {
                let own = |node| self.node(node).map(Cow::into_owned);
                Value::List(elements.iter().map(own).collect::<Result<_, _>>()?)
            }
            Node::Map(entries) => self.map(entries)?,
            Node::Call { function, arguments } => self.call(*function, None, arguments)?,
        };
        Ok(Cow::Owned(value))
    }

    /// The truth value of `node`, which `operation` needs.
    pub(crate) fn truth(
        &mut self,
        node: &'e Node,
        operation: &'static str,
    ) -> Result<bool, EvalError> {
        match &*self.node(node)? {
            Value::Bool(truth) => Ok(*truth),
            other => Err(EvalError::WrongKind { operation, kind: other.kind_name() }),
        }
    }

    /// `&&` and `||`: an operand that equals `deciding` decides, whatever errors the others have.
    fn logical(
        &mut self,
        operands: &'e [Node],
        deciding: bool,
        operation: &'static str,
    ) -> Result<Value, EvalError> {
        let mut failure = None;
        for operand in operands {
            match self.truth(operand, operation) {
                Ok(truth) if truth == deciding => return Ok(Value::Bool(deciding)),
                Ok(_) => {}
                Err(error) if error.is_bound() => return Err(error),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(Value::Bool(!deciding)), Err)
    }

    fn path(&self, path: &'e Path) -> Result<Cow<'e, Value>, Missing> {
        let mut few = [""; PATH_NAMES_USUAL];
        let many: Vec<&str>;
        let names: &[&str] = if let Some(few) = few.get_mut(..path.names.len()) {
            for (place, (name, _)) in few.iter_mut().zip(&path.names) {
                *place = name;
            }
            few
        } else {
            many = path.names.iter().map(|(name, _)| &**name).collect();
            &many
        };
        let missing = |end, what| Missing { start: path.start, end, what };
        let Some(found) = self.scope.resolve(names) else {
            return Err(missing(path.names[path.names.len() - 1].1, What::Key));
        };
        assert!(
            (1..=names.len()).contains(&found.names),
            "a scope answers for one to all names of a path"
        );
        let mut value = found.value;
        for (name, end) in &path.names[found.names..] {
            value = field(value, name).map_err(|what| missing(*end, what))?;
        }
        Ok(value)
    }

    fn member(
        &mut self,
        base: &'e Node,
        start: u32,
        accesses: &'e [Access],
    ) -> Result<Cow<'e, Value>, EvalError> {
        let mut value = self.node(base)?;
        for access in accesses {
            self.meter.spend(1)?;
            let source = self.source;
            let missing = |end, what| Missing { start, end, what }.into_error(source);
            value = match access {
                Access::Field(name, end) => {
                    field(value, name).map_err(|what| missing(*end, what))?
                }
                Access::Index(index, end) => match (&*value, &*self.node(index)?) {
                    (Value::Map(_), Value::Text(key)) => {
                        field(value, key).map_err(|what| missing(*end, what))?
                    }
                    (Value::List(elements), index) if is_whole(index) => {
                        let count = elements.len();
                        let index = position(index).filter(|index| *index < count);
                        element(value, index)
                            .ok_or_else(|| missing(*end, What::Element { count }))?
                    }
                    (value, index) => {
                        return Err(EvalError::WrongKinds {
                            operation: "[]",
                            left: value.kind_name(),
                            right: index.kind_name(),
                        });
                    }
                },
                Access::Method(function, arguments) => {
                    Cow::Owned(self.call(*function, Some(value), arguments)?)
                }
                Access::Matches(pattern) => match &*value {
                    Value::Text(text) => {
                        Cow::Owned(Value::Bool(pattern.is_match(text, self.meter)?))
                    }
                    other => {
                        let (operation, left) = (Function::Matches.name(), other.kind_name());
                        return Err(EvalError::WrongKinds { operation, left, right: "string" });
                    }
                },
                Access::Each(each) => Cow::Owned(self.each(value, each)?),
            };
        }
        Ok(value)
    }

    /// Calls a function; of a method, `receiver` is the first argument. Kept out of `node`, whose
    /// frame every comparison pays for.
    #[inline(never)]
    fn call(
        &mut self,
        function: Function,
        receiver: Option<Cow<'e, Value>>,
        arguments: &'e [Node],
    ) -> Result<Value, EvalError> {
        // Nearly all calls are one of the first three.
        match (receiver, arguments) {
            (Some(receiver), []) => functions::call(function, &[&receiver], self.meter),
            (Some(receiver), [argument]) => {
                let argument = self.node(argument)?;
                functions::call(function, &[&receiver, &argument], self.meter)
            }
            (None, [argument]) => {
                let argument = self.node(argument)?;
                functions::call(function, &[&argument], self.meter)
            }
            (receiver, arguments) => {
                let mut values: Vec<Cow<'e, Value>> = receiver.into_iter().collect();
                for argument in arguments {
                    values.push(self.node(argument)?);
                }
                let values: Vec<&Value> = values.iter().map(Cow::as_ref).collect();
                functions::call(function, &values, self.meter)
            }
        }
    }

    fn has(&mut self, node: &'e Node) -> Result<Value, EvalError> {
        if let Node::Path(path) = node {
            return Ok(Value::Bool(self.path(path).is_ok()));
        }
        match self.node(node) {
            Ok(_) => Ok(Value::Bool(true)),
            Err(error) if error.is_missing() => Ok(Value::Bool(false)),
            Err(error) => Err(error),
        }
    }

    fn map(&mut self, entries: &'e [(Node, Node)]) -> Result<Value, EvalError> {
        let mut built = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = match self.node(key)?.into_owned() {
                Value::Text(key) => key,
                other => {
                    let operation = "{key: value}";
                    return Err(EvalError::WrongKind { operation, kind: other.kind_name() });
                }
            };
            built.push((key, self.node(value)?.into_owned()));
        }
        let map = Map::from_entries(built);
        if map.len() < entries.len() {
            return Err(EvalError::RepeatedKey);
        }
        Ok(map.into())
    }

    fn chain(
        &mut self,
        first: &'e Node,
        rest: &'e [(Operator, Node)],
    ) -> Result<Cow<'e, Value>, EvalError> {
        let first = self.node(first)?;
        // By far the most common chain: one comparison.
        if let [(operator, node)] = rest
            && *operator != Operator::Add
        {
            let right = self.node(node)?;
            return self.operate(*operator, &first, &right).map(Cow::Owned);
        }
        let mut left = Joined::Value(first);
        for (operator, node) in rest {
            let right = self.node(node)?;
            left = match operator {
                Operator::Add => self.add(left, &right)?,
                operator => {
                    let value = self.operate(*operator, &left.into_value(), &right)?;
                    Joined::Value(Cow::Owned(value))
                }
            };
        }
        Ok(left.into_value())
    }

    /// `+`, which joins texts and lists in place: a chain of them costs its length, not its square.
    fn add(&mut self, left: Joined<'e>, right: &Value) -> Result<Joined<'e>, EvalError> {
        let left = match left {
            Joined::Value(value) => match (&*value, right) {
                (Value::Text(text), Value::Text(_)) => {
                    self.meter.spend_bytes(text.len())?;
                    Joined::Text(String::from(&**text))
                }
                (Value::List(elements), Value::List(_)) => {
                    self.meter.spend(elements.len())?;
                    Joined::List(elements.to_vec())
                }
                (
                    Value::Transient(Transient(Kept::Bytes(left))),
                    Value::Transient(Transient(Kept::Bytes(right))),
                ) => {
                    let bytes = self.join_bytes(left, right)?;
                    return Ok(Joined::Value(Cow::Owned(bytes)));
                }
                (value, right) => {
                    let sum = arithmetic::calculate(Operator::Add, value, right)?;
                    return Ok(Joined::Value(Cow::Owned(sum)));
                }
            },
            joined => joined,
        };
        match (left, right) {
            (Joined::Text(mut text), Value::Text(more)) => {
                push_text(&mut text, more, self.meter)?;
                Ok(Joined::Text(text))
            }
            (Joined::List(mut elements), Value::List(more)) => {
                self.meter.spend(more.len())?;
                if elements.len() + more.len() > LIST_ELEMENTS_MAX {
                    return Err(EvalError::ListTooLong);
                }
                elements.extend_from_slice(more);
                Ok(Joined::List(elements))
            }
            (left, right) => Err(EvalError::WrongKinds {
                operation: "+",
                left: left.into_value().kind_name(),
                right: right.kind_name(),
            }),
        }
    }

    fn join_bytes(&mut self, left: &[u8], right: &[u8]) -> Result<Value, EvalError> {
        self.meter.spend_bytes(left.len() + right.len())?;
        if left.len() + right.len() > TEXT_BYTES_MAX {
            return Err(EvalError::TextTooLong);
        }
        Ok(Value::bytes([left, right].concat()))
    }

    /// Every operator but `+`.
    fn operate(
        &mut self,
        operator: Operator,
        left: &Value,
        right: &Value,
    ) -> Result<Value, EvalError> {
        let truth = match operator {
            Operator::Equal => compare::equals(left, right, self.meter)?,
            Operator::NotEqual => !compare::equals(left, right, self.meter)?,
            Operator::Less => self.order(operator, left, right)?.is_lt(),
            Operator::LessOrEqual => self.order(operator, left, right)?.is_le(),
            Operator::Greater => self.order(operator, left, right)?.is_gt(),
            Operator::GreaterOrEqual => self.order(operator, left, right)?.is_ge(),
            Operator::In => self.contains(left, right)?,
            Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Remainder => return arithmetic::calculate(operator, left, right),
        };
        Ok(Value::Bool(truth))
    }

    fn order(
        &mut self,
        operator: Operator,
        left: &Value,
        right: &Value,
    ) -> Result<Ordering, EvalError> {
        match (left, right) {
            (Value::Int(left), Value::Int(right)) => return Ok(left.cmp(right)),
            (Value::Text(left), Value::Text(right)) => {
                self.meter.spend_bytes(left.len().min(right.len()))?;
            }
            (Value::Transient(Transient(Kept::Bytes(bytes))), _) => {
                self.meter.spend_bytes(bytes.len())?;
            }
            _ => {}
        }
        left.compare(right).ok_or_else(|| EvalError::WrongKinds {
            operation: operator.symbol(),
            left: left.kind_name(),
            right: right.kind_name(),
        })
    }

    /// `left in right`.
    fn contains(&mut self, left: &Value, right: &Value) -> Result<bool, EvalError> {
        match (left, right) {
            (left, Value::List(elements)) => {
                for element in elements.iter() {
                    self.meter.spend(1)?;
                    if compare::equals(left, element, self.meter)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Value::Text(key), Value::Map(map)) => Ok(map.contains_key(key)),
            // Keys are texts: no other kind is among them.
            (_, Value::Map(_)) => Ok(false),
            (left, right) => Err(EvalError::WrongKinds {
                operation: "in",
                left: left.kind_name(),
                right: right.kind_name(),
            }),
        }
    }
}

/// What a chain of operators has come to.
enum Joined<'e> {
    Value(Cow<'e, Value>),
    Text(String),
    List(Vec<Value>),
}

impl<'e> Joined<'e> {
    fn into_value(self) -> Cow<'e, Value> {
        match self {
            Joined::Value(value) => value,
            Joined::Text(text) => Cow::Owned(Value::text(text)),
            Joined::List(elements) => Cow::Owned(Value::from(elements)),
        }
    }
}

/// Appends `more` to a text that an evaluation builds.
pub(crate) fn push_text(text: &mut String, more: &str, meter: &mut Meter) -> Result<(), EvalError> {
    meter.spend_bytes(more.len())?;
    if text.len() + more.len() > TEXT_BYTES_MAX {
        return Err(EvalError::TextTooLong);
    }
    text.push_str(more);
    Ok(())
}

/// `value.name`, borrowed when the value is.
fn field<'e>(value: Cow<'e, Value>, name: &str) -> Result<Cow<'e, Value>, What> {
    match value {
        Cow::Borrowed(Value::Map(map)) => map.get(name).map(Cow::Borrowed).ok_or(What::Key),
        Cow::Owned(Value::Map(map)) => {
            map.get(name).map(|value| Cow::Owned(value.clone())).ok_or(What::Key)
        }
        other => Err(What::NotAMap { kind: other.kind_name() }),
    }
}

/// Whether it is a whole number, a double's among them: JSON may write an index as `1.0`.
fn is_whole(index: &Value) -> bool {
    match index {
        Value::Int(_) | Value::Uint(_) => true,
        Value::Double(index) => index.fract() == 0.0,
        _ => false,
    }
}

/// A whole number as a place in a list.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number that is not negative; what is larger than any list becomes the largest"
)]
fn position(index: &Value) -> Option<usize> {
    match index {
        Value::Int(index) => usize::try_from(*index).ok(),
        Value::Uint(index) => usize::try_from(*index).ok(),
        Value::Double(index) => (*index >= 0.0).then_some(*index as usize),
        _ => None,
    }
}

/// `list[index]`, borrowed when the list is.
fn element(list: Cow<'_, Value>, index: Option<usize>) -> Option<Cow<'_, Value>> {
    match list {
        Cow::Borrowed(Value::List(elements)) => elements.get(index?).map(Cow::Borrowed),
        Cow::Owned(Value::List(elements)) => elements.get(index?).cloned().map(Cow::Owned),
        _ => None,
    }
}
