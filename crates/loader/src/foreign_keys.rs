//! The foreign keys that touch the target's tables, and what they demand of the order of a load.

use std::collections::{BTreeSet, HashMap};

use lake_postgres::Connection;

use crate::existing::Existing;
use crate::order::{Order, closed};
use crate::plan::TablePlan;
use crate::{Error, Result, TargetTable};

/// The partitions of a table belong to it: what refers to one of them, or one of them refers to,
/// is the table's own affair.
const REFERENCES: &str = "\
    with recursive part(oid, loaded) as ( \
        select o, o from unnest($1::oid[]) o \
        union all \
        select c.oid, part.loaded from part join pg_inherits i on i.inhparent = part.oid \
            join pg_class c on c.oid = i.inhrelid and c.relispartition) \
    select k.conname::text, k.confdeltype::text, k.condeferrable, n.nspname::text, c.relname::text, \
        child.loaded, parent.loaded, pg_get_constraintdef(k.oid) \
    from pg_constraint k \
    join part parent on parent.oid = k.confrelid left join part child on child.oid = k.conrelid \
    join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace \
    where k.contype = 'f' \
    order by k.conparentid <> 0, k.oid";

/// A foreign key that refers to a table of the load, or to a partition of one.
#[derive(Debug)]
pub(crate) struct ForeignKey {
    pub(crate) constraint: String,
    /// The referencing table.
    pub(crate) table: TargetTable,
    /// Its place among the plans, or its root's; none if it is not loaded.
    pub(crate) child: Option<usize>,
    parent: usize,
    on_delete: OnDelete,
    deferrable: bool,
    /// As the server prints it.
    definition: String,
}

impl ForeignKey {
    /// Whether a row that is referred to may not go, whatever comes afterwards.
    pub(crate) fn restricts(&self) -> bool {
        self.on_delete == OnDelete::Restrict
    }

    /// Its definition as one that is checked when a statement ends.
    pub(crate) fn without_action(&self) -> String {
        self.definition.replace(" ON DELETE RESTRICT", "")
    }
}

/// What becomes of the referencing rows when a row is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDelete {
    NoAction,
    Restrict,
    Cascade,
    /// NULL or the default.
    Set,
}

impl OnDelete {
    fn of(confdeltype: &str) -> Self {
        match confdeltype {
            "r" => Self::Restrict,
            "c" => Self::Cascade,
            "n" | "d" => Self::Set,
            _ => Self::NoAction,
        }
    }

    /// What it does to the referencing rows, if anything.
    fn effect(self) -> Option<&'static str> {
        match self {
            Self::NoAction | Self::Restrict => None,
            Self::Cascade => Some("delete rows there"),
            Self::Set => Some("empty columns there"),
        }
    }
}

/// Reads the foreign keys that refer to the tables of the load.
pub(crate) async fn read(connection: &Connection, existing: &[Option<Existing>]) -> Result<Vec<ForeignKey>> {
    let oids: Vec<u32> = existing.iter().flatten().map(|table| table.oid).collect();
    let places: HashMap<u32, usize> = (0..)
        .zip(existing)
        .filter_map(|(place, table)| Some((table.as_ref()?.oid, place)))
        .collect();
    let rows = connection
        .query(REFERENCES, &[&oids])
        .await
        .map_err(lake_postgres::Error::query("read the target's foreign keys"))?;
    let place = |oid: Option<u32>| places.get(&oid?).copied();
    Ok(rows
        .iter()
        .filter_map(|row| {
            Some(ForeignKey {
                constraint: row.get(0),
                table: TargetTable {
                    schema: row.get(3),
                    name: row.get(4),
                },
                child: place(row.get(5)),
                parent: place(row.get(6))?,
                on_delete: OnDelete::of(row.get(1)),
                deferrable: row.get(2),
                definition: row.get(7),
            })
        })
        .collect())
}

/// Finds the order in which the tables are emptied and filled.
///
/// # Errors
/// [`Error::ForeignKey`] where the deletion of the old rows would change rows that stay: of tables that
/// are not loaded, or new ones.
pub(crate) fn order(plans: &[TablePlan], keys: &[ForeignKey]) -> Result<Order> {
    let references: BTreeSet<(usize, usize)> = keys.iter().filter_map(|key| Some((key.child?, key.parent))).collect();
    // Rows outside the load stay, and have to find their keys as a statement ends; or at the commit.
    let is_deferred = |key: &ForeignKey| key.deferrable && key.on_delete == OnDelete::NoAction;
    let outside = keys.iter().filter(|key| key.child.is_none() && !is_deferred(key));
    let at_once = closed(outside.map(|key| key.parent).collect(), &references);
    for key in keys {
        // Deleted and filled in one statement, the new rows would be what it changes.
        let stays = key
            .child
            .is_none_or(|child| at_once.contains(&child) && at_once.contains(&key.parent));
        if let (Some(effect), true) = (key.on_delete.effect(), stays) {
            return Err(Error::ForeignKey {
                target: plans[key.parent].target.clone(),
                referencing: key.table.to_string(),
                constraint: key.constraint.clone(),
                effect,
            });
        }
    }
    Ok(Order::of(plans.len(), &references, &at_once))
}
