//! "Did you mean".

/// The known word nearest to `word`, if one is near enough to have been meant: at most one slip in
/// three characters, where a slip is a character too much, too few, wrong, or two swapped (optimal
/// string alignment). Case is ignored. Of two equally near words the first wins.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer words were not mistyped, they are something else.
    const CHARACTERS_MAX: usize = 64;
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    if word.is_empty() || word.len() > CHARACTERS_MAX {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let other: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
        let slips_max = (word.len().max(other.len()) / 3).max(1);
        if word.len().abs_diff(other.len()) > slips_max {
            continue;
        }
        let slips = distance(&word, &other);
        let is_alike = slips <= slips_max && slips < word.len().max(other.len());
        if is_alike && best.is_none_or(|(least, _)| slips < least) {
            best = Some((slips, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn distance(left: &[char], right: &[char]) -> usize {
    let width = right.len() + 1;
    let mut two_above = vec![0; width];
    let mut above: Vec<usize> = (0..width).collect();
    for row in 1..=left.len() {
        let mut current = vec![row; width];
        for column in 1..width {
            let same = left[row - 1] == right[column - 1];
            let mut least = (above[column - 1] + usize::from(!same))
                .min(above[column] + 1)
                .min(current[column - 1] + 1);
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                least = least.min(two_above[column - 2] + 1);
            }
            current[column] = least;
        }
        two_above = std::mem::replace(&mut above, current);
    }
    above[width - 1]
}
