//! The order in which tables that refer to each other are emptied and filled.

use std::collections::BTreeSet;

/// What is deleted when, and what is inserted when; numbers are places among the plans.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Every table once, those that others refer to first.
    pub(crate) groups: Vec<Group>,
}

/// Tables that a statement fills together, or one alone. Foreign keys are checked as a statement ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) places: Vec<usize>,
    /// The same statement deletes the old rows, so that a foreign key of rows that stay finds its
    /// keys again; else they are gone before.
    pub(crate) at_once: bool,
}

impl Order {
    /// Groups that are emptied before anything is inserted, those that refer to others first.
    pub(crate) fn deletes(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().rev().filter(|group| !group.at_once)
    }

    /// Finds the order for `tables` tables with their `(referencing, referenced)` pairs, of which those
    /// `at_once`, [closed], are replaced by one statement; other circles are emptied by one and filled by another.
    pub(crate) fn of(tables: usize, references: &BTreeSet<(usize, usize)>, at_once: &BTreeSet<usize>) -> Self {
        let mut remaining: BTreeSet<usize> = (0..tables).filter(|place| !at_once.contains(place)).collect();
        let mut groups: Vec<Vec<usize>> = Vec::with_capacity(tables);
        while !remaining.is_empty() {
            let parents = |child: usize| {
                let of_child = references
                    .iter()
                    .filter(move |(c, parent)| *c == child && *parent != child);
                of_child
                    .map(|(_, parent)| *parent)
                    .filter(|parent| remaining.contains(parent))
            };
            let is_free = |place: &&usize| parents(**place).next().is_none();
            let mut next: Vec<Vec<usize>> = remaining.iter().filter(is_free).map(|place| vec![*place]).collect();
            if next.is_empty() {
                // What refers to the fewest others, itself included, refers to a circle and no further.
                let circles = remaining.iter().map(|place| reachable([*place].into(), parents));
                next.extend(
                    circles
                        .min_by_key(BTreeSet::len)
                        .map(|circle| circle.into_iter().collect()),
                );
            }
            for place in next.iter().flatten() {
                remaining.remove(place);
            }
            groups.extend(next);
        }
        let together = (!at_once.is_empty()).then(|| Group {
            places: at_once.iter().copied().collect(),
            at_once: true,
        });
        let others = groups.into_iter().map(|places| Group { places, at_once: false });
        Self {
            groups: together.into_iter().chain(others).collect(),
        }
    }
}

/// `tables` and all that they refer to: until their turn their old rows are there, and refer to the
/// old rows of other tables.
pub(crate) fn closed(tables: BTreeSet<usize>, references: &BTreeSet<(usize, usize)>) -> BTreeSet<usize> {
    reachable(tables, |child| {
        let of_child = references.iter().filter(move |(c, _)| *c == child);
        of_child.map(|(_, parent)| *parent)
    })
}

fn reachable<I: Iterator<Item = usize>>(from: BTreeSet<usize>, next: impl Fn(usize) -> I) -> BTreeSet<usize> {
    let mut open: Vec<usize> = from.iter().copied().collect();
    let mut found = from;
    while let Some(place) = open.pop() {
        open.extend(next(place).filter(|place| found.insert(*place)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(tables: usize, references: &[(usize, usize)], outside: &[usize]) -> Order {
        let references = references.iter().copied().collect();
        Order::of(
            tables,
            &references,
            &closed(outside.iter().copied().collect(), &references),
        )
    }

    fn places<'a>(groups: impl Iterator<Item = &'a Group>) -> Vec<Vec<usize>> {
        groups.map(|group| group.places.clone()).collect()
    }

    #[test]
    fn parents_are_filled_first_and_emptied_last() {
        // 0 orders → 2 customers, 1 details → 0 orders, 3 employees → itself
        let order = order(4, &[(0, 2), (1, 0), (3, 3)], &[]);
        assert_eq!(places(order.groups.iter()), [[2], [3], [0], [1]]);
        assert_eq!(places(order.deletes()), [[1], [0], [3], [2]]);
    }

    #[test]
    fn what_others_refer_to_is_replaced_at_once_with_what_it_refers_to() {
        let order = order(3, &[(0, 2), (1, 0)], &[0]);
        assert_eq!(places(order.groups.iter()), [vec![0, 2], vec![1]]);
        assert_eq!(places(order.deletes()), [[1]]);
    }

    #[test]
    fn circles_stay_together() {
        // 0 ⇄ 1 → 2 → 3 → 4 → 2, 5 → 0.
        let references = [(0, 1), (1, 0), (1, 2), (2, 3), (3, 4), (4, 2), (5, 0), (3, 3)];
        for (outside, deleted) in [
            (&[4][..], &[vec![5], vec![0, 1]][..]),
            (&[], &[vec![5], vec![0, 1], vec![2, 3, 4]]),
        ] {
            let order = order(6, &references, outside);
            assert_eq!(places(order.groups.iter()), [vec![2, 3, 4], vec![0, 1], vec![5]]);
            assert_eq!(places(order.deletes()), deleted);
        }
    }
}
