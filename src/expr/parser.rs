//! The grammar: tokens to a tree.
//!
//! Recursive descent by the levels of `langdef.md`. Depth is counted where brackets of some kind
//! are entered, before the recursion; everything else loops.

mod calls;
mod fold;

use crate::ast::{Node, Operator, Path, Unary};
use crate::error::{ParseError, Problem};
use crate::evaluate::Meter;
use crate::lexer::{Lexer, Spanned, Token};
use crate::limits::EXPRESSION_DEPTH_MAX;
use crate::value::Value;

/// An expression and where it lies in the text. Unit: bytes.
pub(crate) struct Parsed {
    pub(crate) node: Node,
    /// Where the token begins that ended the expression: the `}`, or the end of the text.
    pub(crate) end: usize,
    /// Whether a constant in it has something that only an evaluation knows.
    pub(crate) has_transients: bool,
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
    let mut parser = Parser {
        lexer,
        current,
        previous_end: start,
        origin: start,
        depth: 0,
        locals: Vec::new(),
        field: (start, start),
        fold_meter: Meter::for_folding(),
        has_transients: false,
    };
    let node = parser.expression()?;
    let end = parser.current.start;
    match (ending, &parser.current.token) {
        (Ending::Text, Token::End) | (Ending::Brace, Token::Symbol("}")) => {
            Ok(Parsed { node, end, has_transients: parser.has_transients })
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

/// Whether a word means something, so that nothing can be called by it.
fn is_reserved(word: &str) -> bool {
    matches!(word, "true" | "false" | "null" | "in") || RESERVED.contains(&word)
}

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
    /// The variables of the macros around this place, outermost first.
    locals: Vec<&'t str>,
    /// From where to where the last member lies that ends with a field. Unit: bytes.
    field: (usize, usize),
    /// What folding may still cost.
    fold_meter: Meter,
    /// Whether a constant has something that only an evaluation knows.
    has_transients: bool,
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
                return Ok(self.fold(Node::Conditional { cases, otherwise: Box::new(node) }));
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
        Ok(self.fold(Node::Or(operands)))
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
        Ok(self.fold(Node::And(operands)))
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
        Ok(self.fold(Node::Chain { first: Box::new(first), rest }))
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
        Ok(self.fold(Node::Unary { operator, count, operand: Box::new(operand) }))
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
            Token::Symbol(".") => self.rooted(),
            Token::Quoted(_) | Token::Symbol(_) | Token::End => Err(self.expected("a value")),
            Token::Whole(number) => {
                let number = i64::try_from(number).map_err(|_| self.fail(Problem::NumberRange))?;
                self.advance()?;
                Ok(Node::Constant(Value::Int(number)))
            }
            Token::Double(number) => {
                self.advance()?;
                Ok(Node::Constant(Value::Double(number)))
            }
            Token::Uint(number) => {
                self.advance()?;
                self.has_transients = true;
                Ok(Node::Constant(Value::Uint(number)))
            }
            Token::Text(_) | Token::Bytes(_) => match self.advance()? {
                Token::Text(text) => Ok(Node::Constant(Value::text(text))),
                Token::Bytes(bytes) => {
                    self.has_transients = true;
                    Ok(Node::Constant(Value::bytes(bytes)))
                }
                _ => unreachable!("the token was a text or bytes"),
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
        if let Some(local) = self.locals.iter().rposition(|local| *local == name) {
            return Ok(Node::Local(local));
        }
        Ok(self.path(name, at))
    }

    /// `.a`: a name of the scope, even where a macro has a variable of that name.
    fn rooted(&mut self) -> Result<Node, ParseError> {
        self.advance()?;
        let Token::Name(name) = self.current.token else {
            return Err(self.expected("a name"));
        };
        if is_reserved(name) {
            return Err(self.fail(Problem::Reserved { word: name.to_owned() }));
        }
        let at = self.current.start;
        self.advance()?;
        if self.is_symbol("(") {
            return self.call(name, at);
        }
        Ok(self.path(name, at))
    }

    /// The path of one name, which has just been taken.
    fn path(&self, name: &str, at: usize) -> Node {
        let end = self.offset(self.previous_end);
        Node::Path(Path { start: self.offset(at), names: vec![(name.into(), end)] })
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
        Ok(self.fold(Node::List(elements)))
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
        Ok(self.fold(Node::Map(entries)))
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
