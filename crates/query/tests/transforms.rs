//! Saved queries kept in the lake.

use lake_query::{Error, Settings, Transform, TransformReport, transform};
use lake_storage::RunId;

use crate::support::{DAY_1, TestLake, chain, date, error, floats, ints, saved, table, texts};

/// Transforms day 1 with these as all the configured queries.
pub async fn run(lake: &TestLake, queries: &[(&str, &str)]) -> Result<TransformReport, Error> {
    let names: Vec<&str> = queries.iter().map(|(name, _)| *name).collect();
    run_some(lake, queries, &names).await
}

pub async fn run_some(lake: &TestLake, queries: &[(&str, &str)], all: &[&str]) -> Result<TransformReport, Error> {
    let queries: Vec<_> = queries.iter().map(|(name, sql)| saved(name, sql)).collect();
    let all: Vec<String> = all.iter().map(|&name| name.to_owned()).collect();
    let sources = ["postgres".to_owned(), "csv".to_owned()];
    let settings = Settings {
        target_partitions: 2,
        ..Settings::default()
    };
    let request = Transform {
        queries: &queries,
        all_queries: &all,
        sources: &sources,
        date: date(DAY_1),
        run: &RunId::new(),
        command: "lake transform",
        settings: &settings,
    };
    transform(&lake.lake, &request, |_| {}).await
}

async fn lake() -> TestLake {
    let lake = TestLake::new();
    let orders = table("orders", vec![("id", ints([3, 1, 2])), ("rate_id", ints([1, 1, 2]))]);
    lake.day("postgres", DAY_1, vec![orders]).await;
    lake.day(
        "csv",
        DAY_1,
        vec![table("rates", vec![("id", ints([1, 2])), ("name", texts(["a", "b"]))])],
    )
    .await;
    lake
}

#[tokio::test]
async fn results_are_kept_with_what_they_were_made_of() {
    let lake = lake().await;
    let join = "select orders.id, name from orders join rates on rates.id = rate_id order by orders.id;\n";
    let report = run(
        &lake,
        &[
            ("named", join),
            ("one", "select 1 as one"),
            ("none", "select id from orders where id > 9"),
        ],
    )
    .await
    .unwrap();
    assert_eq!(
        (
            report.rows,
            report.queries[0].rows,
            report.queries[2].rows,
            report.complete
        ),
        (4, 3, 0, true)
    );
    assert_eq!(lake.on(DAY_1, "select * from results.named").await, "1,a\n2,b\n3,a\n");
    assert_eq!(lake.on(DAY_1, "select * from results.none").await, "");

    let manifest = lake.lake.manifest("results", date(DAY_1)).unwrap().unwrap();
    let inputs: Vec<&String> = manifest.tables["named"].inputs.keys().collect();
    assert_eq!(inputs, ["csv", "postgres"]);
    assert_eq!(manifest.tables["none"].inputs.keys().collect::<Vec<_>>(), ["postgres"]);
    assert!(manifest.tables["one"].inputs.is_empty());
    let of_source = lake.lake.manifest("csv", date(DAY_1)).unwrap().unwrap().run;
    assert_eq!(manifest.tables["named"].inputs["csv"], of_source);
    assert_eq!(report.inputs.len(), 2);
}

#[tokio::test]
async fn the_same_input_gives_the_same_file() {
    let lake = TestLake::new();
    let count: i64 = 100_000;
    let spread = |i: i64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64);
    let values = floats((0..count).map(|i| spread(i) as f64 / 1e7));
    let groups = ints((0..count).map(|i| spread(i).rem_euclid(5_000)));
    let columns = || vec![("id", ints(0..count)), ("grp", groups.clone()), ("v", values.clone())];
    lake.day(
        "postgres",
        DAY_1,
        vec![table("big", columns()), table("more", columns())],
    )
    .await;
    let queries = [
        (
            "groups",
            "select grp, sum(v) as total, avg(v) as mean, count(distinct id) as n from big group by grp",
        ),
        (
            "joined",
            "select b.id, b.v * m.v as product from big b join more m on b.grp = m.id",
        ),
        (
            "united",
            "select grp, sum(v) as total from (select * from big union all select * from more where id % 2 = 0) group by grp",
        ),
        (
            "branches",
            "select id, v from more where id % 3 = 0 union all select id, v from big where id % 5 = 0",
        ),
        (
            "gathered",
            "select grp % 10 as tens, array_agg(distinct grp) as grps, median(v) as median, approx_distinct(id) as n from big group by 1",
        ),
        (
            "alone",
            "select sum(v) as total, stddev(v) as spread, corr(v, id) as corr from big",
        ),
        ("distinct", "select distinct grp from big union select grp from more"),
        (
            "windowed",
            "select id, sum(v) over (partition by grp order by id) as running from big",
        ),
        (
            "left_over",
            "select x.id, u.id as other from big x full join (select id from more where id < 10 union all select id from big where id > 99990) u on x.id = u.id",
        ),
        ("top", "select grp, v from big order by grp limit 100"),
    ];
    let mut contents: Vec<Vec<Vec<u8>>> = Vec::new();
    for _ in 0..3 {
        run(&lake, &queries).await.unwrap();
        let manifest = lake.lake.manifest("results", date(DAY_1)).unwrap().unwrap();
        let read = |name: &str| {
            let files = lake.lake.files("results", name, &manifest.tables[name]).unwrap();
            assert_eq!(files.len(), 1);
            std::fs::read(&files[0].path).unwrap()
        };
        contents.push(queries.iter().map(|(name, _)| read(name)).collect());
    }
    for (place, (name, _)) in queries.iter().enumerate() {
        assert!(
            contents[0][place] == contents[1][place] && contents[1][place] == contents[2][place],
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_missing_step_is_listed() {
    let lake = TestLake::new();
    let queries = [("a", "select * from postgres.orders"), ("b", "select * from csv.rates")];
    let failure = run(&lake, &queries).await.unwrap_err();
    let Error::Lake(lake_storage::Error::Prerequisite { missing }) = failure else {
        panic!("{failure}");
    };
    let names: Vec<&str> = missing.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["csv", "postgres"]);

    // A partial day is none.
    let orders = vec![table("orders", vec![("id", ints([1]))])];
    lake.write("postgres", DAY_1, orders, lake_storage::Coverage::Some)
        .await;
    let failure = run(&lake, &[("a", "select * from orders")]).await.unwrap_err();
    assert!(
        matches!(failure, Error::Lake(lake_storage::Error::Prerequisite { .. })),
        "{failure}"
    );
}

#[tokio::test]
async fn an_error_in_any_query_comes_before_the_first_runs() {
    let lake = lake().await;
    for (sql, expected) in [
        (
            "select *\nfrom orders\nwhere nope = 1",
            "query second (queries/second.sql): there is no column nope at line 3, column 7",
        ),
        (
            "selec 1",
            "query second (queries/second.sql): the SQL can't be read at line 1, column 1",
        ),
        (
            "select * from nowhere",
            "query second (queries/second.sql): there is no table nowhere",
        ),
        (
            "create table x as select 1",
            "CREATE is refused: queries only read, so write one SELECT, which may begin with WITH",
        ),
        ("show tables", "is refused"),
        ("select 1 as a; select 2 as a", "there are 2 statements"),
        ("", "there are 0 statements"),
        (
            "select * from results.first",
            "it reads results.first, but a saved query reads tables of sources only",
        ),
        ("select * from lake.runs", "it reads lake.runs"),
    ] {
        let message = chain(
            &run(&lake, &[("first", "select 1 as one"), ("second", sql)])
                .await
                .unwrap_err(),
        );
        assert!(message.contains(expected), "{sql}: {message}");
        assert!(lake.lake.manifest_or_partial("results", date(DAY_1)).unwrap().is_none());
    }
}

#[tokio::test]
async fn a_query_that_fails_midway_leaves_the_earlier_results() {
    let lake = lake().await;
    run(&lake, &[("q", "select id from orders")]).await.unwrap();
    let message = chain(
        &run(&lake, &[("q", "select 1 / (id - 3) as x from orders")])
            .await
            .unwrap_err(),
    );
    assert!(
        message.contains("query q (queries/q.sql): division by zero"),
        "{message}"
    );
    assert_eq!(lake.on(DAY_1, "select * from results.q").await, "3\n1\n2\n");
}

#[tokio::test]
async fn a_day_is_complete_once_every_query_has_a_fresh_result() {
    let lake = lake().await;
    let (a, b) = (("a", "select id from orders"), ("b", "select id from rates"));
    assert!(!run_some(&lake, &[a], &["a", "b"]).await.unwrap().complete);
    assert!(run_some(&lake, &[b], &["a", "b"]).await.unwrap().complete);
    assert_eq!(lake.on(DAY_1, "select count(*) from a cross join b").await, "6\n");

    // With all of them run, a query that is configured no longer leaves the day.
    assert!(run(&lake, &[b]).await.unwrap().complete);
    let message = error(&lake.engine(crate::support::day(DAY_1)), "select * from results.a").await;
    assert!(message.contains("there is no table results.a"), "{message}");
}

#[tokio::test]
async fn a_stale_result_does_not_complete_a_day() {
    let lake = lake().await;
    let (a, b) = (("a", "select id from orders"), ("b", "select id from rates"));
    run_some(&lake, &[a], &["a", "b"]).await.unwrap();
    lake.day(
        "postgres",
        DAY_1,
        vec![table("orders", vec![("id", ints([5])), ("rate_id", ints([1]))])],
    )
    .await;
    assert!(!run_some(&lake, &[b], &["a", "b"]).await.unwrap().complete);
    assert!(run_some(&lake, &[a], &["a", "b"]).await.unwrap().complete);
}
