//! What each table is to be in the target, from the lake alone.

use std::collections::HashMap;
use std::fmt;

use arrow::datatypes::{DataType, Field};
use lake_postgres::{
    METADATA_BASE_TYPE, METADATA_NAME, METADATA_NO_COLUMNS, METADATA_NOT_NULL, METADATA_PRIMARY_KEY, METADATA_TYPE,
    postgres_type_for, quote_qualified,
};
use lake_storage::{RESULTS, Relation, SqlName};

use crate::loads::{LOADS_TABLE, Note};
use crate::selection::SelectedTable;
use crate::staging::is_staging_name;
use crate::{Error, Result, SchemaRule};

/// Postgres cuts a longer name off, and says so in a notice only.
pub(crate) const NAME_BYTES_MAX: usize = 63;

/// Where a file or a query's result goes under [`SchemaRule::PerSource`].
const DEFAULT_SCHEMA: &str = "public";

/// `MaxHeapAttributeNumber`.
const COLUMNS_MAX: usize = 1600;

/// A table of the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl TargetTable {
    /// The name for a statement.
    pub(crate) fn quoted(&self) -> String {
        quote_qualified(&self.schema, &self.name)
    }
}

impl fmt::Display for TargetTable {
    /// The name for a person, quoted where it has to be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", SqlName(&self.schema), SqlName(&self.name))
    }
}

/// A table of the lake's day and what it is to be in the target.
#[derive(Debug)]
pub(crate) struct TablePlan {
    pub(crate) table: SelectedTable,
    pub(crate) target: TargetTable,
    pub(crate) columns: Vec<ColumnPlan>,
    /// What the load is to note of its columns.
    pub(crate) note: Note,
}

/// A column of the lake and what it is to be in the target.
#[derive(Debug)]
pub(crate) struct ColumnPlan {
    /// Its name in the target.
    pub(crate) name: String,
    pub(crate) name_in_lake: String,
    /// The name that it has in its source, where that is another than in the lake.
    pub(crate) name_in_source: Option<String>,
    /// Its type in the lake.
    pub(crate) data_type: DataType,
    /// Its type as `format_type` prints it.
    pub(crate) type_name: String,
    /// The type below that, if that is a domain.
    pub(crate) base_type: Option<String>,
    /// The type that it has in the target, which holds the values of `type_name`.
    pub(crate) target_type: String,
    /// The type that it had in its source, where the target lacks that.
    pub(crate) missing_type: Option<String>,
    pub(crate) not_null: bool,
    /// Its place in the primary key.
    pub(crate) primary_key: Option<u32>,
}

impl TablePlan {
    /// The table as messages call it.
    pub(crate) fn label(&self) -> String {
        self.table.label()
    }

    /// The columns of the primary key, in its order.
    pub(crate) fn primary_key(&self) -> Vec<&str> {
        let mut key: Vec<_> = self
            .columns
            .iter()
            .filter_map(|column| Some((column.primary_key?, column.name.as_str())))
            .collect();
        key.sort_unstable();
        key.into_iter().map(|(_, name)| name).collect()
    }
}

/// Plans all tables.
///
/// # Errors
/// [`Error::SameTarget`], [`Error::Name`], [`Error::NoPostgresType`], [`Error::TooManyColumns`].
pub(crate) fn plan(tables: Vec<SelectedTable>, rule: &SchemaRule) -> Result<Vec<TablePlan>> {
    let mut taken: HashMap<TargetTable, String> = HashMap::new();
    let mut plans = Vec::with_capacity(tables.len());
    for table in tables {
        let label = table.label();
        let target = target_of(&table.name, table.entry.relation.as_ref(), rule);
        check_name(&label, "schema", &target.schema)?;
        check_name(&label, "table", &target.name)?;
        if let Some(first) = taken.insert(target.clone(), label.clone()) {
            return Err(Error::SameTarget {
                target,
                first,
                second: label,
                mend: match rule {
                    SchemaRule::Fixed(_) => "give one of them another `name:` in the config",
                    SchemaRule::PerSource => {
                        "leave one of them out, or load into one `schema`, where the names of the lake hold"
                    }
                },
            });
        }
        let schema = table.entry.arrow_schema(&label)?;
        let from_postgres = table.source != RESULTS;
        let stands_for_none = |field: &Field| from_postgres && field.metadata().contains_key(METADATA_NO_COLUMNS);
        let columns: Vec<ColumnPlan> = schema
            .fields()
            .iter()
            .filter(|field| !stands_for_none(field))
            .map(|field| column(&label, field, from_postgres))
            .collect::<Result<_>>()?;
        if columns.len() > COLUMNS_MAX {
            return Err(Error::TooManyColumns {
                table: label,
                columns: columns.len(),
            });
        }
        plans.push(TablePlan {
            table,
            target,
            columns,
            note: Note::default(),
        });
    }
    Ok(plans)
}

/// Where a table goes, by its name in the lake and in its database.
pub(crate) fn target_of(name: &str, relation: Option<&Relation>, rule: &SchemaRule) -> TargetTable {
    let (schema, name) = match (rule, relation) {
        (SchemaRule::Fixed(schema), _) => (schema.as_str(), name),
        (SchemaRule::PerSource, Some(relation)) => (relation.schema.as_str(), relation.name.as_str()),
        (SchemaRule::PerSource, None) => (DEFAULT_SCHEMA, name),
    };
    TargetTable {
        schema: schema.into(),
        name: name.into(),
    }
}

/// A query's columns may still carry the metadata of the columns that they were computed from, which
/// says nothing of a sum's type or an outer join's NULLs.
fn column(label: &str, field: &Field, from_postgres: bool) -> Result<ColumnPlan> {
    check_name(label, "column", field.name())?;
    let metadata = |key| field.metadata().get(key).filter(|_| from_postgres);
    let type_name = match metadata(METADATA_TYPE) {
        Some(type_name) => type_name.clone(),
        None => match postgres_type_for(field.data_type()) {
            Some((type_name, _)) => type_name,
            None => {
                return Err(Error::NoPostgresType {
                    table: label.into(),
                    column: field.name().clone(),
                    data_type: field.data_type().to_string(),
                });
            }
        },
    };
    Ok(ColumnPlan {
        name: field.name().clone(),
        name_in_lake: field.name().clone(),
        name_in_source: metadata(METADATA_NAME).filter(|name| *name != field.name()).cloned(),
        data_type: field.data_type().clone(),
        target_type: type_name.clone(),
        type_name,
        base_type: metadata(METADATA_TYPE)
            .and_then(|_| metadata(METADATA_BASE_TYPE))
            .cloned(),
        missing_type: None,
        not_null: metadata(METADATA_NOT_NULL).is_some_and(|value| value == "true"),
        primary_key: metadata(METADATA_PRIMARY_KEY).and_then(|place| place.parse().ok()),
    })
}

fn check_name(label: &str, kind: &'static str, name: &str) -> Result<()> {
    let reason = if name.len() > NAME_BYTES_MAX {
        "it is longer than 63 bytes, where Postgres cuts names off"
    } else if is_staging_name(name) || (kind == "table" && name == LOADS_TABLE) {
        "lake keeps the name for itself: leave the table out, or give it another `name:` and load into one `schema`"
    } else {
        return Ok(());
    };
    Err(Error::Name {
        table: label.into(),
        kind,
        name: name.into(),
        reason,
    })
}
