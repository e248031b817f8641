//! Our own table in each target schema: which day each table holds, for anyone to see.

use lake_postgres::{Connection, quote_literal};

use crate::plan::TablePlan;
use crate::swap::swap_error;
use crate::{Error, LoadRequest, Result, TargetTable};

/// A row a table, written in the transaction that puts the table in place.
pub(crate) const LOADS_TABLE: &str = "_lake_loads";

fn table(schema: &str) -> TargetTable {
    TargetTable {
        schema: schema.into(),
        name: LOADS_TABLE.into(),
    }
}

/// Notes the day of the tables of a schema.
pub(crate) async fn note(
    connection: &Connection,
    request: &LoadRequest,
    schema: &str,
    plans: impl Iterator<Item = &TablePlan>,
) -> Result<()> {
    let rows: Vec<String> = plans
        .map(|plan| {
            format!(
                "({}, {}, '{}', {}, {}, now())",
                quote_literal(&plan.target.name),
                quote_literal(&plan.table.source),
                request.date,
                plan.table.entry.rows,
                quote_literal(&request.run.to_string())
            )
        })
        .collect();
    let loads = table(schema);
    let name = loads.quoted();
    let create = format!(
        "create table if not exists {name} (table_name text primary key, source text not null, \
            day date not null, rows bigint not null, run text not null, loaded_at timestamptz not null)"
    );
    let insert = format!(
        "insert into {name} (table_name, source, day, rows, run, loaded_at) values {} \
         on conflict (table_name) do update set source = excluded.source, day = excluded.day, \
            rows = excluded.rows, run = excluded.run, loaded_at = excluded.loaded_at",
        rows.join(", ")
    );
    const NOTE: &str = "the note of the day";
    let created = connection.batch_execute(&create).await;
    created.map_err(swap_error(&loads, NOTE))?;
    let noted = connection
        .execute(&insert, &[])
        .await
        .map_err(swap_error(&loads, NOTE))?;
    if noted != rows.len() as u64 {
        return Err(Error::RowCount {
            table: loads.to_string(),
            expected: rows.len() as u64,
            found: noted,
            place: "were noted (a trigger on the table?)",
        });
    }
    Ok(())
}

/// The day that a table holds by its note; none if no load made one.
pub(crate) async fn day(connection: &Connection, target: &TargetTable) -> Result<Option<String>> {
    let loads = table(&target.schema).quoted();
    let action = || lake_postgres::Error::query("read which day the target holds");
    let there = connection
        .query_one("select to_regclass($1) is not null", &[&loads])
        .await
        .map_err(action())?;
    if !there.get::<_, bool>(0) {
        return Ok(None);
    }
    let sql = format!("select day::text from {loads} where table_name = $1");
    let row = connection.query_opt(&sql, &[&target.name]).await.map_err(action())?;
    Ok(row.map(|row| row.get(0)))
}
