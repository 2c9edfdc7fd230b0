//! The grammar: tokens to a tree.
//!
//! Recursive descent by the levels of `langdef.md`. Depth is counted where brackets of some kind
//! are entered, before the recursion; everything else loops.

use crate::ast::{Access, Function, Node, Operator, Path, Unary};
use crate::error::{ParseError, Problem};
use crate::evaluate;
use crate::lexer::{Lexer, Spanned, Token};
use crate::limits::EXPRESSION_DEPTH_MAX;
use crate::value::Value;

/// An expression and where it lies in the text. Unit: bytes.
pub(crate) struct Parsed {
    pub(crate) node: Node,
    /// Where the token begins that ended the expression: the `}`, or the end of the text.
    pub(crate) end: usize,
}

/// Where an expression has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// At the end of the text.
    Text,
    /// At the `}` of a `${ }`.
    Brace,
}

/// Parses the expression that begins at `start`.
pub(crate) fn parse(text: &str, start: usize, ending: Ending) -> Result<Parsed, ParseError> {
    let mut lexer = Lexer::new(text, start);
    let current = lexer.next()?;
    let mut parser = Parser { lexer, current, previous_end: start, origin: start, depth: 0 };
    let node = parser.expression()?;
    let end = parser.current.start;
    match (ending, &parser.current.token) {
        (Ending::Text, Token::End) | (Ending::Brace, Token::Symbol("}")) => {
            Ok(Parsed { node, end })
        }
        (Ending::Text, _) => Err(parser.expected("an operator or the end")),
        (Ending::Brace, _) => Err(parser.expected("an operator or `}`")),
    }
}

/// How much of a token an error quotes. Unit: characters.
const FOUND_CHARACTERS_MAX: usize = 32;

const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

const FUNCTIONS_NOT_YET: [&str; 9] =
    ["bool", "bytes", "dyn", "duration", "timestamp", "type", "uint", "matches", "optional"];

/// Macros and methods of CEL and of its extension for strings.
const METHODS_NOT_YET: [&str; 34] = [
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    "transformList",
    "transformMap",
    "matches",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "substring",
    "trim",
    "format",
    "reverse",
    "orValue",
    "hasValue",
    "value",
];

/// The precedence of a chain of operators, weakest first.
#[derive(Clone, Copy)]
enum Level {
    Relation,
    Sum,
    Product,
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    current: Spanned<'t>,
    /// Where the token before `current` ends.
    previous_end: usize,
    /// Where the expression begins in the text; the tree's offsets count from here.
    origin: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn advance(&mut self) -> Result<Token<'t>, ParseError> {
        let next = self.lexer.next()?;
        self.previous_end = self.current.end;
        Ok(std::mem::replace(&mut self.current, next).token)
    }

    fn is_symbol(&self, symbol: &'static str) -> bool {
        self.current.token == Token::Symbol(symbol)
    }

    /// Takes `symbol` if it stands here.
    fn takes(&mut self, symbol: &'static str) -> Result<bool, ParseError> {
        let here = self.is_symbol(symbol);
        if here {
            self.advance()?;
        }
        Ok(here)
    }

    fn expect(&mut self, symbol: &'static str, name: &'static str) -> Result<(), ParseError> {
        if self.takes(symbol)? { Ok(()) } else { Err(self.expected(name)) }
    }

    fn expected(&self, expected: &'static str) -> ParseError {
        let here = &self.lexer.text()[self.current.start..self.current.end];
        let found = match here.char_indices().nth(FOUND_CHARACTERS_MAX) {
            _ if self.current.token == Token::End => "the end".to_owned(),
            Some((cut, _)) => format!("`{}…`", &here[..cut]),
            None => format!("`{here}`"),
        };
        self.fail(Problem::Expected { expected, found })
    }

    /// An error at the current token.
    fn fail(&self, problem: Problem) -> ParseError {
        self.lexer.error(self.current.start, problem)
    }

    fn not_yet(&self, what: impl Into<String>) -> ParseError {
        self.fail(Problem::NotSupportedYet { what: what.into() })
    }

    /// An offset for the tree.
    fn offset(&self, at: usize) -> u32 {
        u32::try_from(at - self.origin).expect("the lexer bounds the length of an expression")
    }

    /// The whole expression, or one in brackets: the only recursion.
    fn expression(&mut self) -> Result<Node, ParseError> {
        if self.depth == EXPRESSION_DEPTH_MAX {
            return Err(self.fail(Problem::TooDeep));
        }
        self.depth += 1;
        let node = self.conditional()?;
        self.depth -= 1;
        Ok(node)
    }

    fn conditional(&mut self) -> Result<Node, ParseError> {
        let mut cases = Vec::new();
        loop {
            let node = self.or()?;
            if !self.takes("?")? {
                if cases.is_empty() {
                    return Ok(node);
                }
                return Ok(fold(Node::Conditional { cases, otherwise: Box::new(node) }));
            }
            let then = self.or()?;
            self.expect(":", "`:`")?;
            cases.push((node, then));
        }
    }

    fn or(&mut self) -> Result<Node, ParseError> {
        let first = self.and()?;
        if !self.is_symbol("||") {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.takes("||")? {
            operands.push(self.and()?);
        }
        Ok(fold(Node::Or(operands)))
    }

    fn and(&mut self) -> Result<Node, ParseError> {
        let first = self.chain(Level::Relation)?;
        if !self.is_symbol("&&") {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.takes("&&")? {
            operands.push(self.chain(Level::Relation)?);
        }
        Ok(fold(Node::And(operands)))
    }

    /// A chain of operators of one level; the operands are of the next.
    fn chain(&mut self, level: Level) -> Result<Node, ParseError> {
        let operand = |parser: &mut Self| match level {
            Level::Relation => parser.chain(Level::Sum),
            Level::Sum => parser.chain(Level::Product),
            Level::Product => parser.unary(),
        };
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some(operator) = self.operator(level) {
            self.advance()?;
            rest.push((operator, operand(self)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(fold(Node::Chain { first: Box::new(first), rest }))
    }

    /// The operator of this level that stands here, if one does.
    fn operator(&self, level: Level) -> Option<Operator> {
        let symbol = match self.current.token {
            Token::Symbol(symbol) => symbol,
            Token::Name("in") => "in",
            _ => return None,
        };
        Some(match (level, symbol) {
            (Level::Relation, "==") => Operator::Equal,
            (Level::Relation, "!=") => Operator::NotEqual,
            (Level::Relation, "<") => Operator::Less,
            (Level::Relation, "<=") => Operator::LessOrEqual,
            (Level::Relation, ">") => Operator::Greater,
            (Level::Relation, ">=") => Operator::GreaterOrEqual,
            (Level::Relation, "in") => Operator::In,
            (Level::Sum, "+") => Operator::Add,
            (Level::Sum, "-") => Operator::Subtract,
            (Level::Product, "*") => Operator::Multiply,
            (Level::Product, "/") => Operator::Divide,
            (Level::Product, "%") => Operator::Remainder,
            _ => return None,
        })
    }

    fn unary(&mut self) -> Result<Node, ParseError> {
        let (operator, symbol) = if self.is_symbol("!") {
            (Unary::Not, "!")
        } else if self.is_symbol("-") {
            (Unary::Negate, "-")
        } else {
            return self.member();
        };
        let mut count = 0;
        let mut sign_at = self.current.start;
        while self.is_symbol(symbol) {
            sign_at = self.current.start;
            self.advance()?;
            count += 1;
        }
        let number = matches!(self.current.token, Token::Whole(_) | Token::Double(_));
        let operand = if operator == Unary::Negate && number {
            // The last sign belongs to the number: or -9223372036854775808 could not be written.
            count -= 1;
            let literal = self.negative_number()?;
            self.accesses(literal, sign_at, false)?
        } else {
            self.member()?
        };
        if count == 0 {
            return Ok(operand);
        }
        Ok(fold(Node::Unary { operator, count, operand: Box::new(operand) }))
    }

    fn negative_number(&mut self) -> Result<Node, ParseError> {
        let value = match self.current.token {
            Token::Whole(magnitude) => 0_i64.checked_sub_unsigned(magnitude).map(Value::Int),
            Token::Double(number) => Some(Value::Double(-number)),
            _ => None,
        };
        let Some(value) = value else { return Err(self.fail(Problem::NumberRange)) };
        self.advance()?;
        Ok(Node::Constant(value))
    }

    fn member(&mut self) -> Result<Node, ParseError> {
        let start = self.current.start;
        let bracketed = self.is_symbol("(");
        let base = self.primary()?;
        self.accesses(base, start, bracketed)
    }

    /// Everything with a dot or in brackets that follows `base`. A path in parentheses is not made
    /// longer: its source is what errors quote.
    fn accesses(&mut self, base: Node, start: usize, bracketed: bool) -> Result<Node, ParseError> {
        let mut node = base;
        loop {
            let access = if self.takes(".")? {
                self.field()?
            } else if self.takes("[")? {
                self.index()?
            } else if self.is_symbol("{") && matches!(node, Node::Path(_)) {
                return Err(self.not_yet("the construction of a message (name{field: value})"));
            } else {
                break;
            };
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
        Ok(fold(node))
    }

    /// A field or a method; the dot is taken.
    fn field(&mut self) -> Result<Access, ParseError> {
        if self.is_symbol("?") {
            return Err(
                self.not_yet("an optional field (a.?b); has(a.b) tells whether it is there. It")
            );
        }
        let Token::Name(name) = self.current.token else {
            return Err(self.expected("the name of a field"));
        };
        // As in CEL, other reserved words are good names of fields.
        if matches!(name, "true" | "false" | "null" | "in") {
            return Err(self.fail(Problem::Reserved { word: name.to_owned() }));
        }
        let at = self.current.start;
        self.advance()?;
        if !self.is_symbol("(") {
            return Ok(Access::Field(name.into(), self.offset(self.previous_end)));
        }
        let (function, count) = match name {
            "size" => (Function::Size, 0),
            "startsWith" => (Function::StartsWith, 1),
            "endsWith" => (Function::EndsWith, 1),
            "contains" => (Function::Contains, 1),
            _ => {
                let known = "the methods size, startsWith, endsWith and contains";
                return Err(self.unknown(at, name, METHODS_NOT_YET.contains(&name), known));
            }
        };
        Ok(Access::Method(function, self.arguments(function, count)?))
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

    fn unknown(&self, at: usize, name: &str, cel_has_it: bool, known: &'static str) -> ParseError {
        let name = name.to_owned();
        let problem = if cel_has_it {
            Problem::NotSupportedYet { what: format!("`{name}()`") }
        } else {
            Problem::UnknownFunction { name, known }
        };
        self.lexer.error(at, problem)
    }

    /// The arguments of a call, their opening parenthesis being here.
    fn arguments(&mut self, function: Function, count: usize) -> Result<Vec<Node>, ParseError> {
        let at = self.current.start;
        self.advance()?;
        let mut arguments = Vec::new();
        while !self.is_symbol(")") {
            arguments.push(self.expression()?);
            if !self.takes(",")? {
                break;
            }
        }
        self.expect(")", "`,` or `)`")?;
        if arguments.len() != count {
            let name = function.name();
            let problem = Problem::ArgumentCount { name, expected: count, count: arguments.len() };
            return Err(self.lexer.error(at, problem));
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        match self.current.token {
            Token::Name(name) => self.named(name),
            Token::Symbol("(") => {
                self.advance()?;
                let node = self.expression()?;
                self.expect(")", "an operator or `)`")?;
                Ok(node)
            }
            Token::Symbol("[") => self.list(),
            Token::Symbol("{") => self.map(),
            Token::Symbol(".") => Err(self.not_yet("a name that begins with a dot")),
            Token::Symbol(_) | Token::End => Err(self.expected("a value")),
            Token::Whole(number) => {
                let number = i64::try_from(number).map_err(|_| self.fail(Problem::NumberRange))?;
                self.advance()?;
                Ok(Node::Constant(Value::Int(number)))
            }
            Token::Double(number) => {
                self.advance()?;
                Ok(Node::Constant(Value::Double(number)))
            }
            Token::Text(_) => match self.advance()? {
                Token::Text(text) => Ok(Node::Constant(Value::text(text))),
                _ => unreachable!("the token was a text"),
            },
        }
    }

    /// What begins with a name: a word with a meaning, a call or a path.
    fn named(&mut self, name: &'t str) -> Result<Node, ParseError> {
        let constant = match name {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            "in" => return Err(self.expected("a value")),
            _ if RESERVED.contains(&name) => {
                return Err(self.fail(Problem::Reserved { word: name.to_owned() }));
            }
            _ => None,
        };
        let at = self.current.start;
        self.advance()?;
        if let Some(value) = constant {
            return Ok(Node::Constant(value));
        }
        if self.is_symbol("(") {
            return self.call(name, at);
        }
        let end = self.offset(self.previous_end);
        Ok(Node::Path(Path { start: self.offset(at), names: vec![(name.into(), end)] }))
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Node, ParseError> {
        let function = match name {
            "size" => Function::Size,
            "string" => Function::Text,
            "int" => Function::Int,
            "double" => Function::Double,
            "has" => return self.has(at),
            _ => {
                let known = "has, size, string, int and double";
                return Err(self.unknown(at, name, FUNCTIONS_NOT_YET.contains(&name), known));
            }
        };
        let arguments = self.arguments(function, 1)?;
        Ok(fold(Node::Call { function, arguments }))
    }

    fn has(&mut self, at: usize) -> Result<Node, ParseError> {
        self.advance()?;
        let argument = self.expression()?;
        self.expect(")", "`)`")?;
        let field = match &argument {
            Node::Path(path) => path.names.len() > 1,
            Node::Member { accesses, .. } => matches!(accesses.last(), Some(Access::Field(..))),
            _ => false,
        };
        if !field {
            return Err(self.lexer.error(at, Problem::NotAField));
        }
        Ok(Node::Has(Box::new(argument)))
    }

    fn list(&mut self) -> Result<Node, ParseError> {
        self.advance()?;
        let mut elements = Vec::new();
        while !self.is_symbol("]") {
            if self.is_symbol("?") {
                return Err(self.not_yet("an optional element ([?a])"));
            }
            elements.push(self.expression()?);
            if !self.takes(",")? {
                break;
            }
        }
        self.expect("]", "`,` or `]`")?;
        Ok(fold(Node::List(elements)))
    }

    fn map(&mut self) -> Result<Node, ParseError> {
        self.advance()?;
        let mut entries: Vec<(Node, Node)> = Vec::new();
        while !self.is_symbol("}") {
            if self.is_symbol("?") {
                return Err(self.not_yet("an optional entry ({?a: b})"));
            }
            let at = self.current.start;
            let key = self.expression()?;
            self.check_key(&key, &entries, at)?;
            self.expect(":", "`:`")?;
            entries.push((key, self.expression()?));
            if !self.takes(",")? {
                break;
            }
        }
        self.expect("}", "`,` or `}`")?;
        Ok(fold(Node::Map(entries)))
    }

    /// A key that is known now must be a text, and no repetition.
    fn check_key(&self, key: &Node, entries: &[(Node, Node)], at: usize) -> Result<(), ParseError> {
        match key {
            Node::Constant(Value::Text(key)) => {
                let same = |other: &Node| matches!(other, Node::Constant(Value::Text(other)) if other == key);
                if entries.iter().any(|(other, _)| same(other)) {
                    let problem = Problem::RepeatedKey { key: key.to_string() };
                    return Err(self.lexer.error(at, problem));
                }
                Ok(())
            }
            Node::Constant(_) => {
                let what = "a key that is not a string".to_owned();
                Err(self.lexer.error(at, Problem::NotSupportedYet { what }))
            }
            _ => Ok(()),
        }
    }
}

/// Makes a constant of a node whose parts are constants, unless evaluating it fails: whether that
/// error counts is known only when the whole expression is evaluated.
fn fold(node: Node) -> Node {
    let constant = |node: &Node| matches!(node, Node::Constant(_));
    let foldable = match &node {
        Node::Constant(_) | Node::Path(_) | Node::Has(_) => false,
        Node::Member { base, accesses, .. } => {
            constant(base)
                && accesses.iter().all(|access| match access {
                    Access::Field(..) => true,
                    Access::Index(index, _) => constant(index),
                    Access::Method(_, arguments) => arguments.iter().all(constant),
                })
        }
        Node::Unary { operand, .. } => constant(operand),
        Node::And(nodes)
        | Node::Or(nodes)
        | Node::List(nodes)
        | Node::Call { arguments: nodes, .. } => nodes.iter().all(constant),
        Node::Chain { first, rest } => {
            constant(first) && rest.iter().all(|(_, node)| constant(node))
        }
        Node::Conditional { cases, otherwise } => {
            constant(otherwise)
                && cases.iter().all(|(condition, then)| constant(condition) && constant(then))
        }
        Node::Map(entries) => entries.iter().all(|(key, value)| constant(key) && constant(value)),
    };
    let value = if foldable { evaluate::constant(&node) } else { None };
    value.map_or(node, Node::Constant)
}
