use super::*;

fn graph(rows: &[&[usize]]) -> Result<Graph, Vec<usize>> {
    let lists =
        rows.iter().map(|row| row.iter().map(|n| TaskIndex::new(*n)).collect()).collect::<Vec<_>>();
    Graph::new(lists).map_err(|cycle| cycle.into_iter().map(TaskIndex::index).collect())
}

#[test]
fn an_ancestor_is_found_along_every_path() {
    let graph = graph(&[&[], &[0], &[0], &[1, 2], &[]]).unwrap();
    let pairs: Vec<(usize, usize)> = (0..5)
        .flat_map(|task| (0..5).map(move |earlier| (earlier, task)))
        .filter(|(earlier, task)| {
            graph.is_ancestor(TaskIndex::new(*earlier), TaskIndex::new(*task))
        })
        .collect();
    assert_eq!(pairs, [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]);
}

#[test]
fn dependents_come_in_the_order_of_the_definition() {
    let graph = graph(&[&[3], &[3], &[0, 1], &[]]).unwrap();
    let after: Vec<usize> =
        graph.dependents(TaskIndex::new(3)).iter().map(|task| task.index()).collect();
    assert_eq!(after, [0, 1]);
    assert!(graph.is_last(TaskIndex::new(2)));
    assert!(!graph.is_last(TaskIndex::new(0)));
}

#[test]
fn a_cycle_is_named_without_the_tasks_that_lead_to_it() {
    assert_eq!(graph(&[&[0]]).unwrap_err(), [0]);
    assert_eq!(graph(&[&[], &[0, 3], &[1], &[2]]).unwrap_err(), [1, 3, 2]);
    // 0 waits for the cycle of 1 and 2 but is not part of it.
    assert_eq!(graph(&[&[1], &[2], &[1]]).unwrap_err(), [1, 2]);
}

#[test]
fn a_chain_of_the_most_tasks_allowed_is_walked() {
    let rows: Vec<Vec<TaskIndex>> = (0..TASKS_MAX)
        .map(|task| task.checked_sub(1).map(TaskIndex::new).into_iter().collect())
        .collect();
    let graph = Graph::new(rows).unwrap();
    assert!(graph.is_ancestor(TaskIndex::new(0), TaskIndex::new(TASKS_MAX - 1)));
}
