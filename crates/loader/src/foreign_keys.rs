//! The order in which tables that refer to each other are emptied and filled.

use std::collections::BTreeSet;

use lake_postgres::Connection;

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
    /// Every table, those that others refer to first.
    pub(crate) inserts: Vec<usize>,
    /// Tables that a table outside the load refers to: their rows are deleted and inserted in one
    /// statement, at whose end the foreign key finds its keys again.
    pub(crate) at_once: BTreeSet<usize>,
}

impl Order {
    /// Tables that are emptied before anything is inserted, those that refer to others first.
    pub(crate) fn deletes(&self) -> impl Iterator<Item = usize> {
        self.inserts
            .iter()
            .rev()
            .copied()
            .filter(|place| !self.at_once.contains(place))
    }

    /// Finds the order for `tables` tables, of which each `(referencing, referenced)` pair refers
    /// to each other, and `outside` are referred to by others.
    fn of(tables: usize, references: &BTreeSet<(usize, usize)>, outside: BTreeSet<usize>) -> Self {
        let mut inserts: Vec<usize> = Vec::with_capacity(tables);
        while inserts.len() < tables {
            let is_free = |place: &usize| {
                !inserts.contains(place)
                    && references
                        .iter()
                        .all(|(child, parent)| child != place || parent == place || inserts.contains(parent))
            };
            let free: Vec<usize> = (0..tables).filter(is_free).collect();
            if free.is_empty() {
                // A circle: right if its constraints are deferrable, else the server refuses it.
                inserts.extend((0..tables).filter(|place| !inserts.contains(place)).collect::<Vec<_>>());
            }
            inserts.extend(free);
        }
        // Their old rows are there until their turn, and refer to the old rows of other tables.
        let mut at_once = outside;
        for child in inserts.iter().rev() {
            if at_once.contains(child) {
                at_once.extend(references.iter().filter(|(c, _)| c == child).map(|(_, parent)| *parent));
            }
        }
        Self { inserts, at_once }
    }
}

/// Reads the foreign keys of the target's tables and finds the order.
///
/// # Errors
/// [`Error::ForeignKey`] where the replacement would reach beyond the tables of the load.
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
    for row in &rows {
        let Some(parent) = place(row.get(1)) else { continue };
        if let Some(child) = place(row.get(0)) {
            references.insert((child, parent));
            continue;
        }
        let effect = match row.get(3) {
            "c" => "delete rows there",
            "n" | "d" => "empty columns there",
            _ => {
                outside.insert(parent);
                continue;
            }
        };
        return Err(Error::ForeignKey {
            target: plans[parent].target.clone(),
            referencing: format!("{}.{}", row.get::<_, &str>(4), row.get::<_, &str>(5)),
            constraint: row.get(2),
            effect,
        });
    }
    Ok(Order::of(plans.len(), &references, outside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_filled_first_and_emptied_last() {
        // 0 orders → 2 customers, 1 details → 0 orders, 3 employees → itself
        let references = BTreeSet::from([(0, 2), (1, 0), (3, 3)]);
        let order = Order::of(4, &references, BTreeSet::new());
        assert_eq!(order.inserts, [2, 3, 0, 1]);
        assert_eq!(order.deletes().collect::<Vec<_>>(), [1, 0, 3, 2]);
    }

    #[test]
    fn what_others_refer_to_is_replaced_at_once_with_what_it_refers_to() {
        let references = BTreeSet::from([(0, 2), (1, 0)]);
        let order = Order::of(3, &references, BTreeSet::from([0]));
        assert_eq!(order.inserts, [2, 0, 1]);
        assert_eq!(order.deletes().collect::<Vec<_>>(), [1]);
        assert_eq!(order.at_once, BTreeSet::from([0, 2]));
    }

    #[test]
    fn a_circle_does_not_go_on_for_ever() {
        let order = Order::of(3, &BTreeSet::from([(0, 1), (1, 0)]), BTreeSet::new());
        assert_eq!(order.inserts, [2, 0, 1]);
    }
}
