//! Staging tables: beside the target's, in the types in which the values can be sent.
//!
//! Each is made with the columns' own types, so that the server says what these are; the columns
//! that binary COPY can't fill are then turned into text, and cast when they leave (see
//! `text_cast`). Where other connections fill them too, they are committed, and a load that dies leaves
//! them to the next.
//!
//! They are unlogged, and their rows are inserted into the target's tables in the end. Only where the
//! target has no such table yet, a large one is filled as what it is going to be, and renamed.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;
use lake_postgres::{
    CatalogColumn, ColumnCodec, Connection, TypeCatalog, postgres_type_for, quote_identifier, quote_literal,
    under_role_path,
};
use lake_storage::RunId;

use crate::declared_type::is_text;
use crate::existing::{self, Existing};
use crate::plan::{ColumnPlan, NAME_BYTES_MAX, TablePlan};
use crate::text_cast::TextCasts;
use crate::{Error, Result, TargetTable};

/// Tables, and schemas, of ours are called so, and on by the run that made them: no load takes, or
/// drops, a table that is only called nearly so.
const STAGING_PREFIX: &str = "_lake_staging_";
const STAGING_PATTERN: &str = "^_lake_staging_[0-9]{8}T[0-9]{6}-[0-9a-f]{4}_";

/// Whether a name is like those of staging tables.
pub(crate) fn is_staging_name(name: &str) -> bool {
    const RUN: &str = "00000000T000000-0000_";
    let Some(run) = name.strip_prefix(STAGING_PREFIX) else {
        return false;
    };
    let is_like = |(c, like): (u8, u8)| match like {
        b'0' => c.is_ascii_hexdigit(),
        _ => c == like,
    };
    run.len() >= RUN.len() && run.bytes().zip(RUN.bytes()).all(is_like)
}

/// Below this many rows, a second write costs less than a table that is renamed.
const RENAMED_ROWS_MIN: u64 = 10_000;

/// Where a table's rows wait.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) table: TargetTable,
    /// In the order of the plan's columns.
    pub(crate) columns: Vec<StagedColumn>,
    /// Whether it only has to be renamed to be the target's table.
    pub(crate) becomes_target: bool,
}

/// A column of a staging table.
#[derive(Debug)]
pub(crate) struct StagedColumn {
    /// How its values are sent.
    pub(crate) codec: ColumnCodec,
    /// The value in the type that the column has in the target.
    pub(crate) expression: String,
}

/// Schemas for the staging tables of target schemas that are yet to be created, by these.
pub(crate) type Substitutes = BTreeMap<String, String>;

pub(crate) fn substitutes(schemas: &[&str], present: &BTreeSet<String>, run: &RunId) -> Substitutes {
    let missing = schemas.iter().filter(|schema| !present.contains(**schema));
    let named = missing
        .enumerate()
        .map(|(place, schema)| ((*schema).to_owned(), staging_name(run, place, schema)));
    named.collect()
}

/// The name of the table or schema at `place` that stands for another; the run keeps it from being
/// another load's.
fn staging_name(run: &RunId, place: usize, name: &str) -> String {
    let mut name = format!("{STAGING_PREFIX}{run}_{place}_{name}");
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name
}

/// The comment of a schema that stands in for another: the name may be cut off.
fn comment(schema: &str) -> String {
    format!("staging of {schema}")
}

/// Drops what a killed load left, and returns how many tables. The schemas' locks are held: nobody uses
/// them.
pub(crate) async fn drop_leftovers(connection: &Connection, schemas: &[&str]) -> Result<usize> {
    let look_error = || lake_postgres::Error::query("look for the staging tables of a killed load");
    let tables = connection
        .query(
            "select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = any($1::text[]) and c.relname ~ $2 and c.relkind = 'r'",
            &[&schemas, &STAGING_PATTERN],
        )
        .await
        .map_err(look_error())?;
    let comments: Vec<String> = schemas.iter().map(|schema| comment(schema)).collect();
    let substitutes = connection
        .query(
            "select nspname::text from pg_namespace \
             where nspname ~ $2 and obj_description(oid, 'pg_namespace') = any($1::text[])",
            &[&comments, &STAGING_PATTERN],
        )
        .await
        .map_err(look_error())?;
    if tables.is_empty() && substitutes.is_empty() {
        return Ok(0);
    }
    let tables: Vec<TargetTable> = tables
        .iter()
        .map(|row| TargetTable {
            schema: row.get(0),
            name: row.get(1),
        })
        .collect();
    let substitutes: Vec<String> = substitutes.iter().map(|row| row.get(0)).collect();
    drop_all(connection, tables.iter(), substitutes.iter()).await?;
    Ok(tables.len())
}

/// Drops staging tables, and the schemas that stood in for target schemas.
pub(crate) async fn drop_all(
    connection: &Connection,
    tables: impl Iterator<Item = &TargetTable>,
    schemas: impl Iterator<Item = &String>,
) -> Result<()> {
    let tables = tables.map(|table| format!("drop table if exists {};", table.quoted()));
    let schemas = schemas.map(|schema| format!("drop schema if exists {} cascade;", quote_identifier(schema)));
    let statements: String = tables.chain(schemas).collect();
    let dropped = connection.batch_execute(&under_role_path(&statements)).await;
    Ok(dropped.map_err(lake_postgres::Error::query("drop the staging tables"))?)
}

/// The staging table of the plan at `place`: beside the target's, if its schema is there.
pub(crate) fn name(plan: &TablePlan, place: usize, run: &RunId, substitutes: &Substitutes) -> TargetTable {
    let TargetTable { schema, name } = &plan.target;
    TargetTable {
        schema: substitutes.get(schema).unwrap_or(schema).clone(),
        name: staging_name(run, place, name),
    }
}

/// Creates the staging tables of all plans.
///
/// # Errors
/// [`Error::Unsendable`] for a column whose metadata and Arrow type do not go together.
pub(crate) async fn create(
    connection: &Connection,
    plans: &[TablePlan],
    existing: &[Option<Existing>],
    names: Vec<TargetTable>,
    substitutes: &Substitutes,
) -> Result<Vec<Staging>> {
    let mut statements = String::new();
    for (schema, substitute) in substitutes {
        let (quoted, comment) = (quote_identifier(substitute), quote_literal(&comment(schema)));
        statements += &format!("create schema {quoted}; comment on schema {quoted} is {comment};");
    }
    for (plan, name) in plans.iter().zip(&names) {
        let columns: Vec<String> = plan
            .columns
            .iter()
            .map(|column| format!("{} {}", quote_identifier(&column.name), column.type_name))
            .collect();
        statements += &format!(
            "create unlogged table {} ({}) with (autovacuum_enabled = false);",
            name.quoted(),
            columns.join(", ")
        );
    }
    let create_error = || lake_postgres::Error::query("create the staging tables");
    let statements = under_role_path(&statements);
    connection.batch_execute(&statements).await.map_err(create_error())?;

    let tables = existing::find(connection, &names.iter().collect::<Vec<_>>()).await?;
    let tables: Vec<Existing> = tables.into_iter().flatten().collect();
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let catalog = TypeCatalog::of_relations(connection, &oids).await?;

    let mut carried = Vec::new();
    let mut as_text = BTreeSet::new();
    let mut alterations = String::new();
    let mut becomes_target = Vec::with_capacity(plans.len());
    for (((plan, name), table), target) in plans.iter().zip(&names).zip(&tables).zip(existing) {
        let mut codecs = Vec::with_capacity(plan.columns.len());
        let mut altered = Vec::new();
        for (column, made) in plan.columns.iter().zip(&table.columns) {
            let codec = native_codec(&catalog, &column.data_type, made);
            if codec.is_none() {
                if column.data_type != DataType::Utf8 {
                    return Err(Error::Unsendable {
                        table: plan.label(),
                        column: column.name.clone(),
                        data_type: column.data_type.to_string(),
                        type_name: column.type_name.clone(),
                    });
                }
                as_text.insert(made.type_oid);
                altered.push(format!(
                    "alter column {} type text using null",
                    quote_identifier(&column.name)
                ));
            }
            codecs.push(codec);
        }
        let is_final = target.is_none() && altered.is_empty() && plan.table.entry.rows >= RENAMED_ROWS_MIN;
        if is_final {
            altered.push("set logged".into());
            let not_null = plan.columns.iter().filter(|column| column.not_null);
            altered.extend(not_null.map(|c| format!("alter column {} set not null", quote_identifier(&c.name))));
        }
        becomes_target.push(is_final);
        if !altered.is_empty() {
            alterations += &format!("alter table {} {};", name.quoted(), altered.join(", "));
        }
        carried.push(codecs);
    }
    let alterations = under_role_path(&alterations);
    connection.batch_execute(&alterations).await.map_err(create_error())?;
    let casts = TextCasts::load(connection, &as_text.into_iter().collect::<Vec<_>>()).await?;

    Ok(plans
        .iter()
        .zip(names)
        .zip(tables)
        .zip(carried)
        .zip(becomes_target)
        .map(|((((plan, table), made), codecs), becomes_target)| {
            let columns = plan.columns.iter().zip(&made.columns).zip(codecs);
            let columns = columns
                .map(|((column, made), codec)| staged_column(&catalog, &casts, column, made, codec))
                .collect();
            Staging {
                table,
                columns,
                becomes_target,
            }
        })
        .collect())
}

fn staged_column(
    catalog: &TypeCatalog,
    casts: &TextCasts,
    column: &ColumnPlan,
    made: &CatalogColumn,
    codec: Option<ColumnCodec>,
) -> StagedColumn {
    let quoted = quote_identifier(&column.name);
    let keeps_type = column.target_type == column.type_name;
    let (codec, expression) = match codec {
        Some(codec) if keeps_type => (codec, quoted),
        Some(codec) if is_text(&column.target_type) => {
            let trimmed = catalog.without_padding(&quoted, made.type_oid, made.type_modifier);
            let text = trimmed.map(|(trimmed, _)| format!("({trimmed})::pg_catalog.text"));
            (codec, text.unwrap_or_else(|| catalog.as_text(&quoted, made.type_oid)))
        }
        Some(codec) => (codec, quoted),
        None if !keeps_type && is_text(&column.target_type) => (ColumnCodec::Text, quoted),
        None => {
            let own = casts.expression(&quoted, made.type_oid, &made.type_name);
            (ColumnCodec::Text, own)
        }
    };
    let expression = if keeps_type || is_text(&column.target_type) {
        expression
    } else {
        format!("({expression})::{}", column.target_type)
    };
    StagedColumn { codec, expression }
}

/// How values of an Arrow type are sent to a column of the server as they are; `None` if they can't.
pub(crate) fn native_codec(catalog: &TypeCatalog, data_type: &DataType, column: &CatalogColumn) -> Option<ColumnCodec> {
    let (oid, modifier) = (column.type_oid, column.type_modifier);
    // The column's own codec first: `oid` and `bigint` are both Int64, `money` is a decimal too.
    let own = catalog
        .native_codec(oid, modifier)
        .filter(|codec| same_values(&codec.data_type(), data_type));
    let codec = own.or_else(|| Some(postgres_type_for(data_type)?.1))?;
    catalog.accepts(oid, modifier, &codec).then_some(codec)
}

/// Equal but for the names and the nullability of list items.
pub(crate) fn same_values(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::List(a), DataType::List(b)) => same_values(a.data_type(), b.data_type()),
        (DataType::Timestamp(a_unit, a_zone), DataType::Timestamp(b_unit, b_zone)) => {
            a_unit == b_unit && a_zone.is_some() == b_zone.is_some()
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_run_are_ours() {
        let run = RunId::new();
        let long = staging_name(&run, 1, &"日".repeat(21));
        assert!(long.len() <= NAME_BYTES_MAX && is_staging_name(&long), "{long}");
        for theirs in [
            "_lake_staging_",
            "_lake_staging_x",
            "_lake_staging_20260131T000000",
            "lake",
        ] {
            assert!(!is_staging_name(theirs), "{theirs}");
        }
    }
}
