//! Which statements are run, and how their errors read.

use lake_query::Scope;

use crate::support::{DAY_1, TestLake, day, error, ints, rows, table, texts};

#[tokio::test]
async fn statements_that_read_are_run() {
    let lake = TestLake::new();
    lake.day("postgres", DAY_1, vec![table("t", vec![("id", ints([1, 2]))])])
        .await;
    let engine = lake.engine(day(DAY_1));
    for sql in [
        "select count(*) from t;",
        "-- how many\nselect count(*) from t -- all\n;\n;",
        "with x as (select * from t) select count(*) from x",
        "(select count(*) from t)",
        "values (2)",
        "select id from t where id = 1",
    ] {
        let first = rows(&engine, sql).await;
        assert!(first == "2\n" || first == "1\n", "{sql}: {first}");
    }
    for sql in [
        "explain select * from t",
        "explain analyze select * from t",
        "show tables",
        "describe t",
    ] {
        assert!(!rows(&engine, sql).await.is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn statements_that_change_something_are_refused() {
    let lake = TestLake::new();
    lake.day("postgres", DAY_1, vec![table("t", vec![("id", ints([1, 2]))])])
        .await;
    let engine = lake.engine(day(DAY_1));
    let target = lake.lake.root().join("copied.csv");
    let copy = format!("copy t to '{}'", target.display());
    for sql in [
        copy.as_str(),
        &format!("explain analyze {copy}"),
        "insert into t values (3)",
        "update t set id = 1",
        "delete from t",
        "create table x as select 1",
        "create view x as select 1",
        "create external table x stored as parquet location '/tmp/x'",
        "drop table t",
        "set datafusion.execution.batch_size = 1",
        "reset datafusion.execution.batch_size",
        "begin",
        "explain insert into t values (3)",
    ] {
        let message = error(&engine, sql).await;
        assert!(
            message.contains("is refused: queries only read, so write SELECT, WITH"),
            "{sql}: {message}"
        );
    }
    for sql in [
        "select * into x from t",
        "with x as (insert into t values (1) returning id) select * from x",
    ] {
        assert!(!error(&engine, sql).await.is_empty());
    }
    assert!(!target.exists());
}

#[tokio::test]
async fn one_statement_at_a_time() {
    let engine = TestLake::new().engine(Scope::AllDays);
    assert_eq!(
        error(&engine, "select 1; select 2").await,
        "there are 2 statements: write one"
    );
    assert_eq!(
        error(&engine, " ; -- nothing\n").await,
        "there are 0 statements: write one"
    );
}

#[tokio::test]
async fn errors_are_said_once_with_their_place() {
    let lake = TestLake::new();
    lake.day(
        "postgres",
        DAY_1,
        vec![table("t", vec![("id", ints([1, 0])), ("s", texts(["a", "b"]))])],
    )
    .await;
    let engine = lake.engine(day(DAY_1));
    let message = error(&engine, "select *\nform t").await;
    assert!(
        message.starts_with("the SQL can't be read at line 2, column 1: Expected: end of statement"),
        "{message}"
    );
    let parallel = lake.engine_of(day(DAY_1), &[], 4);
    let message = error(&engine, "select 'abc").await;
    assert!(
        message.starts_with("the SQL can't be read at line 1, column 8: Unterminated string literal"),
        "{message}"
    );

    for (sql, expected) in [
        ("select 1 / id from t", "division by zero"),
        ("select s, sum(1 / id) from t group by s order by s", "division by zero"),
        ("select nosuch(id) from t", "nosuch"),
        ("select 1e300 from t", "'1e300'::float8"),
        ("select cast(s as int) from t", "'a'"),
        ("select s, count(*) from t", "GROUP BY"),
    ] {
        let message = error(&engine, sql).await;
        assert!(message.contains(expected), "{sql}: {message}");
        assert_eq!(message, error(&parallel, sql).await, "{sql}");
        for noise in [
            "caused by",
            "backtrace",
            "DataFusion",
            "This issue was likely",
            "Error during planning",
        ] {
            assert!(!message.contains(noise), "{sql}: {message}");
        }
    }
}

#[tokio::test]
async fn literals_do_not_round_doubles() {
    let engine = TestLake::new().engine(Scope::AllDays);
    let sql = "select x = 0.0, coalesce(x, 0.0) = x, x < 0.5, cast('NaN' as double) > 0.5 from (values (1e-20)) t(x)";
    assert_eq!(rows(&engine, sql).await, "false,true,true,true\n");
    assert_eq!(
        rows(&engine, "select '1e300'::float8 > 1, cast(1.25 as decimal(4,2)) = 1.25").await,
        "true,true\n"
    );
}

#[tokio::test]
async fn the_time_is_that_of_the_query() {
    let engine = TestLake::new().engine(Scope::AllDays);
    let sql = "select now() > timestamptz '2026-01-01 00:00:00+00', current_date > date '2026-01-01'";
    assert_eq!(rows(&engine, sql).await, "true,true\n");
}

#[tokio::test]
async fn literals_and_zones_are_as_in_psql() {
    let engine = TestLake::new().engine(Scope::AllDays);
    let sql = "select timestamptz '2026-01-01 12:00:00+02', timestamp '2026-01-01 12:00:00.25', date '2026-01-31'";
    assert_eq!(
        rows(&engine, sql).await,
        "2026-01-01 10:00:00+00,2026-01-01 12:00:00.25,2026-01-31\n"
    );
}

#[test]
fn a_query_with_little_memory_runs_in_few_partitions() {
    let settings = lake_query::Settings {
        target_partitions: 16,
        ..Default::default()
    };
    let small = settings.clone().within("400MB".parse().unwrap());
    assert_eq!(
        (small.target_partitions, small.memory_bytes_max),
        (3, Some(110_963_712))
    );
    let large = settings.within("64GiB".parse().unwrap());
    assert_eq!(large.target_partitions, 16);
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_says_so() {
    let lake = TestLake::new();
    lake.day("postgres", DAY_1, vec![table("t", vec![("id", ints(0..200_000))])])
        .await;
    let settings = lake_query::Settings {
        target_partitions: 1,
        memory_bytes_max: Some(1 << 20),
        ..Default::default()
    };
    let engine = lake_query::Engine::new(&lake.lake, day(DAY_1), &[], &settings).unwrap();
    let message = error(&engine, "select array_agg(id order by id) from t").await;
    assert!(
        message.starts_with("the query needs more memory than it may use"),
        "{message}"
    );
}

#[tokio::test]
async fn a_sort_beyond_its_memory_goes_to_disk() {
    let lake = TestLake::new();
    let noise = (0..1_000_000_i64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64));
    lake.day(
        "postgres",
        DAY_1,
        vec![table("t", vec![("id", ints(0..1_000_000)), ("noise", ints(noise))])],
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let settings = lake_query::Settings {
        target_partitions: 1,
        memory_bytes_max: Some(24 << 20),
        spill_dir: Some(folder.path().to_owned()),
    };
    let engine = lake_query::Engine::new(&lake.lake, day(DAY_1), &[], &settings).unwrap();
    let sorted = rows(&engine, "select id from t order by noise, id").await;
    assert_eq!(sorted.lines().count(), 1_000_000);
    let analyzed = rows(&engine, "explain analyze select id from t order by noise, id").await;
    assert!(!analyzed.contains("spill_count=0"), "{analyzed}");
}

#[tokio::test]
async fn functions_in_place_of_tables_need_no_source() {
    let engine = TestLake::new().engine(day(DAY_1));
    assert_eq!(
        rows(&engine, "select sum(value) from generate_series(1, 4)").await,
        "10\n"
    );
}
