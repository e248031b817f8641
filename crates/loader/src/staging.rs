//! Staging tables: beside the target's, in the types in which the values can be sent.
//!
//! Each is made with the columns' own types, so that the server says what these are; the columns
//! that binary COPY can't fill are then turned into text, and cast when they leave (see
//! `text_cast`). The tables are committed, for other connections to see; a load that dies leaves
//! them to the next.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use lake_postgres::{CatalogColumn, ColumnCodec, Connection, TypeCatalog, postgres_type_for, quote_identifier};
use lake_storage::RunId;

use crate::declared_type::is_text;
use crate::existing::{self, Existing};
use crate::plan::{ColumnPlan, NAME_BYTES_MAX, TablePlan};
use crate::text_cast::TextCasts;
use crate::{Error, Result, TargetTable};

/// Tables, and schemas, of this name are ours and belong to one load.
pub(crate) const STAGING_PREFIX: &str = "_lake_staging_";

/// Where a table's rows wait.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) table: TargetTable,
    /// In the order of the plan's columns.
    pub(crate) columns: Vec<StagedColumn>,
}

/// A column of a staging table.
#[derive(Debug)]
pub(crate) struct StagedColumn {
    /// How its values are sent.
    pub(crate) codec: ColumnCodec,
    /// The value in the type that the column has in the target.
    pub(crate) expression: String,
}

/// Where staging tables of a target schema are: there, or in a schema of their own while the target
/// schema is yet to be created.
pub(crate) fn staging_schema(target: &str, present: &BTreeSet<String>) -> String {
    if present.contains(target) {
        target.into()
    } else {
        substitute_schema(target)
    }
}

fn substitute_schema(target: &str) -> String {
    cut(format!("{STAGING_PREFIX}{target}"))
}

fn cut(mut name: String) -> String {
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name
}

/// Drops what a killed load left. The schemas' locks are held: nobody uses it.
pub(crate) async fn drop_leftovers(connection: &Connection, schemas: &[&str]) -> Result<()> {
    let rows = connection
        .query(
            "select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = any($1::text[]) and c.relname like '\\_lake\\_staging\\_%' \
                and c.relkind = 'r' and c.relpersistence = 'u'",
            &[&schemas],
        )
        .await
        .map_err(lake_postgres::Error::query(
            "look for the staging tables of a killed load",
        ))?;
    let substitutes: Vec<String> = schemas.iter().map(|schema| substitute_schema(schema)).collect();
    let substitutes: Vec<&str> = substitutes.iter().map(String::as_str).collect();
    let substitutes = existing::schemas(connection, &substitutes).await?;
    if rows.is_empty() && substitutes.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        tables = rows.len(),
        "dropping the staging tables of a load that was killed"
    );
    let tables: Vec<TargetTable> = rows
        .iter()
        .map(|row| TargetTable {
            schema: row.get(0),
            name: row.get(1),
        })
        .collect();
    drop_all(connection, tables.iter(), substitutes.iter()).await
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
    let dropped = connection.batch_execute(&statements).await;
    Ok(dropped.map_err(lake_postgres::Error::query("drop the staging tables"))?)
}

/// The name of the staging table of the plan at `place`; the run keeps it from being another load's.
pub(crate) fn name(plan: &TablePlan, place: usize, run: &RunId, present: &BTreeSet<String>) -> TargetTable {
    TargetTable {
        schema: staging_schema(&plan.target.schema, present),
        name: cut(format!("{STAGING_PREFIX}{place}_{run}_{}", plan.target.name)),
    }
}

/// Creates the staging tables of all plans, all or none.
///
/// # Errors
/// [`Error::Unsendable`] for a column whose metadata and Arrow type do not go together.
pub(crate) async fn create(
    connection: &Connection,
    plans: &[TablePlan],
    names: Vec<TargetTable>,
    present: &BTreeSet<String>,
) -> Result<Vec<Staging>> {
    let substitutes: BTreeSet<&str> = names
        .iter()
        .map(|name| name.schema.as_str())
        .filter(|schema| !present.contains(*schema))
        .collect();
    // One message of several statements is one transaction.
    let mut statements: String = substitutes
        .iter()
        .map(|schema| format!("create schema {};", quote_identifier(schema)))
        .collect();
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
    connection.batch_execute(&statements).await.map_err(create_error())?;

    let tables = existing::find(connection, &names.iter().collect::<Vec<_>>()).await?;
    let tables: Vec<Existing> = tables.into_iter().flatten().collect();
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let catalog = TypeCatalog::of_relations(connection, &oids).await?;

    let mut carried = Vec::new();
    let mut as_text = BTreeSet::new();
    let mut alterations = String::new();
    for ((plan, name), table) in plans.iter().zip(&names).zip(&tables) {
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
        if !altered.is_empty() {
            alterations += &format!("alter table {} {};", name.quoted(), altered.join(", "));
        }
        carried.push(codecs);
    }
    connection.batch_execute(&alterations).await.map_err(create_error())?;
    let casts = TextCasts::load(connection, &as_text.into_iter().collect::<Vec<_>>()).await?;

    Ok(plans
        .iter()
        .zip(names)
        .zip(tables)
        .zip(carried)
        .map(|(((plan, table), made), codecs)| {
            let columns = plan.columns.iter().zip(&made.columns).zip(codecs);
            let columns = columns
                .map(|((column, made), codec)| staged_column(&catalog, &casts, column, made, codec))
                .collect();
            Staging { table, columns }
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
        Some(codec) if is_text(&column.target_type) => (codec, catalog.as_text(&quoted, made.type_oid)),
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
fn same_values(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::List(a), DataType::List(b)) => same_values(a.data_type(), b.data_type()),
        (DataType::Timestamp(a_unit, a_zone), DataType::Timestamp(b_unit, b_zone)) => {
            a_unit == b_unit && a_zone.is_some() == b_zone.is_some()
        }
        _ => a == b,
    }
}
