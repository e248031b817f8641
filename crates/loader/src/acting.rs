//! What acts in the target when a load changes its rows: the owner's triggers and rules.
//!
//! A trigger may write anywhere, also into other tables of the load, so what a load has done is looked
//! at in the end (`outcome`). A rule puts other statements in the place of the load's: it is refused.

use std::fmt;

use lake_postgres::{Connection, quote_identifier};
use lake_storage::SqlName;
use tokio_postgres::Row;

use crate::{Error, Result, TargetTable};

/// The tables of these names, and with partitioned ones their partitions.
pub(crate) const TABLES: &str = "\
    with recursive tables(place, oid, kind, depth) as ( \
        select w.place, c.oid, c.relkind, 0 from unnest($1::text[]) with ordinality as w(name, place) \
        join pg_class c on c.oid = to_regclass(w.name) \
        union all \
        select t.place, c.oid, c.relkind, t.depth + 1 from tables t join pg_inherits i on i.inhparent = t.oid \
        join pg_class c on c.oid = i.inhrelid where t.kind = 'p')";

const TRIGGERS: &str = "\
    select t.place, n.nspname::text, c.relname::text, g.tgname::text, g.tgenabled::text, g.tgtype \
    from tables t join pg_trigger g on g.tgrelid = t.oid \
    join pg_class c on c.oid = t.oid join pg_namespace n on n.oid = c.relnamespace \
    where not g.tgisinternal order by t.depth, 1, 2, 3, 4";

/// Those of the replica role do nothing where the session is not in it.
const RULES: &str = "\
    select n.nspname::text, c.relname::text, r.rulename::text \
    from unnest($1::text[]) as w(name) join pg_class c on c.oid = to_regclass(w.name) \
    join pg_namespace n on n.oid = c.relnamespace join pg_rewrite r on r.ev_class = c.oid \
    where r.ev_type in ('2', '3', '4') and r.ev_enabled in ('A', \
        case current_setting('session_replication_role') when 'replica' then 'R' else 'O' end) \
    order by 1, 2, 3";

const NOT_OWNED: &str = "\
    select n.nspname::text, c.relname::text, pg_get_userbyid(c.relowner)::text, current_user::text \
    from unnest($1::text[]) as w(name) join pg_class c on c.oid = to_regclass(w.name) \
    join pg_namespace n on n.oid = c.relnamespace where not pg_has_role(c.relowner, 'usage') order by 1, 2";

/// A trigger that somebody has made on a table, or on a partition of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trigger {
    /// The place of the table among the names that were asked for.
    pub(crate) place: usize,
    table: TargetTable,
    name: String,
    /// `tgenabled`: O, R, A or D.
    enabled: String,
    /// The bits of `tgtype`.
    kind: i16,
}

impl Trigger {
    const ROW: i16 = 1;
    const BEFORE: i16 = 1 << 1;
    const INSERT: i16 = 1 << 2;
    const DELETE: i16 = 1 << 3;

    /// Whether a deletion or an insertion may make it run. One for updates alone runs when another
    /// trigger updates the table, which the server's counts of rows tell.
    pub(crate) fn acts(&self) -> bool {
        self.enabled != "D" && self.kind & (Self::INSERT | Self::DELETE) != 0
    }

    /// Whether it may change a row on its way in, or keep one from coming or going, unseen by any count.
    pub(crate) fn alters_rows(&self) -> bool {
        self.acts() && self.kind & (Self::ROW | Self::BEFORE) == Self::ROW | Self::BEFORE
    }

    fn alteration(&self, action: &str) -> String {
        let (table, name) = (self.table.quoted(), quote_identifier(&self.name));
        format!("alter table only {table} {action} trigger {name};")
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the trigger {} on {}", SqlName(&self.name), self.table)
    }
}

/// The triggers of the tables of these quoted names; a name that no table has is passed over.
pub(crate) async fn triggers(connection: &Connection, tables: &[String]) -> Result<Vec<Trigger>> {
    let rows = connection.query(&format!("{TABLES} {TRIGGERS}"), &[&tables]).await;
    let rows = rows.map_err(lake_postgres::Error::query("read the target's triggers"))?;
    let trigger = |row: &Row| Trigger {
        place: row.get::<_, i64>(0) as usize - 1, // `with ordinality` counts from 1
        table: TargetTable {
            schema: row.get(1),
            name: row.get(2),
        },
        name: row.get(3),
        enabled: row.get(4),
        kind: row.get(5),
    };
    Ok(rows.iter().map(trigger).collect())
}

/// The enabled event triggers, ready to print: they run when a load creates or alters.
pub(crate) async fn event_triggers(connection: &Connection) -> Result<Vec<String>> {
    let sql = "select evtname::text from pg_event_trigger where evtenabled <> 'D' order by 1";
    let rows = connection.query(sql, &[]).await;
    let rows = rows.map_err(lake_postgres::Error::query("read the target's event triggers"))?;
    let names = rows.iter().map(|row| row.get::<_, String>(0));
    Ok(names
        .map(|name| format!("the event trigger {}", SqlName(&name)))
        .collect())
}

/// Refuses tables with rules for what a load does.
///
/// # Errors
/// [`Error::Rules`] with all of them.
pub(crate) async fn refuse_rules(connection: &Connection, tables: &[String]) -> Result<()> {
    let rows = connection.query(RULES, &[&tables]).await;
    let rows = rows.map_err(lake_postgres::Error::query("read the target's rules"))?;
    let rule = |row: &Row| {
        let table = TargetTable {
            schema: row.get(0),
            name: row.get(1),
        };
        let name = quote_identifier(row.get(2));
        format!("drop rule {name} on {};", table.quoted())
    };
    match rows.is_empty() {
        true => Ok(()),
        false => Err(Error::Rules {
            rules: rows.iter().map(rule).collect(),
        }),
    }
}

/// Makes sure that the triggers may be switched off.
///
/// # Errors
/// [`Error::NotOwner`] for a table with triggers that the role does not own.
pub(crate) async fn check_owner(connection: &Connection, triggers: &[Trigger]) -> Result<()> {
    let acting = triggers.iter().filter(|trigger| trigger.acts());
    let tables: Vec<String> = acting.map(|trigger| trigger.table.quoted()).collect();
    let row = connection.query(NOT_OWNED, &[&tables]).await;
    let row = row.map_err(lake_postgres::Error::query(
        "look for the owners of the target's tables",
    ))?;
    match row.first() {
        None => Ok(()),
        Some(row) => Err(Error::NotOwner {
            target: TargetTable {
                schema: row.get(0),
                name: row.get(1),
            },
            owner: row.get(2),
            role: row.get(3),
        }),
    }
}

/// What keeps triggers from running, and what makes each of them again what it was: the same also
/// where the server hands what is done to a partitioned table's trigger on to the partitions'.
pub(crate) fn switch_off_and_back(triggers: &[Trigger]) -> (String, String) {
    let acting = triggers.iter().filter(|trigger| trigger.acts());
    let off: String = acting.map(|trigger| trigger.alteration("disable")).collect();
    if off.is_empty() {
        return Default::default();
    }
    let back = triggers.iter().map(|trigger| {
        trigger.alteration(match trigger.enabled.as_str() {
            "D" => "disable",
            "R" => "enable replica",
            "A" => "enable always",
            _ => "enable",
        })
    });
    (off, back.collect())
}
