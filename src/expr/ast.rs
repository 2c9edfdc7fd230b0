//! The expression as a tree.
//!
//! Chains (`a + b + c`, `a && b && c`, `a.b[0].c`, `!!a`, `a ? b : c ? d : e`) are lists, not
//! nested pairs: only brackets of some kind make the tree deeper, so that its depth is what
//! [`EXPRESSION_DEPTH_MAX`](crate::limits::EXPRESSION_DEPTH_MAX) bounds.

use crate::functions::Function;
use crate::pattern::Pattern;
use crate::transient::Type;
use crate::value::Value;
use std::sync::Arc;

/// One node. Offsets are bytes of the expression's source.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A literal, or what was folded into one.
    Constant(Value),
    /// `a.b.c`, also spelled `a["b"].c`: known when the expression is parsed.
    Path(Path),
    /// The variable of a macro around this node. Counted from the outermost macro.
    Local(usize),
    /// The name of a type, where the scope has nothing of that name.
    Type(Path, Type),
    /// What is reached from another node.
    Member { base: Box<Node>, start: u32, accesses: Vec<Access> },
    /// `has(path)`; the node is a path with a field, or a member that ends with one.
    Has(Box<Node>),
    /// `!` or `-`, written `count` times.
    Unary { operator: Unary, count: usize, operand: Box<Node> },
    /// Operands that must all be true.
    And(Vec<Node>),
    /// Operands of which one must be true.
    Or(Vec<Node>),
    /// Operators of one precedence, from the left.
    Chain { first: Box<Node>, rest: Vec<(Operator, Node)> },
    /// `if ? then : if ? then : otherwise`.
    Conditional { cases: Vec<(Node, Node)>, otherwise: Box<Node> },
    /// `[a, b]`.
    List(Vec<Node>),
    /// `{a: b}`.
    Map(Vec<(Node, Node)>),
    /// `f(a)`.
    Call { function: Function, arguments: Vec<Node> },
}

/// A path whose names are all known.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) start: u32,
    /// At least one name, each with the offset where it ends.
    pub(crate) names: Vec<(Arc<str>, u32)>,
}

/// One step from a value to something of it, and the offset where it ends.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    Field(Arc<str>, u32),
    Index(Node, u32),
    Method(Function, Vec<Node>),
    /// `matches()` with a pattern that is known when the expression is parsed.
    Matches(Box<Pattern>),
    Each(Box<Each>),
}

/// A macro: something done with each element of a list or each key of a map.
#[derive(Clone, Debug)]
pub(crate) struct Each {
    pub(crate) what: Macro,
    /// The condition of a `map` with three arguments.
    pub(crate) condition: Option<Node>,
    pub(crate) body: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl Macro {
    pub(crate) const NAMES: [&str; 6] =
        ["all", "exists", "exists_one", "existsOne", "filter", "map"];

    pub(crate) fn named(name: &str) -> Option<Macro> {
        Some(match name {
            "all" => Macro::All,
            "exists" => Macro::Exists,
            "exists_one" | "existsOne" => Macro::ExistsOne,
            "filter" => Macro::Filter,
            "map" => Macro::Map,
            _ => return None,
        })
    }

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Macro::All => "all",
            Macro::Exists => "exists",
            Macro::ExistsOne => "exists_one",
            Macro::Filter => "filter",
            Macro::Map => "map",
        }
    }

    pub(crate) fn example(self) -> &'static str {
        match self {
            Macro::All => "list.all(x, x > 0)",
            Macro::Exists => "list.exists(x, x > 0)",
            Macro::ExistsOne => "list.exists_one(x, x > 0)",
            Macro::Filter => "list.filter(x, x > 0)",
            Macro::Map => "list.map(x, x + 1)",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Negate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// As it is written.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::In => "in",
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Remainder => "%",
        }
    }
}

impl Node {
    /// Calls `visit` with every path in the order they are written, and whether a part follows
    /// that only the evaluation knows, and whether the path stands in `has()`.
    pub(crate) fn each_path(&self, in_has: bool, visit: &mut dyn FnMut(&Path, bool, bool)) {
        match self {
            Node::Constant(_) | Node::Local(_) | Node::Type(..) => {}
            Node::Path(path) => visit(path, false, in_has),
            Node::Member { base, accesses, .. } => {
                match &**base {
                    Node::Path(path) => {
                        let open =
                            matches!(accesses.first(), Some(Access::Field(..) | Access::Index(..)));
                        visit(path, open, in_has);
                    }
                    base => base.each_path(in_has, visit),
                }
                for access in accesses {
                    match access {
                        Access::Field(..) | Access::Matches(_) => {}
                        Access::Index(index, _) => index.each_path(false, visit),
                        Access::Method(_, arguments) => {
                            for node in arguments {
                                node.each_path(false, visit);
                            }
                        }
                        Access::Each(each) => {
                            for node in each.condition.iter().chain([&each.body]) {
                                node.each_path(false, visit);
                            }
                        }
                    }
                }
            }
            Node::Has(node) => node.each_path(true, visit),
            Node::Unary { operand, .. } => operand.each_path(in_has, visit),
            Node::And(nodes)
            | Node::Or(nodes)
            | Node::List(nodes)
            | Node::Call { arguments: nodes, .. } => {
                for node in nodes {
                    node.each_path(in_has, visit);
                }
            }
            Node::Chain { first, rest } => {
                first.each_path(in_has, visit);
                for (_, node) in rest {
                    node.each_path(in_has, visit);
                }
            }
            Node::Conditional { cases, otherwise } => {
                for (condition, then) in cases {
                    condition.each_path(in_has, visit);
                    then.each_path(in_has, visit);
                }
                otherwise.each_path(in_has, visit);
            }
            Node::Map(entries) => {
                for (key, value) in entries {
                    key.each_path(in_has, visit);
                    value.each_path(in_has, visit);
                }
            }
        }
    }
}
