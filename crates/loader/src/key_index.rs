//! Indexes on the columns by which rows refer to a table whose rows are replaced.
//!
//! For each row that goes, the server looks for rows that still refer to it, with a query of its own each time.
//! Without an index that query reads all of the referencing table, the rows that the load has just deleted
//! there included: ten times the rows take a hundred times as long. So a load creates the index that is missing, as
//! its owner would have, and it stays: to drop it would make readers wait, and the next load wants it again.

use lake_postgres::{Connection, Error as PgError, Parameter, quote_identifier};
use lake_storage::SqlName;
use tokio_postgres::Row;

use crate::existing::Existing;
use crate::{Result, TargetTable};

/// Up to this product of the two tables' pages, to read all each time takes less than to create an index.
const PAGES_MAX: i32 = 100;

/// Foreign keys to the tables of the load, or to partitions of them, that no index of the referencing table or
/// partition serves. The size of a table that is not loaded is what the server last noted: to measure it takes a lock.
const FIND: &str = "\
    with recursive part(oid, loaded) as ( \
        select o, o from unnest($1::oid[]) o \
        union all \
        select c.oid, part.loaded from part join pg_inherits i on i.inhparent = part.oid \
            join pg_class c on c.oid = i.inhrelid and c.relispartition), \
    size(loaded, pages) as (select loaded, sum(pg_relation_size(oid)) / current_setting('block_size')::int from part group by 1) \
    select distinct on (n.nspname, c.relname, k.conkey) n.nspname::text, c.relname::text, \
        (select array_agg(a.attname::text order by key.place) from unnest(k.conkey) with ordinality key(number, place) \
         join pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.number), \
        r.nspname::text, p.relname::text, child.loaded, pg_has_role(c.relowner, 'usage') \
    from pg_constraint k \
    join part parent on parent.oid = k.confrelid join size on size.loaded = parent.loaded \
    join pg_class p on p.oid = parent.loaded join pg_namespace r on r.oid = p.relnamespace \
    join pg_class c on c.oid = k.conrelid and c.relkind = 'r' join pg_namespace n on n.oid = c.relnamespace \
    left join part child on child.oid = k.conrelid \
    where k.contype = 'f' \
        and size.pages * case when child.oid is null then c.relpages \
            else pg_relation_size(c.oid) / current_setting('block_size')::int end > $2 \
        and not exists (select from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam \
            where i.indrelid = k.conrelid and i.indisvalid and i.indpred is null and m.amname in ('btree', 'hash') \
                and k.conkey <@ (i.indkey::int2[])[0:cardinality(k.conkey) - 1]) \
    order by n.nspname, c.relname, k.conkey";

/// A foreign key that no index serves.
#[derive(Debug)]
pub(crate) struct Missing {
    /// The referencing table, or a partition of it.
    table: TargetTable,
    columns: Vec<String>,
    referenced: TargetTable,
    /// The OID of the table of the load that it belongs to, if it does.
    loaded: Option<u32>,
    owned: bool,
}

impl Missing {
    /// Whether the load creates it in this table of its own.
    pub(crate) fn is_created_in(&self, existing: &Existing) -> bool {
        self.owned && self.loaded == Some(existing.oid)
    }

    fn statement(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| quote_identifier(name)).collect();
        format!("create index on {} ({})", self.table.quoted(), columns.join(", "))
    }

    /// The same for a person.
    fn shown(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| SqlName(name).to_string()).collect();
        format!("create index on {} ({})", self.table, columns.join(", "))
    }
}

/// Looks for foreign keys of large tables that no index serves.
pub(crate) async fn find(connection: &Connection, existing: &[Option<Existing>]) -> Result<Vec<Missing>> {
    let oids: Vec<u32> = existing.iter().flatten().map(|table| table.oid).collect();
    let parameters: [&dyn Parameter; 2] = [&oids, &PAGES_MAX];
    let query = connection.query(FIND, &parameters);
    let rows = connection.watch_locks(FIND, "lock the target's tables", query).await?;
    let missing = |row: &Row| Missing {
        table: TargetTable {
            schema: row.get(0),
            name: row.get(1),
        },
        columns: row.get(2),
        referenced: TargetTable {
            schema: row.get(3),
            name: row.get(4),
        },
        loaded: row.get(5),
        owned: row.get(6),
    };
    Ok(rows.iter().map(missing).collect())
}

/// Creates those that the load may, and says what the others cost. Where the server can't make one, the load goes
/// on without.
pub(crate) async fn create(connection: &Connection, missing: &[Missing]) -> Result<()> {
    for missing in missing {
        let (table, referenced, shown) = (&missing.table, &missing.referenced, missing.shown());
        let slow = format!(
            "the target's {table} refers to {referenced} by columns without an index, so that all of it is read for each row that is \
             replaced there"
        );
        if !missing.owned || missing.loaded.is_none() {
            tracing::warn!("{slow}: `{shown}` in the target lets loads take less time");
            continue;
        }
        let tried = format!(
            "savepoint key_index; {}; release savepoint key_index",
            missing.statement()
        );
        let Err(source) = connection.batch_execute(&tried).await else {
            tracing::warn!("{slow}: the load has done `{shown}`");
            continue;
        };
        let Some(server) = source.as_db_error() else {
            return Err(PgError::query("create an index")(source).into());
        };
        tracing::warn!("{slow}, and `{shown}` does not mend it: {}", server.message());
        let back = connection.batch_execute("rollback to savepoint key_index").await;
        back.map_err(PgError::query("go back to before an index"))?;
    }
    Ok(())
}
