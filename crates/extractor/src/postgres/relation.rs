//! The tables of a database and how each is read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use lake_postgres::{
    CatalogColumn, ColumnCodec, Connection, METADATA_BASE_TYPE, METADATA_NOT_NULL, METADATA_PRIMARY_KEY, METADATA_TYPE,
    TypeCatalog, quote_identifier, quote_qualified,
};
use lake_storage::{Relation, SqlName, encode_segment, yaml};
use tokio_postgres::Client;

use super::{ColumnAs, PostgresSource, TablePattern, TableSettings};
use crate::error::nearest;
use crate::{Error, Result};

/// A relation as the catalogue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) relation: Relation,
    kind: Kind,
    /// Whether its pages can be addressed by ctid.
    heap: bool,
    /// Whether `lock table` takes it: foreign tables and materialised views are locked as they are read.
    pub(super) lockable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Table,
    Partitioned,
    /// A leaf or branch of a partitioned table, read through its root.
    Partition,
    /// A view, materialised view or foreign table: read where it is named.
    OnRequest,
}

/// A table that is to be read, and how.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) relation: Relation,
    pub(super) schema: SchemaRef,
    pub(super) codecs: Vec<ColumnCodec>,
    /// What follows `select`.
    pub(super) select: String,
    /// What follows `from`.
    pub(super) from: String,
    pub(super) bytes: u64,
    pub(super) heap: bool,
}

/// Lists the relations that a source's patterns select, in the order of their names.
pub(super) async fn list(client: &Client, source: &PostgresSource) -> Result<Vec<Listed>> {
    let rows = client
        .query(
            "select c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relispartition,
                    c.relkind in ('r', 'm') and coalesce(am.amname = 'heap', false)
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
                _ => Kind::OnRequest,
            },
            heap: row.get(5),
            lockable: matches!(row.get(3), "r" | "p" | "v"),
        })
        .collect();
    select(all, &source.tables)
}

/// The bytes of relations' heaps, of all leaves if one is partitioned, by their OIDs.
///
/// To be asked for relations that are locked: the size of another waits for whoever has locked it.
async fn sizes(connection: &Connection, oids: &[u32]) -> Result<HashMap<u32, u64>> {
    const STATEMENT: &str = "\
        select c.oid, case c.relkind
                   when 'p' then (select coalesce(sum(pg_catalog.pg_relation_size(t.relid)), 0)::bigint
                                  from pg_catalog.pg_partition_tree(c.oid) t where t.isleaf)
                   else pg_catalog.pg_relation_size(c.oid) end
        from pg_catalog.pg_class c where c.oid = any($1) and c.relkind in ('r', 'p', 'm')";
    let rows = connection
        .watch_locks(
            STATEMENT,
            "read the tables' sizes",
            connection.query(STATEMENT, &[&oids]),
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), row.get::<_, Option<i64>>(1).unwrap_or_default() as u64))
        .collect())
}

fn select(all: Vec<Listed>, patterns: &[TablePattern]) -> Result<Vec<Listed>> {
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
    Ok(all
        .into_iter()
        .filter(|listed| {
            let wanted = included.is_empty() || included.iter().any(|p| p.matches(&listed.relation));
            let ordinary = matches!(listed.kind, Kind::Table | Kind::Partitioned);
            let left_out = patterns.iter().any(|p| p.excludes() && p.matches(&listed.relation));
            wanted && !left_out && (ordinary || named(listed))
        })
        .collect())
}

/// The tables' names in the lake: as the config says, else plain for the schema `public` or the only
/// one, else qualified.
pub(super) fn name_all(listed: &[Listed], settings: &[(TablePattern, TableSettings)]) -> Vec<String> {
    let one_schema = listed.iter().all(|l| l.relation.schema == listed[0].relation.schema);
    let name = |Listed { relation, .. }: &Listed| {
        let set = TablePattern::find(settings, relation).and_then(|settings| settings.name.clone());
        set.unwrap_or_else(|| match one_schema || relation.schema == "public" {
            true => relation.name.clone(),
            false => format!("{}__{}", relation.schema, relation.name),
        })
    };
    listed.iter().map(name).collect()
}

/// Keeps the tables that the request asks for, by their name in the lake or as SQL writes them; in
/// quotes the latter comes first.
///
/// # Errors
/// [`Error::NoMatch`]; [`Error::Name`] if one of them has another table's name, or one that no folder
/// can bear.
pub(super) fn requested(
    listed: Vec<Listed>,
    names: Vec<String>,
    wanted_tables: &[String],
) -> Result<Vec<(String, Listed)>> {
    let mut wanted = vec![wanted_tables.is_empty(); listed.len()];
    for text in wanted_tables {
        let pattern = text.parse::<TablePattern>().ok();
        let by_pattern = |i: usize| pattern.as_ref().is_some_and(|p| p.matches(&listed[i].relation));
        let by_name = |i: usize| names[i] == *text;
        let sql_first = text.contains('"') && (0..listed.len()).any(by_pattern);
        let mut found = false;
        for (i, wanted) in wanted.iter_mut().enumerate() {
            if by_pattern(i) || (!sql_first && by_name(i)) {
                *wanted = true;
                found = true;
            }
        }
        if !found {
            let relations: Vec<String> = listed.iter().map(|listed| listed.relation.to_string()).collect();
            return Err(Error::NoMatch {
                what: text.clone(),
                nearest: nearest(text, names.iter().chain(&relations).map(String::as_str)),
            });
        }
    }
    let mut tables: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, name) in names.iter().enumerate() {
        tables.entry(name).or_default().push(i);
    }
    for (i, name) in names.iter().enumerate().filter(|(i, _)| wanted[*i]) {
        let table = &listed[i].relation;
        let reason = match tables[name.as_str()].iter().find(|other| **other != i) {
            Some(&other) => format!("{} would have this name too", listed[other].relation),
            None if encode_segment(name).is_err() => "its folder's name would be longer than 255 bytes".into(),
            None => continue,
        };
        return Err(Error::Name {
            table: table.to_string(),
            name: SqlName(name).to_string(),
            reason,
            mend: format!(
                "{}: {{name: {}}}",
                yaml(&table.to_string()),
                yaml(&free_name(table, &tables))
            ),
        });
    }
    Ok(names
        .into_iter()
        .zip(listed)
        .zip(wanted)
        .filter_map(|(table, wanted)| wanted.then_some(table))
        .collect())
}

/// Resolves the tables' columns: what is selected, how it travels, what it becomes.
pub(super) async fn resolve(
    connection: &Connection,
    selected: Vec<(String, Listed)>,
    settings: &[(TablePattern, TableSettings)],
) -> Result<Vec<Table>> {
    let oids: Vec<u32> = selected.iter().map(|(_, listed)| listed.relation.oid).collect();
    let mut columns: BTreeMap<u32, Vec<CatalogColumn>> = lake_postgres::columns(connection, &oids).await?;
    let types = TypeCatalog::of_relations(connection, &oids).await?;
    let sizes = sizes(connection, &oids).await?;
    selected
        .into_iter()
        .map(|(name, listed)| {
            let columns = columns.remove(&listed.relation.oid).unwrap_or_default();
            let settings = TablePattern::find(settings, &listed.relation);
            let bytes = sizes.get(&listed.relation.oid).copied().unwrap_or_default();
            table(name, listed, bytes, &columns, &types, settings)
        })
        .collect()
}

/// A name that no other table has, and that a folder can bear: that of the table alone is 63 bytes at
/// the most.
fn free_name(relation: &Relation, taken: &HashMap<&str, Vec<usize>>) -> String {
    let qualified = format!("{}__{}", relation.schema, relation.name);
    let numbered = (2..).map(|number| format!("{}_{number}", relation.name));
    [relation.name.clone(), qualified]
        .into_iter()
        .chain(numbered)
        .find(|name| !taken.contains_key(name.as_str()) && encode_segment(name).is_ok())
        .unwrap_or_default() // the numbers never end
}

fn table(
    name: String,
    listed: Listed,
    bytes: u64,
    columns: &[CatalogColumn],
    types: &TypeCatalog,
    settings: Option<&TableSettings>,
) -> Result<Table> {
    let none = TableSettings::default();
    let settings = settings.unwrap_or(&none);
    let name_in_lake = |column: &'_ str| {
        settings
            .rename
            .get(column)
            .cloned()
            .unwrap_or_else(|| column.to_owned())
    };
    let has = |name: &String| columns.iter().any(|c| c.name == *name);
    let has_in_lake = |name: &String| columns.iter().any(|c| name_in_lake(&c.name) == *name);
    let of_source = settings.exclude.iter().chain(settings.rename.keys());
    for (column, is_there) in of_source.map(|name| (name, has(name))).chain(
        settings
            .columns
            .keys()
            .map(|name| (name, has(name) || has_in_lake(name))),
    ) {
        if !is_there {
            return Err(Error::NoSuchColumn {
                table: listed.relation.to_string(),
                column: column.clone(),
            });
        }
    }
    let mut fields = Vec::with_capacity(columns.len());
    let mut codecs = Vec::with_capacity(columns.len());
    let mut select = Vec::with_capacity(columns.len());
    for column in columns.iter().filter(|c| !settings.exclude.contains(&c.name)) {
        let quoted = quote_identifier(&column.name);
        let lake_name = name_in_lake(&column.name);
        let carried_as = settings.columns.get(&column.name).or(settings.columns.get(&lake_name));
        let (sql, mut codec) = types.select(
            &quoted,
            column.type_oid,
            column.type_modifier,
            carried_as == Some(&ColumnAs::Text),
        );
        let mut select_sql = sql;
        if let Some(&ColumnAs::Decimal { precision, scale }) = carried_as {
            // The bytes of a bigint would make a numeric too: another one.
            if !types.is_numeric(column.type_oid) {
                return Err(Error::NotNumeric {
                    table: name,
                    column: column.name.clone(),
                    type_name: column.type_name.clone(),
                });
            }
            // Sent as it is: the decoder refuses digits that the decimal can't hold.
            select_sql = quoted;
            codec = ColumnCodec::Numeric { precision, scale };
        }
        // A column whose values travel natively comes back as what it was, also from text; one whose
        // type the target may lack is text from here on.
        let native = types.native_codec(column.type_oid, column.type_modifier).is_some();
        let mut metadata = HashMap::new();
        if carried_as == Some(&ColumnAs::Text) && !native {
            metadata.insert(METADATA_TYPE.to_owned(), "text".to_owned());
        } else {
            metadata.insert(METADATA_TYPE.into(), column.type_name.clone());
            if let Some(base) = types.base_name(column.type_oid) {
                metadata.insert(METADATA_BASE_TYPE.into(), base);
            }
        }
        if column.not_null {
            metadata.insert(METADATA_NOT_NULL.into(), "true".into());
        }
        if let Some(place) = column.primary_key {
            metadata.insert(METADATA_PRIMARY_KEY.into(), place.to_string());
        }
        // Nullable whatever the source says: a day may lack a column that other days have.
        fields.push(Field::new(lake_name, codec.data_type(), true).with_metadata(metadata));
        codecs.push(codec);
        select.push(select_sql);
    }
    let relation = quote_qualified(&listed.relation.schema, &listed.relation.name);
    Ok(Table {
        name,
        from: match listed.kind {
            // An inheritance parent without its children: they are tables of their own.
            Kind::Table => format!("only {relation}"),
            _ => relation,
        },
        relation: listed.relation,
        schema: Arc::new(Schema::new(fields)),
        codecs,
        select: select.join(", "),
        bytes,
        heap: listed.heap,
    })
}
