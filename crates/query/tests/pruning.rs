//! What is not read: other days, other columns, row groups, and for counts the files at all.

use crate::support::{DAY_1, DAY_2, DAY_3, TestLake, ints, rows, table, texts};
use lake_query::{Engine, Scope};

async fn lake_of_three_days() -> (TestLake, Engine) {
    let lake = TestLake::new();
    for (date, from) in [(DAY_1, 0), (DAY_2, 100), (DAY_3, 200)] {
        let names: Vec<String> = (0..100).map(|i| format!("name {i}")).collect();
        let columns = vec![
            ("id", ints(from..from + 100)),
            ("name", texts(names.iter().map(String::as_str))),
        ];
        lake.day("postgres", date, vec![table("t", columns)]).await;
    }
    let engine = lake.engine_of(Scope::AllDays, &["postgres"], 4);
    (lake, engine)
}

async fn plan(engine: &Engine, sql: &str) -> String {
    rows(engine, &format!("explain {sql}")).await
}

#[tokio::test]
async fn a_filter_on_the_date_leaves_the_other_days_files_unopened() {
    let (lake, engine) = lake_of_three_days().await;
    for (filter, days) in [
        ("extract_date = '2026-01-02'", 1),
        ("extract_date = date '2026-01-02'", 1),
        ("extract_date between '2026-01-02' and '2026-01-09'", 2),
        ("extract_date in ('2026-01-01', '2026-01-03')", 2),
        ("extract_date > '2026-01-01' and name = 'name 5'", 2),
        ("date_part('day', extract_date) = 3", 1),
        ("extract_date = (select max(extract_date) from t)", 3),
    ] {
        let sql = format!("select id from t where {filter}");
        let plan = plan(&engine, &sql).await;
        let scan = plan.lines().rfind(|line| line.contains("DataSourceExec")).unwrap();
        assert_eq!(scan.matches(".parquet").count(), days, "{plan}");
    }
    // The plan's word is the truth: with the other days' files gone, the query still runs.
    for date in [DAY_1, DAY_3] {
        let folder = lake
            .lake
            .table_dir("postgres", "t")
            .unwrap()
            .join(format!("extract_date={date}"));
        std::fs::remove_dir_all(folder).unwrap();
    }
    let sql = "select count(*), min(id), max(id) from t where extract_date = '2026-01-02' and id > 150";
    assert_eq!(rows(&engine, sql).await, "49,151,199\n");
}

#[tokio::test]
async fn counts_and_dates_come_from_the_manifest() {
    let (lake, engine) = lake_of_three_days().await;
    std::fs::remove_dir_all(lake.lake.table_dir("postgres", "t").unwrap()).unwrap();
    // The folder decides whether a plain name is there; the name here is qualified.
    assert_eq!(rows(&engine, "select count(*) from postgres.t").await, "300\n");
    let sql = "select count(*) from postgres.t where extract_date >= '2026-01-02'";
    assert_eq!(rows(&engine, sql).await, "200\n");
    let sql = "select min(extract_date), max(extract_date) from postgres.t";
    assert_eq!(rows(&engine, sql).await, "2026-01-01,2026-01-03\n");
}

#[tokio::test]
async fn filters_columns_and_limits_reach_the_files() {
    let (_lake, engine) = lake_of_three_days().await;
    let plan_of_filter = plan(&engine, "select name from t where id = 150").await;
    assert!(plan_of_filter.contains("pruning_predicate"), "{plan_of_filter}");
    assert!(plan_of_filter.contains("projection=[name]") || plan_of_filter.contains("projection=[id, name]"));
    let plan_of_limit = plan(&engine, "select id from t limit 10").await;
    assert!(plan_of_limit.contains("limit=10"), "{plan_of_limit}");
    assert_eq!(plan_of_limit.matches(".parquet").count(), 1, "{plan_of_limit}");
    let analyzed = rows(&engine, "explain analyze select name from t where id = 150").await;
    assert!(
        analyzed.contains("row_groups_pruned_statistics=3 total → 1 matched"),
        "{analyzed}"
    );
}

#[tokio::test]
async fn large_tables_are_cut_for_parallel_readers() {
    let lake = TestLake::new();
    // Nothing that Parquet could make smaller.
    let noise = (0..400_000_u64).map(|i| {
        let mixed = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 32)).cast_signed()
    });
    lake.day(
        "postgres",
        DAY_1,
        vec![table("t", vec![("id", ints(0..400_000)), ("noise", ints(noise))])],
    )
    .await;
    let engine = lake.engine_of(crate::support::day(DAY_1), &[], 2);
    let plan = plan(&engine, "select sum(noise) from t where id % 3 = 0").await;
    assert!(plan.contains("file_groups={2 groups"), "{plan}");
    let engine = lake.engine_of(crate::support::day(DAY_1), &[], 1);
    let plan = rows(&engine, "explain select sum(noise) from t where id % 3 = 0").await;
    assert!(plan.contains("file_groups={1 group"), "{plan}");
}
