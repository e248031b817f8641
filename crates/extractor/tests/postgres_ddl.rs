//! DDL beside an extract: it waits at the most until the extract is done, which is as of its snapshot.

use std::time::Duration;

use arrow::array::Int64Array;
use tokio::task::JoinHandle;

use crate::{Fixture, chain, day};

/// Tables that every connection begins with: they can't be read to their end before a file exists.
const GATES: &str = "
    create extension file_fdw; create server files foreign data wrapper file_fdw;
    do $do$ begin for i in 1..$jobs loop
        execute format('create table gate_%1$s (n bigint) partition by list (n);
            create table gate_%1$s_rows partition of gate_%1$s default;
            insert into gate_%1$s_rows select generate_series(1, 5000);
            create foreign table gate_%1$s_wait partition of gate_%1$s for values in (0) server files
                options (program ''while [ ! -e $file ]; do sleep 0.01; done'')', i);
    end loop; end $do$;";

/// Each table has a row; of each kind of DDL there are several.
const TABLES: &str = "
    do $do$ begin for i in 1..$tables loop
        execute format('create table t_%1$s (id int constraint t_%1$s_key primary key, amount bigint);
            insert into t_%1$s values (%1$s, 7)', i);
    end loop; end $do$;
    create view seen as select amount from t_1;
    create function noop() returns trigger language plpgsql as 'begin return null; end';
    create table parts (id int, amount bigint) partition by range (id);
    create table part_1 partition of parts for values from (1) to (2);
    create table part_2 partition of parts for values from (2) to (3);
    create table later (id int, amount bigint);
    insert into later values (3, 7); insert into parts values (1, 7), (2, 7);
    analyze;";

const DDL: [&str; 16] = [
    "alter table $t add column more int default 1",
    "alter table $t alter column amount type text",
    "alter table $t drop column amount",
    "alter table $t enable row level security",
    "drop table $t",
    "begin; truncate $t; insert into $t values (0, 0), (1, 1); commit",
    "create index on $t (amount)",
    "reindex table $t",
    "vacuum full $t",
    "cluster $t using $t_key",
    "alter table $t rename to renamed_$t",
    "alter table $t rename column amount to sum",
    "create schema of_$t; alter table $t set schema of_$t",
    "create trigger noop after insert on $t for each row execute function noop()",
    "alter table $t drop constraint $t_key",
    "begin; reindex index $t_key; alter table $t alter column id set default 1; commit",
];

struct Beside {
    fixture: Fixture,
    jobs: usize,
    open: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Beside {
    async fn new(jobs: usize) -> Self {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let open = std::env::temp_dir().join(format!("lake-gates-{}", folder.path().file_name().unwrap().display()));
        let gates = GATES
            .replace("$jobs", &jobs.to_string())
            .replace("$file", open.to_str().unwrap());
        // Fewer are not worth so many connections.
        let tables = TABLES.replace("$tables", &(jobs * 50).to_string());
        let mut fixture = Fixture::new(&format!("{gates}{tables}")).await;
        fixture.source.tables = ["*.*", "public.seen", "!later"]
            .map(|pattern| pattern.parse().unwrap())
            .into();
        Self {
            fixture,
            jobs,
            open,
            _folder: folder,
        }
    }

    /// Runs statements while each connection of an extract is at its gate, and then lets both go on.
    async fn run(
        &self,
        at_once: &str,
        statements: Vec<String>,
        waiting: usize,
    ) -> Result<lake_extractor::ExtractReport, lake_extractor::Error> {
        let watching = self.fixture.connect().await;
        let until = async |what: &str, sql: &str, count: usize| {
            let mut found = 0;
            for _ in 0..1000 {
                found = watching.query(sql, &[]).await.unwrap().len();
                if found == count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("{what}: {found}, not {count}");
        };
        let others = async {
            until(
                "the readers",
                "select from pg_stat_activity where datname = current_database() and query like 'copy%gate%'
                and state = 'active'",
                self.jobs,
            )
            .await;
            self.fixture.execute(at_once).await;
            let mut running: Vec<JoinHandle<()>> = Vec::new();
            for statements in statements {
                let client = self.fixture.connect().await;
                running.push(tokio::spawn(async move {
                    for statement in statements.split("; ") {
                        client
                            .batch_execute(statement)
                            .await
                            .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
                    }
                }));
            }
            until(
                "the DDL",
                "select from pg_locks where not granted and locktype = 'relation'
                and database = (select oid from pg_database where datname = current_database())",
                waiting,
            )
            .await;
            std::fs::write(&self.open, "").unwrap();
            for statements in running {
                tokio::time::timeout(Duration::from_secs(60), statements)
                    .await
                    .unwrap()
                    .unwrap();
            }
        };
        let (extracted, ()) = tokio::join!(self.fixture.extract_with(self.jobs, &[]), others);
        std::fs::remove_file(&self.open).unwrap();
        extracted
    }
}

async fn a_day_beside_ddl(jobs: usize) {
    let beside = Beside::new(jobs).await;
    let mut statements: Vec<String> = (0..2 * DDL.len())
        .map(|number| DDL[number % DDL.len()].replace("$t", &format!("t_{}", number + 2)))
        .collect();
    statements.push("alter table parts detach partition part_1".into());
    statements.push("create or replace view seen as select amount + 1 as amount from t_1".into());
    // Indexes and triggers are created beside readers, and so is a partition attached.
    let waiting = statements.len() - 4;
    let at_once = "alter table parts attach partition later for values from (3) to (4)";
    let report = beside.run(at_once, statements, waiting).await.unwrap();
    let Beside { fixture, .. } = &beside;
    assert_eq!(report.tables.len(), jobs * 51 + 2);
    for table in &report.tables {
        let rows = match &*table.name {
            "parts" => 2,
            name if name.starts_with("gate") => 5000,
            _ => 1,
        };
        assert_eq!(table.rows, rows, "{}", table.name);
    }
    let altered = (2..2 + 2 * DDL.len()).map(|number| format!("t_{number}"));
    for name in altered.chain(["parts".into(), "seen".into()]) {
        let table = fixture.table(&name);
        let amounts = table.column_by_name("amount").unwrap();
        assert_eq!(**amounts, Int64Array::from(vec![7; table.num_rows()]), "{name}");
    }
    // What was altered, is.
    assert_eq!(fixture.rows("select amount from seen where amount = 8").await, 1);
    assert_eq!(
        fixture
            .rows("select more from t_2 union all select id from t_7 union all select id from parts")
            .await,
        5
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ddl_beside_two_connections_waits_for_them_and_they_not_for_it() {
    a_day_beside_ddl(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ddl_beside_eight_connections_waits_for_them_and_they_not_for_it() {
    a_day_beside_ddl(8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_replaced_under_way_is_no_day() {
    // The new one has the same tables, or others, or none.
    for copied in ["select * from", "select id from", ""] {
        let mut beside = Beside::new(2).await;
        beside.fixture.source.tables = vec!["public.*".parse().unwrap()];
        let other = format!(
            "create schema other; do $do$ declare name text; begin
                for name in select relname from pg_class where relnamespace = 'public'::regnamespace
                            and relkind in ('r', 'p') and relname !~ '^gate' and '{copied}' <> '' loop
                    execute format('create table other.%1$I as {copied} %1$I', name);
                end loop; end $do$"
        );
        beside.fixture.execute(&other).await;
        let swap = "alter schema public rename to former; alter schema other rename to public";
        let error = chain(&beside.run(swap, Vec::new(), 0).await.unwrap_err());
        assert!(error.contains("its schema was renamed while it was read"), "{error}");
        assert!(beside.fixture.lake.manifest("postgres", day()).unwrap().is_none());
    }
}
