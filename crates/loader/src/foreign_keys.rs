//! The order in which tables that refer to each other are emptied and filled.

use std::collections::BTreeSet;

use lake_postgres::Connection;
use lake_storage::SqlName;

use crate::existing::Existing;
use crate::plan::TablePlan;
use crate::{Error, Result};

/// Constraints of partitions are left out: they repeat those of their roots.
const REFERENCES: &str = "\
    select k.conrelid, k.confrelid, k.conname::text, k.confdeltype::text, n.nspname::text, c.relname::text \
    from pg_constraint k \
    join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace \
    where k.contype = 'f' and k.conparentid = 0 and k.confrelid = any($1)";

/// What is deleted when, and what is inserted when; numbers are places among the plans.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Every table once, those that others refer to first.
    pub(crate) groups: Vec<Group>,
}

/// Tables that refer to each other in a circle, or one alone: a statement empties all of them and one
/// fills them, since foreign keys are checked as a statement ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) places: Vec<usize>,
    /// A table outside the load refers to them: their rows are deleted and inserted in one statement,
    /// at whose end the foreign key finds its keys again.
    pub(crate) at_once: bool,
}

impl Order {
    /// Groups that are emptied before anything is inserted, those that refer to others first.
    pub(crate) fn deletes(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().rev().filter(|group| !group.at_once)
    }

    /// Finds the order for `tables` tables, of which each `(referencing, referenced)` pair refers
    /// to each other, and `outside` are referred to by others.
    fn of(tables: usize, references: &BTreeSet<(usize, usize)>, outside: &BTreeSet<usize>) -> Self {
        let mut remaining: BTreeSet<usize> = (0..tables).collect();
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
                let circles = remaining.iter().map(|place| reachable(*place, parents));
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
        // Their old rows are there until their turn, and refer to the old rows of other tables.
        let mut at_once = outside.clone();
        for group in groups.iter().rev().filter(|group| !group.is_empty()) {
            if group.iter().any(|place| at_once.contains(place)) {
                at_once.extend(group);
                let of_group = references.iter().filter(|(child, _)| group.contains(child));
                at_once.extend(of_group.map(|(_, parent)| *parent));
            }
        }
        let groups = groups.into_iter().map(|places| Group {
            at_once: places.iter().any(|place| at_once.contains(place)),
            places,
        });
        Self {
            groups: groups.collect(),
        }
    }
}

fn reachable<I: Iterator<Item = usize>>(from: usize, next: impl Fn(usize) -> I) -> BTreeSet<usize> {
    let mut found = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(place) = open.pop() {
        open.extend(next(place).filter(|place| found.insert(*place)));
    }
    found
}

/// Reads the foreign keys of the target's tables and finds the order.
///
/// # Errors
/// [`Error::ForeignKey`] where the deletion of the old rows would change rows that stay: of tables that
/// are not loaded, or new ones.
pub(crate) async fn order(
    connection: &Connection,
    plans: &[TablePlan],
    existing: &[Option<Existing>],
) -> Result<Order> {
    let place = |oid: u32| {
        existing
            .iter()
            .position(|table| table.as_ref().is_some_and(|t| t.oid == oid))
    };
    let oids: Vec<u32> = existing.iter().flatten().map(|table| table.oid).collect();
    let rows = connection
        .query(REFERENCES, &[&oids])
        .await
        .map_err(lake_postgres::Error::query("read the target's foreign keys"))?;
    let mut references = BTreeSet::new();
    let mut outside = BTreeSet::new();
    // Those by which the deletion of a row would change others.
    let mut acting = Vec::new();
    for row in &rows {
        let Some(parent) = place(row.get(1)) else { continue };
        let child = place(row.get(0));
        match child {
            Some(child) => {
                references.insert((child, parent));
            }
            None => {
                outside.insert(parent);
            }
        }
        let effect = match row.get(3) {
            "c" => "delete rows there",
            "n" | "d" => "empty columns there",
            _ => continue,
        };
        let refused = Error::ForeignKey {
            target: plans[parent].target.clone(),
            referencing: format!("{}.{}", SqlName(row.get(4)), SqlName(row.get(5))),
            constraint: row.get(2),
            effect,
        };
        match child {
            None => return Err(refused),
            Some(child) => acting.push((child, parent, refused)),
        }
    }
    let order = Order::of(plans.len(), &references, &outside);
    // Deleted and filled in one statement, the new rows would be what it changes.
    let changes_new_rows = |child: &usize, parent: &usize| {
        let mut groups = order.groups.iter().filter(|group| group.at_once);
        groups.any(|group| group.places.contains(child) && group.places.contains(parent))
    };
    match acting
        .into_iter()
        .find(|(child, parent, _)| changes_new_rows(child, parent))
    {
        Some((.., refused)) => Err(refused),
        None => Ok(order),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(tables: usize, references: &[(usize, usize)], outside: &[usize]) -> Order {
        let (references, outside) = (references.iter().copied(), outside.iter().copied());
        Order::of(tables, &references.collect(), &outside.collect())
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
        assert_eq!(places(order.groups.iter()), [[2], [0], [1]]);
        assert_eq!(places(order.deletes()), [[1]]);
    }

    #[test]
    fn circles_stay_together() {
        // 0 ⇄ 1 → 2 → 3 → 4 → 2, 5 → 0; 4 is referred to from outside.
        let references = [(0, 1), (1, 0), (1, 2), (2, 3), (3, 4), (4, 2), (5, 0), (3, 3)];
        let order = order(6, &references, &[4]);
        assert_eq!(places(order.groups.iter()), [vec![2, 3, 4], vec![0, 1], vec![5]]);
        assert_eq!(places(order.deletes()), [vec![5], vec![0, 1]]);
    }
}
