//! How each table is read: its columns, what they become, its size.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lake_postgres::{
    CatalogColumn, ColumnCodec, Connection, METADATA_BASE_TYPE, METADATA_NAME, METADATA_NO_COLUMNS, METADATA_NOT_NULL,
    METADATA_PRIMARY_KEY, METADATA_TYPE, TypeCatalog, quote_identifier, quote_qualified,
};
use lake_storage::Relation;

use super::list::{Kind, Listed};
use super::{ColumnAs, TablePattern, TableSettings};
use crate::{Error, Result};

/// A table that is to be read, and how.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) relation: Relation,
    pub(super) schema: SchemaRef,
    pub(super) codecs: Vec<ColumnCodec>,
    /// Each column, as `select` gives it.
    pub(super) select: Vec<String>,
    /// The text of the columns that are lists, by their places.
    list_text: BTreeMap<usize, String>,
    /// What follows `from`.
    pub(super) from: String,
    /// What follows `where`, if anything does.
    pub(super) condition: Option<String>,
    pub(super) kind: Kind,
    /// Whether functions of others run as it is read, which may need the role's own search path.
    pub(super) as_role: bool,
    pub(super) bytes: u64,
    /// Those of the largest heap that it is read from: all, if none inherits from it.
    pub(super) heap_bytes: u64,
    /// Whether its pages can be addressed by ctid.
    pub(super) heap: bool,
}

impl Table {
    /// Whether it has, or may come to have, partitions.
    pub(super) fn is_partitioned(&self) -> bool {
        matches!(self.kind, Kind::Partitioned | Kind::Partition)
    }

    /// Leaves out the rows of other tables than these, whatever becomes attached to it.
    pub(super) fn read_members_only<'a>(&mut self, oids: impl Iterator<Item = &'a u32>) {
        self.condition = Some(of_tables(oids));
    }

    /// The columns that are lists.
    pub(super) fn lists(&self) -> Vec<usize> {
        self.list_text.keys().copied().collect()
    }

    /// Carries a list as the server's text from here on.
    pub(super) fn carry_list_as_text(&mut self, column: usize) {
        if let Some(text) = self.list_text.remove(&column) {
            self.select[column] = text;
            self.codecs[column] = ColumnCodec::Text;
            let mut fields = self.schema.fields().to_vec();
            fields[column] = Arc::new(Field::clone(&fields[column]).with_data_type(DataType::Utf8));
            self.schema = Arc::new(Schema::new(fields));
        }
    }
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

/// Resolves the tables' columns: what is selected, how it travels, what it becomes.
pub(super) async fn resolve(
    connection: &Connection,
    selected: Vec<(String, Listed)>,
    by_column: &HashSet<u32>,
    settings: &[(TablePattern, TableSettings)],
) -> Result<Vec<Table>> {
    let oids: Vec<u32> = selected.iter().map(|(_, listed)| listed.relation.oid).collect();
    let mut columns: BTreeMap<u32, Vec<CatalogColumn>> = lake_postgres::columns(connection, &oids).await?;
    let types = TypeCatalog::of_relations(connection, &oids).await?;
    let heirs = selected.iter().flat_map(|(_, listed)| &listed.heirs);
    let with_heirs: Vec<u32> = oids.iter().chain(heirs).copied().collect();
    let sizes = sizes(connection, &with_heirs).await?;
    selected
        .into_iter()
        .map(|(name, mut listed)| {
            // The right to read columns does not extend to ctid.
            listed.heap &= !by_column.contains(&listed.relation.oid);
            let columns = columns.remove(&listed.relation.oid).unwrap_or_default();
            let settings = TablePattern::find(settings, &listed.relation);
            let size = |oid: &u32| sizes.get(oid).copied().unwrap_or_default();
            let heaps = listed.heirs.iter().chain([&listed.relation.oid]).map(size);
            let bytes = (heaps.clone().sum(), heaps.max().unwrap_or_default());
            table(name, listed, bytes, &columns, &types, settings)
        })
        .collect()
}

/// The lake's only column of a table that has none: it keeps the count of the rows.
const NO_COLUMNS: &str = "no_columns";

fn table(
    name: String,
    listed: Listed,
    (bytes, heap_bytes): (u64, u64),
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
    let mut list_text = BTreeMap::new();
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
            select_sql.clone_from(&quoted);
            codec = ColumnCodec::Numeric { precision, scale };
        }
        if matches!(codec, ColumnCodec::List { .. }) {
            list_text.insert(codecs.len(), types.as_text(&quoted, column.type_oid));
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
        // Neither holds for the rows of those that inherit from it.
        let is_constrained = listed.heirs.is_empty();
        if column.not_null && is_constrained {
            metadata.insert(METADATA_NOT_NULL.into(), "true".into());
        }
        if let Some(place) = column.primary_key.filter(|_| is_constrained) {
            metadata.insert(METADATA_PRIMARY_KEY.into(), place.to_string());
        }
        if lake_name != column.name {
            metadata.insert(METADATA_NAME.into(), column.name.clone());
        }
        // Nullable whatever the source says: a day may lack a column that other days have.
        fields.push(Field::new(lake_name, codec.data_type(), true).with_metadata(metadata));
        codecs.push(codec);
        select.push(select_sql);
    }
    if columns.is_empty() {
        let metadata = HashMap::from([(METADATA_NO_COLUMNS.into(), "true".into())]);
        fields.push(Field::new(NO_COLUMNS, DataType::Boolean, true).with_metadata(metadata));
        codecs.push(ColumnCodec::Bool);
        select.push("null::pg_catalog.bool".into());
    }
    let relation = quote_qualified(&listed.relation.schema, &listed.relation.name);
    // By name: one that is attached later is none of the snapshot, and those that are tables of their own
    // stay away.
    let heirs = (!listed.heirs.is_empty()).then(|| of_tables(listed.heirs.iter().chain([&listed.relation.oid])));
    Ok(Table {
        name,
        from: match listed.kind {
            Kind::Table | Kind::Foreign if heirs.is_none() => format!("only {relation}"),
            _ => relation,
        },
        condition: heirs,
        as_role: listed.kind == Kind::View && !columns.iter().any(|c| types.is_printed_by_path(c.type_oid)),
        kind: listed.kind,
        relation: listed.relation,
        schema: Arc::new(Schema::new(fields)),
        codecs,
        select,
        list_text,
        bytes,
        heap_bytes,
        heap: listed.heap,
    })
}

/// The condition that a row is stored in one of these tables.
fn of_tables<'a>(oids: impl Iterator<Item = &'a u32>) -> String {
    let oids: Vec<String> = oids.map(u32::to_string).collect();
    format!("tableoid = any ('{{{}}}'::pg_catalog.oid[])", oids.join(","))
}
