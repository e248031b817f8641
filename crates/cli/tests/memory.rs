//! How much memory a command takes at its peak, in the build that runs the tests: its code alone takes more
//! than that of a release does.

use crate::workshop::{DAY, Workshop};

const CONFIG: &str = "\
lake: ./lake
sources: {shop: {type: postgres, url: \"${SOURCE_URL}\"}}
target: {type: postgres, url: \"${TARGET_URL}\"}
";

/// Bytes of a unit of `memory:`.
const MB: f64 = 1e6;
/// What of the program's own file is resident goes by how the page cache holds the file, and is no memory
/// that a command asked for: a file that was just written has had 15 MB more of it than the same file later.
const PROGRAM_FILE_VARIES: f64 = 20.0 * MB;

/// Runs a command and returns the bytes that it had resident at its peak.
#[track_caller]
fn peak(workshop: &Workshop, line: &str) -> f64 {
    let messages = workshop.lake(&format!("{line} -v --date {DAY}")).done().stderr;
    let peak = messages
        .lines()
        .find_map(|line| line.strip_prefix("debug: peak memory: "));
    let (number, unit) = peak.and_then(|text| text.split_once(' ')).unwrap();
    assert_eq!(unit, "MB", "{messages}");
    number.parse::<f64>().unwrap() * MB
}

/// Extracts and loads the day, each within so many bytes.
#[track_caller]
fn assert_within(bytes: f64, workshop: &Workshop, flags: &str) {
    for step in ["extract", "load"] {
        let peak = peak(workshop, &format!("{step} {flags}"));
        assert!(peak <= bytes, "{step} {flags} took {} MB", peak / MB);
    }
}

#[test]
fn more_rows_take_no_more_memory() {
    let rows = |from: u32, to: u32| {
        format!(
            "insert into t select g, g * 7, md5(g::text), repeat(md5((-g)::text), 8) from generate_series({from}, {to}) g"
        )
    };
    let workshop = Workshop::with(CONFIG, "create table t (id int, number bigint, name text, body text)");
    workshop.source.execute(&rows(1, 150_000)); // 45 MB of values: two row groups
    let flags = "--memory 128MB --jobs 1";
    let few = ["extract", "load"].map(|step| peak(&workshop, &format!("{step} {flags}")));
    workshop.source.execute(&rows(150_001, 600_000)); // 135 MB more
    let many = ["extract", "load"].map(|step| peak(&workshop, &format!("{step} {flags}")));
    for (few, many) in few.into_iter().zip(many) {
        assert!(
            many <= few + PROGRAM_FILE_VARIES,
            "{} MB, and {} MB for four times the rows",
            few / MB,
            many / MB
        );
    }
}

#[test]
fn rows_of_20_mb_fit() {
    let workshop = Workshop::with(
        CONFIG,
        "create table t (id int, body text);
         alter table t alter body set storage external;
         with noise as (select string_agg(md5(g::text), '') as body from generate_series(1, 625000) g)
         insert into t select g, body from noise, generate_series(1, 5) g",
    );
    // Or the target's server would spend a minute on compressing them.
    workshop
        .target
        .execute("create table t (id int, body text); alter table t alter body set storage external");
    assert_within(256.0 * MB, &workshop, "--jobs 2 --memory 256MB");
    assert_within(400.0 * MB, &workshop, "");
}

#[test]
fn tables_of_200_columns_fit() {
    let kinds = [
        ("int", "g"),
        ("text", "'number ' || g"),
        ("numeric(12, 2)", "g * 1.25"),
        ("timestamptz", "timestamptz '2026-01-01' + g * interval '1 second'"),
        ("varchar(40)", "md5(g::text)"),
    ];
    let of_columns = |write: fn(usize, (&str, &str)) -> String| {
        let columns = (0..200).map(|column| write(column, kinds[column % kinds.len()]));
        columns.collect::<Vec<_>>().join(", ")
    };
    let columns = of_columns(|column, (kind, _)| format!("c{column} {kind}"));
    let values = of_columns(|_, (_, value)| value.into());
    let workshop = Workshop::with(
        CONFIG,
        &format!("create table t ({columns}); insert into t select {values} from generate_series(1, 14000) g"),
    );
    assert_within(256.0 * MB, &workshop, "--jobs 2 --memory 256MB");
}

#[test]
fn memory_is_a_setting_of_the_config_too() {
    let workshop = Workshop::new();
    workshop.edit("lake: ./lake\n", "lake: ./lake\nmemory: 12 apples\n");
    let message = "lake.yaml:2:9: \"12 apples\" is no size of memory: write a number and a unit, e.g. 256MB or 1GiB";
    assert_eq!(workshop.lake("extract").failed(2), message);
    workshop.edit("12 apples", "256MB");
    workshop.lake(&format!("run --date {DAY}")).done();
    let refused = workshop.lake("extract --memory 1MB");
    assert_eq!(refused.status, Some(2));
    assert!(
        refused
            .stderr
            .contains("1MB of memory is too little: the least is 128MB"),
        "{refused}"
    );
}
