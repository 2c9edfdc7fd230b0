//! Which CPUs the executors are pinned to: the text of `--cores`, what the process may use, and
//! how the one is laid over the other.
//!
//! Invariants:
//! - A placement has exactly as many cores as the text named.
//! - A core whose CPU the process may use gets that CPU; the others go where the fewest are.

use base::CoreId;
use std::fmt;
use std::io;
use std::str::FromStr;

/// The most executors of one process. The mesh has a ring per pair of cores, so its memory grows
/// with the square: 64 cores make 4,096 rings.
pub const CORES_MAX: usize = 64;

/// One more than the largest CPU number that `sched_getaffinity` can name here.
const CPU_NUMBERS: usize = rustix::thread::CpuSet::MAX_CPU;

/// A text that names no cores.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` does not name cores: {problem}; expected CPU numbers and ranges, as in 0-7 or 0,2,4 \
     or 0-3,6"
)]
pub struct CoreSpecError {
    /// What was read.
    pub text: String,
    /// Which part of it was wrong, and why.
    pub problem: String,
}

/// The CPUs that a user asked for, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreSpec(Vec<usize>);

impl FromStr for CoreSpec {
    type Err = CoreSpecError;

    fn from_str(text: &str) -> Result<Self, CoreSpecError> {
        let error = |problem| CoreSpecError { text: text.chars().take(80).collect(), problem };
        let mut cpus: Vec<usize> = Vec::new();
        for part in text.split(',') {
            for cpu in parse_part(part.trim()).map_err(error)? {
                if cpus.contains(&cpu) {
                    return Err(error(format!("CPU {cpu} is named twice")));
                }
                if cpus.len() == CORES_MAX {
                    return Err(error(format!("it names more than {CORES_MAX} cores")));
                }
                cpus.push(cpu);
            }
        }
        Ok(Self(cpus))
    }
}

fn parse_part(part: &str) -> Result<std::ops::RangeInclusive<usize>, String> {
    if part.is_empty() {
        return Err("a number is missing".to_owned());
    }
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (parse_number(first)?, parse_number(last)?);
    if first > last {
        return Err(format!("the range {part} runs backwards"));
    }
    Ok(first..=last)
}

fn parse_number(text: &str) -> Result<usize, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(format!("`{text}` is not a CPU number"));
    }
    match text.parse::<usize>() {
        Ok(cpu) if cpu < CPU_NUMBERS => Ok(cpu),
        _ => Err(format!("{text} is above the largest CPU number, {}", CPU_NUMBERS - 1)),
    }
}

impl fmt::Display for CoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_numbers(f, &self.0)
    }
}

/// Writes `0,1,2,3,6` as `0-3,6`.
fn write_numbers(f: &mut fmt::Formatter<'_>, numbers: &[usize]) -> fmt::Result {
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let run = rest.iter().zip(first..).take_while(|(number, next)| **number == *next).count();
        let separator = if rest.len() == numbers.len() { "" } else { "," };
        write!(f, "{separator}{first}")?;
        if run > 1 {
            write!(f, "-{}", rest[run - 1])?;
        }
        rest = &rest[run..];
    }
    Ok(())
}

struct Numbers<'a>(&'a [usize]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_numbers(f, self.0)
    }
}

impl CoreSpec {
    /// Lays the cores over the CPUs that this process may use (`sched_getaffinity`: a container's
    /// cpuset and `taskset` count, which glommio itself would not notice). To be called before any
    /// thread is pinned.
    pub fn place(&self) -> io::Result<Placement> {
        Ok(self.place_among(&allowed_cpus()?))
    }

    /// Lays the cores over `allowed`, which must not be empty.
    pub fn place_among(&self, allowed: &[usize]) -> Placement {
        assert!(!allowed.is_empty(), "a process may use at least one CPU");
        let mut load = vec![0_usize; allowed.len()];
        for cpu in &self.0 {
            if let Some(seat) = allowed.iter().position(|allowed| allowed == cpu) {
                load[seat] += 1;
            }
        }
        let cpus: Vec<usize> = self
            .0
            .iter()
            .map(|cpu| {
                if allowed.contains(cpu) {
                    return *cpu;
                }
                let seat = (0..allowed.len()).min_by_key(|seat| load[*seat]).unwrap_or(0);
                load[seat] += 1;
                allowed[seat]
            })
            .collect();
        assert_eq!(cpus.len(), self.0.len(), "a placement has as many cores as the text named");
        let notice = (cpus != self.0).then(|| self.notice(allowed, &cpus));
        Placement { cpus, notice }
    }

    fn notice(&self, allowed: &[usize], cpus: &[usize]) -> String {
        use fmt::Write as _;
        let mut text = format!(
            "cores {self} were asked for, but this process may use only CPU {} (the machine's, a \
             container's cpuset's or taskset's bound), so cores share CPUs:",
            Numbers(allowed)
        );
        for cpu in allowed {
            let cores: Vec<usize> = (0..cpus.len()).filter(|core| cpus[*core] == *cpu).collect();
            if !cores.is_empty() {
                let _ = write!(text, " CPU {cpu} runs core {};", Numbers(&cores));
            }
        }
        text.pop();
        text
    }
}

fn allowed_cpus() -> io::Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..CPU_NUMBERS).filter(|cpu| set.is_set(*cpu)).collect();
    assert!(!cpus.is_empty(), "a running process may use at least one CPU");
    Ok(cpus)
}

/// Which CPU each core is pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    cpus: Vec<usize>,
    notice: Option<String>,
}

impl Placement {
    /// One core on every CPU that this process may use, at most [`CORES_MAX`].
    pub fn everywhere() -> io::Result<Self> {
        let mut cpus = allowed_cpus()?;
        let notice = (cpus.len() > CORES_MAX)
            .then(|| format!("{} CPUs are there, {CORES_MAX} of them get a core", cpus.len()));
        cpus.truncate(CORES_MAX);
        Ok(Self { cpus, notice })
    }

    /// How many cores there are.
    pub fn len(&self) -> usize {
        self.cpus.len()
    }

    /// Whether there are none, which never happens.
    pub fn is_empty(&self) -> bool {
        self.cpus.is_empty()
    }

    /// Every core with the CPU it is pinned to.
    pub fn cores(&self) -> impl Iterator<Item = (CoreId, usize)> + '_ {
        self.cpus.iter().enumerate().map(|(core, cpu)| (core_id(core), *cpu))
    }

    /// What the user should be told, when the cores could not be placed as asked.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }
}

/// The id of the `index`-th core.
pub(crate) fn core_id(index: usize) -> CoreId {
    assert!(index < CORES_MAX, "a core's index is below CORES_MAX");
    CoreId(u16::try_from(index).expect("CORES_MAX fits 16 bits"))
}

#[cfg(test)]
mod tests;
