//! Labels that the target's enums lack.
//!
//! Enums travel as text and become labels as they are inserted. A label that was added at the source since the target's type
//! was made is added to it beforehand, at its end, in a transaction of its own: the server takes a new label into a
//! table only once it is committed.

use std::collections::{BTreeMap, BTreeSet};

use lake_postgres::{Connection, Error as PgError, quote_identifier, quote_literal, quote_qualified};

use crate::plan::TablePlan;
use crate::staging::Staging;
use crate::{Error, Result, Target, TargetTable};

/// The enums that columns are of, or arrays and domains of them.
const FIND: &str = "\
    with recursive below(place, name, oid, many) as ( \
        select w.place, w.name, to_regtype(w.type)::oid, false from unnest($1::int[], $2::text[], $3::text[]) as w(place, name, type) \
        union all \
        select b.place, b.name, case t.typtype when 'd' then t.typbasetype else t.typelem end, b.many or t.typtype <> 'd' \
        from below b join pg_type t on t.oid = b.oid \
        where t.typtype = 'd' or t.typoutput = 'array_out'::regproc and t.typelem <> 0) \
    select b.place, b.name, b.many, t.oid, n.nspname::text, t.typname::text, pg_has_role(t.typowner, 'usage') \
    from below b join pg_type t on t.oid = b.oid and t.typtype = 'e' join pg_namespace n on n.oid = t.typnamespace";

/// An enum of the target; a type is named as a table is.
type Labels = BTreeMap<(TargetTable, bool), BTreeSet<String>>;

/// Adds the labels that the staged rows have and the target's enums do not.
///
/// # Errors
/// [`Error::Labels`] if it is not for the role to do.
pub(crate) async fn add_missing(
    connection: &Connection,
    target: &Target,
    application_name: &str,
    plans: &[TablePlan],
    stagings: &[Staging],
) -> Result<()> {
    let missing = missing(connection, plans, stagings).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let statements = |quoted: bool| -> Vec<String> {
        let of_type = |((name, _), labels): (&(TargetTable, bool), &BTreeSet<String>)| {
            let name = match quoted {
                true => quote_qualified(&name.schema, &name.name),
                false => name.to_string(),
            };
            let add = |label: &String| format!("alter type {name} add value if not exists {};", quote_literal(label));
            labels.iter().map(add).collect::<Vec<_>>()
        };
        missing.iter().flat_map(of_type).collect()
    };
    let by_hand = |reason: String| Error::Labels {
        reason,
        statements: statements(false),
    };
    if let Some(((name, _), _)) = missing.iter().find(|((_, owned), _)| !owned) {
        return Err(by_hand(format!("the role does not own the type {name}")));
    }
    let added = async {
        let mut idle = Connection::open(&target.url, application_name, target.timeouts).await?;
        idle.batch_execute(&statements(true).concat(), "add the labels").await
    };
    match added.await {
        Ok(()) => {
            for ((name, _), labels) in &missing {
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                tracing::warn!(
                    "the target's enum {name} lacked labels that rows of the day have, and has them at its end now: {}",
                    labels.join(", ")
                );
            }
            Ok(())
        }
        Err(PgError::Query { source, .. }) => Err(by_hand(
            source
                .as_db_error()
                .map_or_else(|| source.to_string(), |server| server.message().to_owned()),
        )),
        Err(error) => Err(by_hand(error.to_string())),
    }
}

/// The missing labels by type, and whether the role owns it.
async fn missing(connection: &Connection, plans: &[TablePlan], stagings: &[Staging]) -> Result<Labels> {
    let (mut places, mut names, mut types) = (Vec::new(), Vec::new(), Vec::new());
    for (place, plan) in plans.iter().enumerate() {
        for column in &plan.columns {
            places.push(place as i32);
            names.push(column.name.as_str());
            types.push(column.target_type.as_str());
        }
    }
    let enums = connection.query(FIND, &[&places, &names, &types]).await;
    let enums = enums.map_err(PgError::query("look for the target's enums"))?;
    let mut missing = Labels::new();
    for row in &enums {
        let staging = stagings[row.get::<_, i32>(0) as usize].table.quoted();
        let (column, many, oid) = (
            quote_identifier(row.get(1)),
            row.get::<_, bool>(2),
            row.get::<_, u32>(3),
        );
        let label = match many {
            true => format!("unnest({column}::text[])"),
            false => format!("{column}::text"),
        };
        let sql = format!(
            "select distinct label from (select {label} as label from {staging}) staged \
             where label not in (select enumlabel::text from pg_enum where enumtypid = {oid})"
        );
        let labels = connection.query(&sql, &[]).await;
        let labels = labels.map_err(PgError::query("look for labels that the target's enums lack"))?;
        if !labels.is_empty() {
            let name = TargetTable {
                schema: row.get(4),
                name: row.get(5),
            };
            let of_type = missing.entry((name, row.get(6))).or_default();
            of_type.extend(labels.iter().map(|row| row.get::<_, String>(0)));
        }
    }
    Ok(missing)
}
