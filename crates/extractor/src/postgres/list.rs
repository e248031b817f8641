//! Which relations there are, and which of them a source's patterns select.

use std::collections::{BTreeSet, HashMap};

use lake_postgres::Connection;
use lake_storage::Relation;

use super::TablePattern;
use crate::error::nearest;
use crate::{Error, Result};

/// A relation as the catalogue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) relation: Relation,
    pub(super) kind: Kind,
    /// Whether its pages, and those of its heirs, can be addressed by ctid.
    pub(super) heap: bool,
    /// Tables that inherit from it, directly or not, and whose rows come with its own: all but those that
    /// are selected themselves, and those that come with one that is.
    pub(super) heirs: BTreeSet<u32>,
    parents: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    Partitioned,
    /// A leaf or branch of a partitioned table, read through its root.
    Partition,
    /// A view, a materialised view or a foreign table is read where it is named.
    View,
    MaterializedView,
    Foreign,
}

impl Kind {
    /// Whether `lock table` takes it: the others are locked as they are read.
    pub(super) fn is_lockable(self) -> bool {
        !matches!(self, Self::MaterializedView | Self::Foreign)
    }

    /// Whether tables that inherit from it have rows of their own.
    fn is_inherited(self) -> bool {
        matches!(self, Self::Table | Self::Foreign)
    }
}

/// Lists the relations that a source's patterns select, in the order of their names.
pub(super) async fn list(connection: &Connection, patterns: &[TablePattern]) -> Result<Vec<Listed>> {
    let rows = connection
        .query(
            "select c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relispartition,
                    c.relkind in ('r', 'm') and coalesce(am.amname = 'heap', false),
                    array(select i.inhparent from pg_catalog.pg_inherits i where i.inhrelid = c.oid)
             from pg_catalog.pg_class c
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             left join pg_catalog.pg_am am on am.oid = c.relam
             where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
               and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
             order by n.nspname, c.relname",
            &[],
        )
        .await
        .map_err(lake_postgres::Error::query("list the tables"))?;
    let all: Vec<Listed> = rows
        .iter()
        .map(|row| Listed {
            relation: Relation {
                schema: row.get(1),
                name: row.get(2),
                oid: row.get(0),
            },
            kind: match (row.get::<_, &str>(3), row.get(4)) {
                (_, true) => Kind::Partition,
                ("r", _) => Kind::Table,
                ("p", _) => Kind::Partitioned,
                ("v", _) => Kind::View,
                ("m", _) => Kind::MaterializedView,
                _ => Kind::Foreign,
            },
            heap: row.get(5),
            heirs: BTreeSet::new(),
            parents: row.get(6),
        })
        .collect();
    let selected = select(&all, patterns)?;
    Ok(with_heirs(&all, selected))
}

fn select(all: &[Listed], patterns: &[TablePattern]) -> Result<Vec<Listed>> {
    let included: Vec<&TablePattern> = patterns.iter().filter(|p| !p.excludes()).collect();
    let named = |listed: &Listed| included.iter().any(|p| p.is_exact() && p.matches(&listed.relation));
    for pattern in &included {
        if !all.iter().any(|listed| pattern.matches(&listed.relation)) {
            let names: Vec<String> = all.iter().map(|listed| listed.relation.to_string()).collect();
            return Err(Error::NoMatch {
                what: format!("the pattern {pattern}"),
                nearest: nearest(&pattern.to_string(), names.iter().map(String::as_str)),
            });
        }
    }
    let is_selected = |listed: &&Listed| {
        let wanted = included.is_empty() || included.iter().any(|p| p.matches(&listed.relation));
        let ordinary = matches!(listed.kind, Kind::Table | Kind::Partitioned);
        let left_out = patterns.iter().any(|p| p.excludes() && p.matches(&listed.relation));
        wanted && !left_out && (ordinary || named(listed))
    };
    Ok(all.iter().filter(is_selected).cloned().collect())
}

/// Finds what inherits from the selected tables, and with which of them each row is read.
fn with_heirs(all: &[Listed], mut selected: Vec<Listed>) -> Vec<Listed> {
    let mut children: HashMap<u32, Vec<&Listed>> = HashMap::new();
    for listed in all.iter().filter(|l| l.kind != Kind::Partition) {
        for parent in &listed.parents {
            children.entry(*parent).or_default().push(listed);
        }
    }
    if children.is_empty() {
        return selected;
    }
    let heirs = |oid: u32| {
        let mut heirs = BTreeSet::new();
        let mut open = vec![oid];
        while let Some(oid) = open.pop() {
            let of_oid = children.get(&oid).into_iter().flatten();
            open.extend(of_oid.map(|heir| heir.relation.oid).filter(|oid| heirs.insert(*oid)));
        }
        heirs
    };
    let no_heap: BTreeSet<u32> = all.iter().filter(|l| !l.heap).map(|l| l.relation.oid).collect();
    let oids: BTreeSet<u32> = selected.iter().map(|listed| listed.relation.oid).collect();
    for listed in selected.iter_mut().filter(|l| l.kind.is_inherited()) {
        let all_heirs = heirs(listed.relation.oid);
        let mut apart = BTreeSet::new();
        for &selected in all_heirs.intersection(&oids) {
            apart.insert(selected);
            apart.extend(heirs(selected));
        }
        listed.heirs = &all_heirs - &apart;
        listed.heap &= listed.heirs.is_empty() || all_heirs.is_disjoint(&no_heap);
    }
    selected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(oid: u32, parents: &[u32]) -> Listed {
        Listed {
            relation: Relation {
                schema: "s".into(),
                name: format!("t{oid}"),
                oid,
            },
            kind: Kind::Table,
            heap: oid != 9,
            heirs: BTreeSet::new(),
            parents: parents.into(),
        }
    }

    #[test]
    fn a_row_comes_with_the_nearest_selected_ancestor() {
        // 1 ← 2 ← 3, 1 ← 4 ← 3 too, and 1 ← 9, which is no heap.
        let all = [
            table(1, &[]),
            table(2, &[1]),
            table(3, &[2, 4]),
            table(4, &[1]),
            table(9, &[1]),
        ];
        let heirs = |patterns: &[&str]| -> Vec<(u32, Vec<u32>, bool)> {
            let patterns: Vec<TablePattern> = patterns.iter().map(|p| p.parse().unwrap()).collect();
            let selected = with_heirs(&all, select(&all, &patterns).unwrap());
            let shown = |l: Listed| (l.relation.oid, l.heirs.into_iter().collect(), l.heap);
            selected.into_iter().map(shown).collect()
        };
        assert_eq!(heirs(&["s.t1"]), [(1, vec![2, 3, 4, 9], false)]);
        assert_eq!(
            heirs(&["s.t1", "s.t2", "s.t9"]),
            [(1, vec![4], false), (2, vec![3], true), (9, vec![], false)]
        );
        assert_eq!(heirs(&["s.t2", "s.t4"]), [(2, vec![3], true), (4, vec![3], true)]);
        assert!(heirs(&["s.*"]).iter().all(|(_, heirs, _)| heirs.is_empty()));
    }
}
