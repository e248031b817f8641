//! Our own table in each target schema: which day each table holds, for anyone to see, and which of
//! its columns are as loads have made them.

use std::collections::BTreeMap;

use lake_postgres::{Connection, quote_literal, under_role_path};

use crate::existing::Existing;
use crate::plan::TablePlan;
use crate::refusal::refused;
use crate::{Error, LoadRequest, Result, TargetTable};

/// A row a table, written in the transaction that puts the table in place.
pub(crate) const LOADS_TABLE: &str = "_lake_loads";

fn table(schema: &str) -> TargetTable {
    TargetTable {
        schema: schema.into(),
        name: LOADS_TABLE.into(),
    }
}

/// What is noted of a table's columns: those that loads have filled. With a type, the column had the
/// lake's own or was given it by a load, and follows the lake where it changes; any other type is its
/// owner's choice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    /// The source of its rows.
    pub(crate) source: String,
    columns: BTreeMap<String, Option<String>>,
}

impl Note {
    /// Whether a load has filled the column.
    pub(crate) fn knows(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// Whether the column's type is still what a load has left there.
    pub(crate) fn is_ours(&self, column: &str, type_name: &str) -> bool {
        self.columns
            .get(column)
            .is_some_and(|noted| noted.as_deref() == Some(type_name))
    }

    /// What is to be noted of a table whose columns are settled.
    pub(crate) fn after(&self, plan: &TablePlan, existing: Option<&Existing>) -> Self {
        let has = |name: &str| existing.and_then(|existing| existing.column(name));
        let gone = self.columns.iter().filter(|(name, _)| has(name).is_some());
        let mut columns: BTreeMap<_, _> = gone.map(|(name, noted)| (name.clone(), noted.clone())).collect();
        for column in &plan.columns {
            let is_ours = has(&column.name).is_none_or(|has| {
                has.type_name != column.target_type
                    || has.type_name == column.type_name
                    || self.is_ours(&column.name, &has.type_name)
            });
            columns.insert(column.name.clone(), is_ours.then(|| column.target_type.clone()));
        }
        Self {
            source: plan.table.source.clone(),
            columns,
        }
    }

    /// An expression of type `jsonb`.
    fn expression(&self) -> String {
        let names: Vec<String> = self.columns.keys().map(|name| quote_literal(name)).collect();
        let types = self.columns.values().map(|noted| match noted {
            Some(type_name) => quote_literal(type_name),
            None => "null".into(),
        });
        let types: Vec<String> = types.collect();
        format!(
            "pg_catalog.jsonb_object(array[{}]::text[], array[{}]::text[])",
            names.join(", "),
            types.join(", ")
        )
    }
}

/// The tables of which loads have noted anything.
pub(crate) type Notes = BTreeMap<TargetTable, Note>;

/// Reads what is noted in these schemas.
pub(crate) async fn read(connection: &Connection, schemas: &[&str]) -> Result<Notes> {
    let action = || lake_postgres::Error::query("read what the target's tables were loaded with");
    let there = connection
        .query(
            "select n.nspname::text, exists (select from pg_attribute \
                where attrelid = c.oid and attname = 'columns' and not attisdropped) \
             from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = any($1::text[]) and c.relname = $2",
            &[&schemas, &LOADS_TABLE],
        )
        .await
        .map_err(action())?;
    let mut notes = Notes::new();
    for row in &there {
        let (schema, has_columns): (String, bool) = (row.get(0), row.get(1));
        // Earlier versions have noted no columns.
        let columns = if has_columns { "l.columns" } else { "null" };
        let sql = format!(
            "select l.table_name::text, c.key, c.value, l.source \
             from {} l left join lateral jsonb_each_text({columns}) c on true",
            table(&schema).quoted()
        );
        for row in connection.query(&sql, &[]).await.map_err(action())? {
            let name = row.get(0);
            let schema = schema.clone();
            let note = notes.entry(TargetTable { schema, name }).or_default();
            note.source = row.get(3);
            if let Some(column) = row.get(1) {
                note.columns.insert(column, row.get(2));
            }
        }
    }
    Ok(notes)
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
                "({}, {}, '{}', {}, {}, pg_catalog.statement_timestamp(), {})",
                quote_literal(&plan.target.name),
                quote_literal(&plan.table.source),
                request.date,
                plan.table.entry.rows,
                quote_literal(&request.run.to_string()),
                plan.note.expression()
            )
        })
        .collect();
    let loads = table(schema);
    let name = loads.quoted();
    let create = format!(
        "create table if not exists {name} (table_name text primary key, source text not null, \
            day date not null, rows bigint not null, run text not null, loaded_at timestamptz not null, \
            columns jsonb)"
    );
    let insert = format!(
        "insert into {name} (table_name, source, day, rows, run, loaded_at, columns) values {} \
         on conflict (table_name) do update set source = excluded.source, day = excluded.day, \
            rows = excluded.rows, run = excluded.run, loaded_at = excluded.loaded_at, columns = excluded.columns",
        rows.join(", ")
    );
    const NOTE: &str = "the note of the day";
    let created = connection.batch_execute(&under_role_path(&create)).await;
    created.map_err(|source| refused(&loads, NOTE, source))?;
    let has_columns =
        "select exists (select from pg_attribute where attrelid = to_regclass($1) and attname = 'columns')";
    let has_columns = connection.query_one(has_columns, &[&name]).await;
    if !has_columns
        .map_err(|source| refused(&loads, NOTE, source))?
        .get::<_, bool>(0)
    {
        // Of an earlier version. Only then: it keeps the table's readers out, and is its owner's alone.
        let add = under_role_path(&format!("alter table {name} add column columns jsonb"));
        connection
            .batch_execute(&add)
            .await
            .map_err(|source| refused(&loads, NOTE, source))?;
    }
    let noted = async {
        let noted = connection.execute(&insert, &[]).await;
        noted.map_err(|source| refused(&loads, NOTE, source))
    };
    let noted = connection.as_role(noted).await?;
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
