//! Which lines are written: `info,ingress=debug,hyper=off`.

use super::Level;

/// Directives of a filter at most: it is looked through for every new place that logs.
const DIRECTIVES_MAX: usize = 64;

/// A filter's text that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// The part at fault.
    pub directive: String,
}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` is no part of a log filter: expected off, error, warn, info or debug, alone or as \
             component=level, at most {DIRECTIVES_MAX} of them with commas between, as in \
             info,ingress=debug",
            self.directive
        )
    }
}

impl std::error::Error for FilterError {}

/// The least bad level that is written; nothing when none is.
type Threshold = Option<Level>;

/// Which lines are written, per component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    otherwise: Threshold,
    components: Vec<(String, Threshold)>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { otherwise: Some(Level::Info), components: Vec::new() }
    }
}

impl Filter {
    /// Reads `info,ingress=debug`. What names no component is for all that are not named; the last
    /// of several wins. Nothing at all means `info`.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        let directives = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        for directive in directives {
            let error = || FilterError { directive: directive.chars().take(80).collect() };
            match directive.split_once('=') {
                None => filter.otherwise = threshold(directive).ok_or_else(error)?,
                Some((component, level)) => {
                    let level = threshold(level.trim()).ok_or_else(error)?;
                    let component = component.trim();
                    if component.is_empty() || filter.components.len() == DIRECTIVES_MAX {
                        return Err(error());
                    }
                    filter.components.retain(|(known, _)| known != component);
                    filter.components.push((component.to_owned(), level));
                }
            }
        }
        // The longest name first: `ingress::http` before `ingress`.
        filter.components.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        Ok(filter)
    }

    /// Whether a line of `level` from `target` (`ingress`, `ingress::http`) is written.
    pub fn enabled(&self, level: Level, target: &str) -> bool {
        let named = self.components.iter().find(|(component, _)| {
            target
                .strip_prefix(component.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        });
        let threshold = named.map_or(self.otherwise, |(_, threshold)| *threshold);
        threshold.is_some_and(|threshold| level >= threshold)
    }

    /// The least bad level that any component writes.
    pub fn lowest(&self) -> Option<Level> {
        let named = self.components.iter().filter_map(|(_, threshold)| *threshold);
        named.chain(self.otherwise).min()
    }
}

/// As [`Filter::parse`] reads it: `info,ingress=debug`.
impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |threshold: Threshold| match threshold {
            None => "off",
            Some(Level::Error) => "error",
            Some(Level::Warn) => "warn",
            Some(Level::Info) => "info",
            Some(Level::Debug) => "debug",
        };
        f.write_str(name(self.otherwise))?;
        for (component, threshold) in &self.components {
            write!(f, ",{component}={}", name(*threshold))?;
        }
        Ok(())
    }
}

fn threshold(text: &str) -> Option<Threshold> {
    let levels = [Level::Debug, Level::Info, Level::Warn, Level::Error];
    if text.eq_ignore_ascii_case("off") {
        return Some(None);
    }
    levels.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text)).map(Some)
}

#[cfg(test)]
mod tests;
