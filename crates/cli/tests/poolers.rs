//! Through a real pgbouncer: what is right with a server is right with any pool, and nobody else finds the
//! pool's sessions changed.

use std::collections::BTreeMap;

use lake_sandbox::{Pgbouncer, PostgresServer};

use crate::workshop::{DAY, PASSWORD, Session, Workshop, wait_for};

const CONFIG: &str = "
lake: ./lake
sources:
  shop: {type: postgres, url: \"${SOURCE_URL}\"}
target: {type: postgres, url: \"${TARGET_URL}\"}
";

/// What a value looks like depends on a session's settings; and there are rows enough for several connections.
const SOURCE: &str = r"
    create table items (id int primary key, at timestamptz not null, price float8, span interval, raw bytea, note text);
    insert into items
        select g, timestamptz '2026-01-01 00:00:00+00' + g * interval '1 minute', g / 3.0, g * interval '1 hour 1 second',
               decode(md5(g::text), 'hex'), E'it''s \\ ' || g
        from generate_series(1, 120000) g;
    create table ranges (during tstzrange, dates date[], money money, document xml);
    insert into ranges values ('[2026-01-01, 2026-02-01)', '{2026-01-31, null}', 12.5, 'a <b/> c');
";

/// What other users of a pool may leave in its sessions; `s0` is what the client library calls its first statement.
const LEFT_BY_OTHERS: &str = "
    set intervalstyle = 'sql_standard'; set extra_float_digits = -15; set bytea_output = 'escape';
    set search_path = nowhere; set xmloption = document; set array_nulls = off; set lock_timeout = '1ms';
    set idle_in_transaction_session_timeout = '5min'; set default_transaction_isolation = 'serializable';
    set default_transaction_read_only = on; set session_replication_role = replica; set role others;
    prepare s0 as select 'not yours'; prepare s1 as select 'nor this'; listen others";

/// Nothing of it happens under `session_replication_role = replica`.
const AUDIT: &str = "
    create table audit (at timestamptz);
    create function audited() returns trigger language plpgsql as $$
        begin insert into public.audit values (now()); return null; end $$;
    create trigger audited after insert on items for each statement execute function audited()";

struct Pool {
    workshop: Workshop,
    pooler: Pgbouncer,
    size: usize,
}

impl Pool {
    fn new(mode: &str, size: usize) -> Self {
        let mut workshop = Workshop::with(CONFIG, SOURCE);
        let number = size.to_string();
        let settings = [("pool_mode", mode), ("default_pool_size", &number)];
        let pooler = Pgbouncer::start(PostgresServer::shared().unwrap(), &settings).unwrap();
        let [source, target] = [&workshop.source, &workshop.target].map(|database| {
            let url = pooler.url(&database.query("select current_database()"));
            url.replacen('@', &format!(":{PASSWORD}@"), 1)
        });
        workshop.set("SOURCE_URL", &source);
        workshop.set("TARGET_URL", &target);
        Self { workshop, pooler, size }
    }

    /// All of the pool's sessions in a database at once, each in a transaction.
    fn sessions(&self, database: &str) -> Vec<Session> {
        let sessions = (0..self.size).map(|_| Session::at(&self.pooler.url(database)));
        let sessions: Vec<Session> = sessions.collect();
        for session in &sessions {
            session.execute("begin");
        }
        sessions
    }

    /// What can be found in each of the pool's sessions, by the server's process.
    fn found(&self) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::new();
        for database in [&self.workshop.source, &self.workshop.target] {
            for session in self.sessions(&database.query("select current_database()")) {
                let mut state = session.query(
                    "select name || ' = ' || setting from pg_catalog.pg_settings where name not like '%.%'
                     union all select 'role ' || current_user
                     union all select 'statement ' || name from pg_catalog.pg_prepared_statements
                     union all select 'channel ' || pg_listening_channels()
                     union all select 'lock ' || objid from pg_catalog.pg_locks
                               where locktype = 'advisory' and pid = pg_backend_pid()
                     order by 1",
                );
                let pid = session.query("select pg_backend_pid()").remove(0);
                state.retain(|line| !line.starts_with("application_name"));
                found.insert(pid, state);
                session.execute("commit");
            }
        }
        assert_eq!(found.len(), 2 * self.size);
        found
    }

    fn leave_things(&self) {
        for database in [&self.workshop.source, &self.workshop.target] {
            for session in self.sessions(&database.query("select current_database()")) {
                session.execute(LEFT_BY_OTHERS);
                session.execute("commit");
            }
        }
    }

    fn assert_equal(&self) {
        for sql in [
            "select md5(string_agg(i::text, ',' order by id)) from items i",
            "select r::text from ranges r",
        ] {
            assert_eq!(self.workshop.source.query(sql), self.workshop.target.query(sql));
        }
    }
}

fn a_day(pool: &Pool, jobs: usize) {
    let Pool { workshop, .. } = pool;
    workshop.lake("check").done();
    workshop.lake(&format!("run --date {DAY} --jobs {jobs}")).done();
    pool.assert_equal();
    workshop.target.execute(AUDIT);
    workshop
        .source
        .execute("update items set note = 'more' where id % 100 = 0; delete from items where id % 100 = 1");
    for step in ["extract", "load", "verify"] {
        let jobs = if step == "verify" {
            String::new()
        } else {
            format!("--jobs {jobs}")
        };
        workshop.lake(&format!("{step} --date {DAY} {jobs}")).done();
    }
    pool.assert_equal();
    assert_eq!(workshop.target.query("select count(*) from audit"), "1");
}

fn a_killed_load(pool: &Pool, jobs: usize) {
    let target = &pool.workshop.target;
    let locks = "select count(*) from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())";
    let copies = "select count(*) from pg_stat_activity where datname = current_database() and query like 'copy %'
        and state = 'active'";
    let mut load = pool.workshop.start(&format!("load --date {DAY} --jobs {jobs}"));
    wait_for("the load to copy", || target.query(copies) != "0");
    assert_ne!(target.query(locks), "0");
    assert!(load.kill());
    wait_for("the lock to go", || target.query(locks) == "0");
    pool.workshop.lake(&format!("load --date {DAY} --jobs {jobs}")).done();
    pool.assert_equal();
    assert_eq!(
        target.query("select relname from pg_class where relname like '\\_lake\\_staging%'"),
        ""
    );
}

fn in_transaction_mode(size: usize, jobs: usize) {
    let pool = Pool::new("transaction", size);
    // The role belongs to the server, which the tests share.
    let role = "do $$ begin create role others; exception when others then null; end $$";
    pool.workshop.source.execute(role);
    pool.leave_things();
    let before = pool.found();
    a_day(&pool, jobs);
    assert_eq!(pool.found(), before);
    a_killed_load(&pool, jobs);
}

#[test]
fn a_pool_of_one_in_transaction_mode() {
    in_transaction_mode(1, 1);
}

#[test]
fn a_pool_of_two_in_transaction_mode() {
    in_transaction_mode(2, 2);
}

#[test]
fn a_pool_of_ten_in_transaction_mode() {
    in_transaction_mode(10, 4);
}

#[test]
fn a_pool_in_session_mode() {
    let pool = Pool::new("session", 8);
    a_day(&pool, 3);
    a_killed_load(&pool, 3);
}

#[test]
fn a_step_does_with_the_connections_that_a_pool_has() {
    let pool = Pool::new("transaction", 1);
    let stderr = pool.workshop.lake(&format!("run --date {DAY} --jobs 2")).done().stderr;
    assert!(stderr.contains("no further connection to be had"), "{stderr}");
    pool.assert_equal();
}

#[test]
fn a_pool_whose_connections_are_taken_is_waited_for_and_said() {
    let pool = Pool::new("transaction", 1);
    pool.workshop.edit("sources:", "lock_timeout: 1s\nsources:");
    let extract = format!("extract --date {DAY} --jobs 1");
    let database = pool.workshop.source.query("select current_database()");
    let holders = pool.sessions(&database);
    let message = pool.workshop.lake(&extract).failed(1);
    for text in [
        "does not begin a transaction: it has not done so within 1 s (`lock_timeout` in the config)",
        "if it is a pooler, all of its connections stayed taken",
    ] {
        assert!(message.contains(text), "{text} in {message}");
    }
    drop(holders);
    pool.workshop.lake(&extract).done();
}

#[test]
fn a_pool_without_transactions_is_refused() {
    let pool = Pool::new("statement", 2);
    let message = pool.workshop.lake(&format!("extract --date {DAY}")).failed(1);
    for text in ["`pool_mode = statement`", "`pool_mode = transaction` or `session`"] {
        assert!(message.contains(text), "{text} in {message}");
    }
}

#[test]
fn options_that_a_pooler_refuses_are_named() {
    let mut pool = Pool::new("transaction", 2);
    let database = pool.workshop.source.query("select current_database()");
    let url = format!("{}?options=-c%20work_mem=8MB", pool.pooler.url(&database));
    pool.workshop
        .set("SOURCE_URL", &url.replacen('@', &format!(":{PASSWORD}@"), 1));
    let message = pool.workshop.lake(&format!("extract --date {DAY}")).failed(1);
    assert!(message.contains("it is a pooler that takes no `options`"), "{message}");
}

#[test]
fn a_target_that_is_the_source_is_refused_through_a_pool_of_one() {
    let mut pool = Pool::new("transaction", 1);
    let database = pool.workshop.source.query("select current_database()");
    // Another address of the same pool, whose one connection the load has.
    let other = pool
        .pooler
        .url(&database)
        .replacen("@127.0.0.1", &format!(":{PASSWORD}@0.0.0.0"), 1);
    pool.workshop.set("TARGET_URL", &other);
    pool.workshop.edit("target: {", "target: {schema: \"{schema}\", ");
    pool.workshop.lake(&format!("extract --date {DAY} --jobs 1")).done();
    let message = pool.workshop.lake(&format!("load --date {DAY} --jobs 1")).failed(2);
    assert!(
        message.contains("the target is the database of source shop"),
        "{message}"
    );
}
