//! The graph of a workflow's tasks: who waits for whom.
//!
//! Invariants:
//! - a graph has no cycle, so every walk along it ends;
//! - `dependents` lists are in the order of the definition, so that two nodes that walk the same
//!   graph take the same steps;
//! - a task's ancestors are every task that has ended for certain before the task is decided.

use crate::definition::TaskIndex;

/// Tasks a workflow can have. Every step of an instance may look at all of its tasks, inside the
/// state machine, with the other instances waiting.
pub const TASKS_MAX: usize = 256;

const WORDS: usize = TASKS_MAX / 64;
const _: () = assert!(TASKS_MAX.is_multiple_of(64));

/// A set of a workflow's tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskSet([u64; WORDS]);

impl TaskSet {
    pub(crate) fn insert(&mut self, task: TaskIndex) {
        self.0[task.index() / 64] |= 1 << (task.index() % 64);
    }

    pub(crate) fn contains(&self, task: TaskIndex) -> bool {
        self.0[task.index() / 64] & (1 << (task.index() % 64)) != 0
    }

    fn absorb(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }
}

/// Who waits for whom, both ways, without a cycle.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    dependencies: Vec<Vec<TaskIndex>>,
    dependents: Vec<Vec<TaskIndex>>,
    ancestors: Vec<TaskSet>,
}

impl Graph {
    /// Builds the graph from each task's dependencies.
    ///
    /// # Errors
    /// The tasks of a cycle, in the order in which each waits for the next.
    pub(crate) fn new(dependencies: Vec<Vec<TaskIndex>>) -> Result<Self, Vec<TaskIndex>> {
        let count = dependencies.len();
        assert!(count <= TASKS_MAX, "the loader bounds the tasks");
        let mut dependents = vec![Vec::new(); count];
        for (task, list) in dependencies.iter().enumerate() {
            for dependency in list {
                dependents[dependency.index()].push(TaskIndex::new(task));
            }
        }
        let mut ancestors = vec![TaskSet::default(); count];
        let mut waiting: Vec<usize> = dependencies.iter().map(Vec::len).collect();
        let mut free: Vec<TaskIndex> =
            (0..count).filter(|task| waiting[*task] == 0).map(TaskIndex::new).collect();
        let mut reached = 0;
        while let Some(task) = free.pop() {
            reached += 1;
            let before = ancestors[task.index()];
            for dependent in &dependents[task.index()] {
                let set = &mut ancestors[dependent.index()];
                set.absorb(&before);
                set.insert(task);
                waiting[dependent.index()] -= 1;
                if waiting[dependent.index()] == 0 {
                    free.push(*dependent);
                }
            }
        }
        if reached < count {
            return Err(cycle(&dependencies, &waiting));
        }
        Ok(Self { dependencies, dependents, ancestors })
    }

    pub(crate) fn dependencies(&self, task: TaskIndex) -> &[TaskIndex] {
        &self.dependencies[task.index()]
    }

    pub(crate) fn dependents(&self, task: TaskIndex) -> &[TaskIndex] {
        &self.dependents[task.index()]
    }

    /// Whether `earlier` has always ended when `task` is decided.
    pub(crate) fn is_ancestor(&self, earlier: TaskIndex, task: TaskIndex) -> bool {
        self.ancestors[task.index()].contains(earlier)
    }

    /// Whether no other task waits for `task`.
    pub(crate) fn is_last(&self, task: TaskIndex) -> bool {
        self.dependents[task.index()].is_empty()
    }
}

/// One cycle among the tasks that never became free. Each of them waits for another of them, so
/// walking from any along its first such dependency must come back to a task seen before.
fn cycle(dependencies: &[Vec<TaskIndex>], waiting: &[usize]) -> Vec<TaskIndex> {
    let first = waiting.iter().position(|n| *n > 0).expect("some task was never free");
    let mut path = Vec::new();
    let mut task = TaskIndex::new(first);
    loop {
        if let Some(start) = path.iter().position(|seen| *seen == task) {
            path.drain(..start);
            return path;
        }
        path.push(task);
        task = *dependencies[task.index()]
            .iter()
            .find(|dependency| waiting[dependency.index()] > 0)
            .expect("a task that never became free waits for another such task");
    }
}

#[cfg(test)]
mod tests;
