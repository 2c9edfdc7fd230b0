//! What is constant in an expression is calculated once, when it is read.

use super::Parser;
use crate::ast::{Access, Node};
use crate::evaluate;
use crate::transient;

impl Parser<'_> {
    /// Makes a constant of a node whose parts are constants, unless evaluating it fails: whether
    /// that error counts is known only when the whole expression is evaluated.
    pub(super) fn fold(&mut self, node: Node) -> Node {
        let value =
            if is_foldable(&node) { evaluate::constant(&node, &mut self.fold_meter) } else { None };
        match value {
            Some(value) => {
                self.has_transients |= transient::is_unsettled(&value);
                Node::Constant(value)
            }
            None => node,
        }
    }
}

fn is_foldable(node: &Node) -> bool {
    let constant = |node: &Node| matches!(node, Node::Constant(_));
    match node {
        Node::Constant(_) | Node::Path(_) | Node::Local(_) | Node::Type(..) | Node::Has(_) => false,
        Node::Member { base, accesses, .. } => {
            constant(base)
                && accesses.iter().all(|access| match access {
                    Access::Field(..) | Access::Matches(_) => true,
                    Access::Index(index, _) => constant(index),
                    Access::Method(_, arguments) => arguments.iter().all(constant),
                    Access::Each(_) => false,
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
    }
}
