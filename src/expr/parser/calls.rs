//! Everything that follows a value with a dot or in brackets, and everything that is called.

use super::{Parser, is_reserved};
use crate::ast::{Access, Each, Macro, Node};
use crate::error::{ParseError, Problem};
use crate::functions::{self, Function, Signature};
use crate::lexer::Token;
use crate::pattern::Pattern;
use crate::times::Offset;
use crate::transient::Type;
use crate::value::Value;

/// What CEL's implementations add to it and we have no part of yet.
const NOT_YET: [&str; 12] = [
    "format",
    "hasValue",
    "optFlatMap",
    "optMap",
    "optional",
    "or",
    "orValue",
    "sortBy",
    "transformList",
    "transformMap",
    "transformMapEntry",
    "value",
];

/// The functions whose names have a dot in them begin with this one.
const NAMESPACE: &str = "math";

impl<'t> Parser<'t> {
    pub(super) fn member(&mut self) -> Result<Node, ParseError> {
        let start = self.current.start;
        let base = self.primary()?;
        let bracketed = self.lexer.text()[..self.previous_end].ends_with(')');
        self.accesses(base, start, bracketed)
    }

    /// Everything with a dot or in brackets that follows `base`. A path in parentheses is not made
    /// longer: its source is what errors quote.
    pub(super) fn accesses(
        &mut self,
        base: Node,
        start: usize,
        bracketed: bool,
    ) -> Result<Node, ParseError> {
        let mut node = base;
        loop {
            let access = if self.takes(".")? {
                let at = self.current.start;
                let name = self.field_name()?;
                if !self.is_symbol("(") {
                    Access::Field(name.into(), self.offset(self.previous_end))
                } else if !bracketed && is_namespace(&node) {
                    node = self.call(&format!("{NAMESPACE}.{name}"), at)?;
                    continue;
                } else {
                    self.method(name, at)?
                }
            } else if self.takes("[")? {
                self.index()?
            } else if self.is_symbol("{") && matches!(node, Node::Path(_) | Node::Local(_)) {
                return Err(self.fail(Problem::Message));
            } else {
                break;
            };
            if matches!(access, Access::Field(..)) {
                self.field = (start, self.previous_end);
            }
            node = match (node, access) {
                (Node::Path(mut path), Access::Field(name, end)) if !bracketed => {
                    path.names.push((name, end));
                    Node::Path(path)
                }
                (Node::Member { base, start, mut accesses }, access) => {
                    accesses.push(access);
                    Node::Member { base, start, accesses }
                }
                (base, access) => Node::Member {
                    base: Box::new(base),
                    start: self.offset(start),
                    accesses: vec![access],
                },
            };
        }
        if let Node::Path(path) = node {
            let names: Vec<&str> = path.names.iter().map(|(name, _)| &**name).collect();
            return Ok(match Type::named(&names) {
                Some(of) => Node::Type(path, of),
                None => Node::Path(path),
            });
        }
        Ok(self.fold(node))
    }

    /// The name of a field or a method; the dot is taken.
    fn field_name(&mut self) -> Result<&'t str, ParseError> {
        if self.is_symbol("?") {
            return Err(
                self.not_yet("an optional field (a.?b); has(a.b) tells whether it is there. It")
            );
        }
        let name = match self.current.token {
            // As in CEL, other reserved words are good names of fields.
            Token::Name(word @ ("true" | "false" | "null" | "in")) => {
                return Err(self.fail(Problem::Reserved { word: word.to_owned() }));
            }
            Token::Name(name) | Token::Quoted(name) => name,
            _ => return Err(self.expected("the name of a field")),
        };
        self.advance()?;
        Ok(name)
    }

    /// An index; the bracket is taken.
    fn index(&mut self) -> Result<Access, ParseError> {
        if self.is_symbol("?") {
            return Err(self.not_yet("an optional index (a[?b])"));
        }
        let index = self.expression()?;
        self.expect("]", "`]`")?;
        let end = self.offset(self.previous_end);
        Ok(match index {
            Node::Constant(Value::Text(key)) => Access::Field(key, end),
            index => Access::Index(index, end),
        })
    }

    /// A method or a macro, whose opening parenthesis is here.
    fn method(&mut self, name: &str, at: usize) -> Result<Access, ParseError> {
        if let Some(what) = Macro::named(name) {
            return self.each(what);
        }
        let signature = self.signature(name, at, true)?;
        let (starts, arguments) = self.arguments(signature, true)?;
        if let [Node::Constant(Value::Text(only))] = &arguments[..] {
            if signature.function == Function::Matches {
                return self.pattern(only, starts[0]).map(Access::Matches);
            }
            if signature.function.part().is_some() && Offset::parse(only).is_none() {
                return Err(self.lexer.error(starts[0], Problem::TimeZone));
            }
        }
        Ok(Access::Method(signature.function, arguments))
    }

    /// `(x, body)`, or for a `map` also `(x, condition, body)`.
    fn each(&mut self, what: Macro) -> Result<Access, ParseError> {
        let at = self.current.start;
        self.advance()?;
        let variable = match self.current.token {
            Token::Name(name) if !is_reserved(name) => name,
            _ => return Err(self.not_a_variable(what)),
        };
        self.advance()?;
        if !self.is_symbol(",") && !self.is_symbol(")") {
            return Err(self.not_a_variable(what));
        }
        let mut bodies = Vec::new();
        self.locals.push(variable);
        while self.takes(",")? && !self.is_symbol(")") {
            bodies.push(self.expression()?);
        }
        self.locals.pop();
        self.expect(")", "`,` or `)`")?;
        let count = bodies.len() + 1;
        let most = if what == Macro::Map { 3 } else { 2 };
        let (body, condition) = match (bodies.pop(), bodies.pop(), bodies.is_empty()) {
            (Some(body), None, _) => (body, None),
            (Some(body), condition, true) if most == 3 => (body, condition),
            _ => {
                let problem = Problem::ArgumentCount { name: what.name(), least: 2, most, count };
                return Err(self.lexer.error(at, problem));
            }
        };
        Ok(Access::Each(Box::new(Each { what, condition, body })))
    }

    /// What stands here is no name, or goes on behind one.
    fn not_a_variable(&self, what: Macro) -> ParseError {
        self.fail(Problem::NotAVariable { name: what.name(), example: what.example() })
    }

    /// A function, whose opening parenthesis is here.
    pub(super) fn call(&mut self, name: &str, at: usize) -> Result<Node, ParseError> {
        if name == "has" {
            return self.has(at);
        }
        let signature = self.signature(name, at, false)?;
        let (starts, mut arguments) = self.arguments(signature, false)?;
        let node = match (signature.function, &arguments[..]) {
            // All values are dynamic.
            (Function::Dyn, _) => arguments.remove(0),
            (Function::Matches, [_, Node::Constant(Value::Text(pattern))]) => {
                let accesses = vec![Access::Matches(self.pattern(pattern, starts[1])?)];
                let base = Box::new(arguments.remove(0));
                Node::Member { base, start: self.offset(starts[0]), accesses }
            }
            (function, _) => Node::Call { function, arguments },
        };
        Ok(self.fold(node))
    }

    fn has(&mut self, at: usize) -> Result<Node, ParseError> {
        self.advance()?;
        let start = self.current.start;
        let argument = self.expression()?;
        let end = self.previous_end;
        self.expect(")", "`)`")?;
        // The node does not say: it may have been folded.
        if self.field != (start, end) {
            return Err(self.lexer.error(at, Problem::NotAField));
        }
        Ok(Node::Has(Box::new(argument)))
    }

    /// Compiles a pattern that is written in the expression.
    fn pattern(&self, text: &str, at: usize) -> Result<Box<Pattern>, ParseError> {
        match Pattern::parse(text) {
            Ok(pattern) => Ok(Box::new(pattern)),
            Err(what) => Err(self.lexer.error(at, Problem::Regex { what })),
        }
    }

    /// The arguments of a call, their opening parenthesis being here, and where each begins.
    fn arguments(
        &mut self,
        signature: &Signature,
        method: bool,
    ) -> Result<(Vec<usize>, Vec<Node>), ParseError> {
        let at = self.current.start;
        self.advance()?;
        let (mut starts, mut arguments) = (Vec::new(), Vec::new());
        while !self.is_symbol(")") {
            starts.push(self.current.start);
            arguments.push(self.expression()?);
            if !self.takes(",")? {
                break;
            }
        }
        self.expect(")", "`,` or `)`")?;
        // Of a method, the first is what stands before the dot.
        let before = usize::from(method);
        let (least, most) = (signature.least - before, signature.most - before);
        let count = arguments.len();
        if !(least..=most).contains(&count) {
            let problem = Problem::ArgumentCount { name: signature.name(), least, most, count };
            return Err(self.lexer.error(at, problem));
        }
        Ok((starts, arguments))
    }

    /// The function or method of this name.
    fn signature(
        &self,
        name: &str,
        at: usize,
        method: bool,
    ) -> Result<&'static Signature, ParseError> {
        let found = Signature::named(name);
        if let Some(signature) = found
            && signature.takes(method)
        {
            return Ok(signature);
        }
        if NOT_YET.contains(&name) {
            return Err(self
                .lexer
                .error(at, Problem::NotSupportedYet { what: format!("`{name}()`") }));
        }
        let hint = match (found, Macro::named(name)) {
            (Some(_), _) if method => format!("it is called as `{name}(x)`"),
            (Some(_), _) | (_, Some(_)) => format!("it is called as `x.{name}(…)`"),
            (None, None) => {
                let known = || {
                    let macros = if method { &Macro::NAMES[..] } else { &["has"] };
                    functions::names(method).chain(macros.iter().copied())
                };
                match base::did_you_mean(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
                }
            }
        };
        let problem = Problem::UnknownFunction { name: name.to_owned(), hint };
        Err(self.lexer.error(at, problem))
    }
}

/// Whether a path is the one that functions have in front of their names.
fn is_namespace(node: &Node) -> bool {
    matches!(node, Node::Path(path) if path.names.len() == 1 && *path.names[0].0 == *NAMESPACE)
}
