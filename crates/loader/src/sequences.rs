//! The sequences that the target's columns draw from go on after the largest value.
//!
//! They are the one thing that a rollback does not undo, so they come last, and only ever go forward: a number
//! skipped does no harm, one that comes twice does. Few numbers are skipped by drawing them, which others who
//! draw meanwhile can't be set back by; many by setting the sequence.
//!
//! A sequence can be a column's own (`serial`, an identity, `owned by`), or named in its default alone, or its domain's,
//! where the name may be looked up at each use. One that runs down goes on below the smallest value. One that cycles is
//! meant to give its numbers again: it stays.

use lake_postgres::{Connection, Error as PgError, quote_identifier, quote_qualified};
use lake_storage::SqlName;
use tokio_postgres::Row;

use crate::existing::Existing;
use crate::plan::TablePlan;
use crate::statements::inserted_columns;
use crate::swap::watched;
use crate::{Result, TargetTable};

/// So many numbers are drawn one by one.
const DRAWN_MAX: u32 = 1000;

/// Each column with each sequence that it draws from, itself or in a partition. Where a default does more than
/// draw, or the values are no numbers, they can't be compared with the sequence.
const FIND: &str = r"
    with inserted as (
        select w.place, w.name, has_column_privilege(w.oid, w.name, 'select') as shown, a.attrelid, a.attnum,
            d.oid as default_oid, case when d.oid is null then y.oid end as domain_oid,
            coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(y.typdefaultbin, 0)) as expression,
            (with recursive below(oid) as (
                select a.atttypid
                union all
                select t.typbasetype from below join pg_type t on t.oid = below.oid where t.typtype = 'd')
             select bool_or(oid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)) from below
            ) as numeric
        from unnest($1::int[], $2::oid[], $3::text[]) as w(place, oid, name)
        cross join lateral (select w.oid union select relid::oid from pg_partition_tree(w.oid)) part(oid)
        join pg_attribute a on a.attrelid = part.oid and a.attname = w.name and not a.attisdropped
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        left join pg_type y on y.oid = a.atttypid and y.typtype = 'd'),
    drawn(place, name, shown, numeric, expression, sequence) as (
        select place, name, shown, numeric, expression, refobjid from inserted
        join pg_depend on refclassid = 'pg_class'::regclass and
            (classid = 'pg_attrdef'::regclass and objid = default_oid or classid = 'pg_type'::regclass and objid = domain_oid)
        union all
        select place, name, shown, numeric, expression,
            (select to_regclass(prefix || late[1])::oid from unnest($4::text[]) with ordinality as path(prefix, nth)
             where to_regclass(prefix || late[1]) is not null order by nth limit 1)
        from inserted, regexp_match(expression, $late$nextval\(\('((?:[^']|'')+)'::text$late$) late
        union all
        select place, name, shown, numeric, null, objid from inserted
        join pg_depend on classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass
            and refobjid = attrelid and refobjsubid = attnum and deptype in ('a', 'i'))
    select distinct on (place, name, seqrelid) place, name, seqrelid, nspname::text, relname::text,
        seqincrement, seqmin, seqmax, seqcycle, expression, current_user::text,
        has_schema_privilege(n.oid, 'usage') and has_sequence_privilege(seqrelid, 'select'),
        has_sequence_privilege(seqrelid, 'update'), shown,
        numeric and (expression is null or expression ~
            $drawn$^\(?nextval\(\(?'([^']|'')+'::(regclass|text\)::regclass)\)\)?(::[^()'+*/-]+(\([0-9,]+\))?)?$$drawn$)
    from drawn join pg_sequence on seqrelid = sequence
    join pg_class c on c.oid = seqrelid join pg_namespace n on n.oid = c.relnamespace
    order by place, name, seqrelid, expression";

/// A sequence that a column of a loaded table draws from.
struct Sequence {
    oid: u32,
    name: TargetTable,
    increment: i64,
    min: i64,
    max: i64,
    cycles: bool,
    /// The column's default, where that is what draws.
    expression: Option<String>,
    role: String,
    readable: bool,
    settable: bool,
    /// Whether the role may read the column.
    shown: bool,
    comparable: bool,
}

impl Sequence {
    fn new(row: &Row) -> Self {
        Self {
            oid: row.get(2),
            name: TargetTable {
                schema: row.get(3),
                name: row.get(4),
            },
            increment: row.get(5),
            min: row.get(6),
            max: row.get(7),
            cycles: row.get(8),
            expression: row.get(9),
            role: row.get(10),
            readable: row.get(11),
            settable: row.get(12),
            shown: row.get(13),
            comparable: row.get(14),
        }
    }

    fn grant(&self, rights: &str) -> String {
        let role = SqlName(&self.role);
        format!("`grant {rights} on sequence {} to {role}` and load again", self.name)
    }

    /// The furthest value of the column within the sequence's range. Its end is often a row of its own kind, and
    /// to go there would leave no number.
    fn furthest(&self, column: &str, table: &str) -> String {
        let (value, min, max) = match self.increment > 0 {
            true => ("floor(max", ">=", "<"),
            false => ("ceil(min", ">", "<="),
        };
        format!(
            "select {value}({column})::numeric) as value from {table} \
             where {column} {min} ({})::bigint and {column} {max} ({})::bigint",
            self.min, self.max
        )
    }

    /// How many numbers lie before the first one beyond all values, and whether that is few; no row if that one
    /// is the next.
    fn skipped(&self, column: &str, table: &str) -> String {
        format!(
            "select skipped::text, skipped <= {DRAWN_MAX} \
             from ({furthest}) furthest, {sequence}, \
                lateral (select (value - last_value) * sign({increment}) as ahead) distance, \
                lateral (select div(ahead, abs({increment})) + (not is_called)::int as skipped) numbers \
             where ahead >= 0 and skipped > 0",
            furthest = self.furthest(column, table),
            sequence = self.quoted(),
            increment = format_args!("({})::numeric", self.increment),
        )
    }

    /// Whether a row has the next number of a sequence that cycles.
    fn next_is_taken(&self, column: &str, table: &str) -> String {
        let Self {
            increment, min, max, ..
        } = self;
        let first = if *increment > 0 { min } else { max };
        format!(
            "select 1 from {table}, (select case when not is_called then last_value \
                when last_value::numeric + ({increment}) between {min} and {max} then last_value + ({increment}) \
                else ({first})::bigint end as value from {sequence}) next \
             where {column} = next.value limit 1",
            sequence = self.quoted(),
        )
    }

    fn advance(&self, skipped: &str, few: bool) -> String {
        let (oid, increment) = (self.oid, self.increment);
        match few {
            true => format!("select max(nextval({oid}::oid::regclass)) from generate_series(1, {skipped})"),
            false => format!(
                "select setval({oid}::oid::regclass, \
                    (last_value + ({skipped} - (not is_called)::int) * ({increment})::numeric)::bigint) from {}",
                self.quoted()
            ),
        }
    }

    fn quoted(&self) -> String {
        quote_qualified(&self.name.schema, &self.name.name)
    }
}

/// Makes the sequences go on beyond the tables' values, and says which ones it had to leave behind.
pub(crate) async fn advance(connection: &Connection, plans: &[TablePlan], existing: &[Option<Existing>]) -> Result<()> {
    let (mut places, mut oids, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (place, (plan, existing)) in plans.iter().zip(existing).enumerate() {
        let Some(table) = existing else { continue };
        for (_, name) in inserted_columns(plan, Some(table)) {
            places.push(place as i32);
            oids.push(table.oid);
            names.push(name);
        }
    }
    let path = connection.as_role(role_path(connection)).await?;
    let found = connection.query(FIND, &[&places, &oids, &names, &path]).await;
    for row in found.map_err(PgError::query("look for the target's sequences"))? {
        let place = row.get::<_, i32>(0) as usize;
        if let Some(existing) = &existing[place] {
            let target = &plans[place].target;
            go_on(connection, &Sequence::new(&row), target, existing, row.get(1)).await?;
        }
    }
    Ok(())
}

/// What a plain name is looked up by, as prefixes; the empty one is for a name that has its schema.
async fn role_path(connection: &Connection) -> Result<Vec<String>> {
    let sql = "select format('%I.', s) from unnest(current_schemas(false)) with ordinality as p(s, nth) order by nth";
    let rows = connection.query(sql, &[]).await;
    let rows = rows.map_err(PgError::query("read the search_path"))?;
    let schemas = rows.iter().map(|row| row.get(0));
    Ok(std::iter::once(String::new()).chain(schemas).collect())
}

async fn go_on(
    connection: &Connection,
    sequence: &Sequence,
    target: &TargetTable,
    existing: &Existing,
    name: &str,
) -> Result<()> {
    const COMPARISON: &str = "the comparison with its sequence";
    let (column, table) = (quote_identifier(name), existing.itself(target));
    let told = format!("{target}, column {}: ", SqlName(name));
    let its = &sequence.name;
    if !sequence.comparable {
        let default = match &sequence.expression {
            Some(expression) => format!(" as {expression}"),
            None => String::new(),
        };
        tracing::warn!(
            "{told}its values can't be compared with the sequence {its}, from which it draws{default}: see to it yourself \
             that the next number is not taken"
        );
        return Ok(());
    }
    if !sequence.readable {
        let grant = sequence.grant("select, update");
        tracing::warn!("{told}the role may not read the sequence {its}, so its next number may be taken: {grant}");
        return Ok(());
    }
    if !sequence.shown {
        let role = SqlName(&sequence.role);
        tracing::warn!(
            "{told}the role may not read it, so the next number of the sequence {its} may be taken: `grant select on {target} \
             to {role}` and load again"
        );
        return Ok(());
    }
    if sequence.cycles {
        let sql = sequence.next_is_taken(&column, &table);
        let query = connection.query_opt(&sql, &[]);
        if watched(connection, target, COMPARISON, &sql, query).await?.is_some() {
            tracing::warn!(
                "{told}a row has the next number of the sequence {its}, which stays as it is, since it cycles"
            );
        }
        return Ok(());
    }
    let sql = sequence.skipped(&column, &table);
    let query = connection.query_opt(&sql, &[]);
    let Some(row) = watched(connection, target, COMPARISON, &sql, query).await? else {
        return Ok(());
    };
    if !sequence.settable {
        let grant = sequence.grant("update");
        tracing::warn!("{told}rows have the next numbers of the sequence {its}, which the role may not set: {grant}");
        return Ok(());
    }
    let sql = sequence.advance(row.get(0), row.get(1));
    let execute = connection.execute(&sql, &[]);
    watched(connection, target, "the advance of its sequence", &sql, execute).await?;
    Ok(())
}
