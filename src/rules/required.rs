//! What a text must hold for a regular expression to match it.

use regex_syntax::hir::{Hir, HirKind};

/// More alternatives than this are not worth a look-up each.
const PARTS_MAX: usize = 16;

/// Texts of which at least one is part of every text that matches; none: nothing is known.
pub(crate) fn parts(expression: &str) -> Vec<String> {
    let Ok(tree) = regex_syntax::parse(expression) else { return Vec::new() };
    required(&tree).unwrap_or_default()
}

/// The longer its shortest part, the better a set.
fn worth(parts: &[String]) -> usize {
    parts.iter().map(String::len).min().unwrap_or_default()
}

fn better(left: Option<Vec<String>>, right: Option<Vec<String>>) -> Option<Vec<String>> {
    let worth_of = |parts: &Option<Vec<String>>| parts.as_deref().map_or(0, worth);
    if worth_of(&right) > worth_of(&left) { right } else { left }
}

/// Recursion: bounded by the nesting that the pattern was built with.
fn required(tree: &Hir) -> Option<Vec<String>> {
    match tree.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            (!text.is_empty()).then(|| vec![text.to_owned()])
        }
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(members) => {
            members.iter().fold(None, |best, member| better(best, required(member)))
        }
        HirKind::Alternation(members) => {
            let mut all = Vec::new();
            for member in members {
                all.extend(required(member)?);
            }
            (all.len() <= PARTS_MAX).then_some(all)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
