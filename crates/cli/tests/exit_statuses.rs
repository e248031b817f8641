//! What goes wrong, and how it is told: the exit status, one message that names the thing and what
//! helps, no data on stdout, and every day as it was.

use std::fs;
use std::net::TcpListener;

use crate::workshop::{DAY, PASSWORD, Workshop};

/// A way to go wrong.
struct Case {
    name: &'static str,
    /// Brings it about.
    spoil: fn(&mut Workshop),
    /// Arguments; `DAY` is the day that is there, and the last argument may be SQL after ` -- `.
    line: &'static str,
    status: i32,
    /// What the message has to say.
    says: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "an unknown key",
        spoil: |w| w.edit("target:", "targett:"),
        line: "extract --date DAY",
        status: 2,
        says: &["lake.yaml:15:1", "targett", "did you mean target?"],
    },
    Case {
        name: "an unknown key of a source",
        spoil: |w| w.edit("    tables:", "    table:"),
        line: "status",
        status: 2,
        says: &["lake.yaml:9:5", "did you mean tables?"],
    },
    Case {
        name: "YAML that is none",
        spoil: |w| w.edit("sources:", "sources: ["),
        line: "extract --date DAY",
        status: 2,
        says: &["lake.yaml:"],
    },
    Case {
        name: "an unknown format",
        spoil: |w| w.edit("exports: [csv, json]", "exports: [csv, jsn]"),
        line: "export --date DAY",
        status: 2,
        says: &["lake.yaml:3:16", "\"jsn\"", "csv, json, ndjson or parquet"],
    },
    Case {
        name: "no config",
        spoil: |w| fs::remove_file(w.path("lake.yaml")).unwrap(),
        line: "extract --date DAY",
        status: 2,
        says: &["lake.yaml", "--config"],
    },
    Case {
        name: "a variable that is not set",
        spoil: |w| w.unset("SOURCE_URL"),
        line: "extract --date DAY",
        status: 2,
        says: &["lake.yaml:8:10", "SOURCE_URL is not set"],
    },
    Case {
        name: "a target's variable that is not set",
        spoil: |w| w.unset("TARGET_URL"),
        line: "load --date DAY",
        status: 2,
        says: &["lake.yaml:17:8", "TARGET_URL is not set"],
    },
    Case {
        name: "a URL of something else",
        spoil: |w| w.set("SOURCE_URL", &format!("mysql://root:{PASSWORD}@127.0.0.1/shop")),
        line: "extract --date DAY --source shop",
        status: 1,
        says: &["extract of shop", "mysql://"],
    },
    Case {
        name: "no server",
        spoil: |w| {
            // A port that was free a moment ago.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            w.set(
                "SOURCE_URL",
                &format!("postgres://ann:{PASSWORD}@127.0.0.1:{port}/shop"),
            );
            w.write("port", &format!("127.0.0.1:{port}"));
        },
        line: "extract --date DAY --source shop",
        status: 1,
        says: &["extract of shop", DAY, "is the server running", "Connection refused"],
    },
    Case {
        name: "an unknown host",
        spoil: |w| {
            w.set(
                "TARGET_URL",
                &format!("postgres://ann:{PASSWORD}@nowhere.invalid:6000/shop"),
            )
        },
        line: "load --date DAY",
        status: 1,
        says: &["load of", DAY, "nowhere.invalid:6000"],
    },
    Case {
        name: "a wrong password",
        spoil: |w| {
            let url = w.source_for_role_with_password("another");
            w.set("SOURCE_URL", &url);
        },
        line: "extract --date DAY --source shop",
        status: 1,
        says: &[
            "check the user and the password in the URL",
            "password authentication failed",
        ],
    },
    Case {
        name: "a user that is not there",
        spoil: |w| {
            let url = w.source.url.replacen("//postgres", "//nobody_here", 1);
            w.set("SOURCE_URL", &url);
        },
        line: "extract --date DAY --source shop",
        status: 1,
        says: &["as user \"nobody_here\"", "check the user"],
    },
    Case {
        name: "a database that is not there",
        spoil: |w| {
            let url = w.source.url.clone() + "_gone";
            w.set("SOURCE_URL", &url);
        },
        line: "extract --date DAY --source shop",
        status: 1,
        says: &["_gone\"", "check the database's name in the URL"],
    },
    Case {
        name: "a table of the config that is not there",
        spoil: |w| w.edit("[\"public.*\"]", "[\"public.itemz\"]"),
        line: "extract --date DAY --source shop",
        status: 2,
        says: &["extract of shop", "public.itemz", "did you mean", "items"],
    },
    Case {
        name: "a table that is not there",
        spoil: |_| {},
        line: "extract --date DAY --source shop --table item",
        status: 2,
        says: &["item matches no table", "did you mean items?"],
    },
    Case {
        name: "a table that is in no source",
        spoil: |_| {},
        line: "extract --date DAY --table no_such_thing",
        status: 2,
        says: &["no_such_thing"],
    },
    Case {
        name: "a table to load that is not there",
        spoil: |_| {},
        line: "load --date DAY --table item",
        status: 2,
        says: &["is called item;", "shop.items"],
    },
    Case {
        name: "an unknown source",
        spoil: |_| {},
        line: "extract --date DAY --source shopp",
        status: 2,
        says: &["\"shopp\"", "did you mean shop?"],
    },
    Case {
        name: "an unknown query",
        spoil: |_| {},
        line: "transform --date DAY --query reprot",
        status: 2,
        says: &["\"reprot\"", "did you mean report?"],
    },
    Case {
        name: "an unknown query to export",
        spoil: |_| {},
        line: "export --date DAY --query reprot",
        status: 2,
        says: &["\"reprot\"", "did you mean report?"],
    },
    Case {
        name: "no target",
        spoil: |w| w.edit("target:\n  type: postgres\n  url: ${TARGET_URL}\n", ""),
        line: "load --date DAY",
        status: 2,
        says: &["no `target:`"],
    },
    Case {
        name: "no queries",
        spoil: |w| w.edit("queries:\n  report: ./report.sql\n", ""),
        line: "transform --date DAY",
        status: 2,
        says: &["no `queries:`"],
    },
    Case {
        name: "a CSV file that is gone",
        spoil: |w| fs::remove_file(w.path("rates.csv")).unwrap(),
        line: "extract --date DAY --source files",
        status: 1,
        says: &["extract of files", "rates.csv", "rates"],
    },
    Case {
        name: "a ragged CSV file",
        spoil: |w| w.write("rates.csv", "kind,rate\nk0,0.5\nk1,1.5,oops\n"),
        line: "extract --date DAY --source files",
        status: 1,
        says: &[
            "table rates",
            "rates.csv",
            "line 3",
            "3 fields where the first line has 2",
        ],
    },
    Case {
        name: "an unknown way with bad rows",
        spoil: |w| w.edit("rates: ./rates.csv", "rates: {path: ./rates.csv, on_bad_row: skip}"),
        line: "extract --date DAY",
        status: 2,
        says: &["lake.yaml:13:46", "\"skip\"", "refuse or quarantine"],
    },
    Case {
        name: "an unknown key of a CSV file",
        spoil: |w| {
            w.edit(
                "rates: ./rates.csv",
                "rates: {path: ./rates.csv, renmae: {rate: factor}}",
            )
        },
        line: "status",
        status: 2,
        says: &["lake.yaml:13:34", "`renmae`", "did you mean rename?"],
    },
    Case {
        name: "a new name for a column that is not there",
        spoil: |w| {
            w.edit(
                "rates: ./rates.csv",
                "rates: {path: ./rates.csv, rename: {rates: factor}}",
            )
        },
        line: "extract --date DAY --source files",
        status: 1,
        says: &[
            "table rates",
            "rates.csv",
            "`rename`",
            "\"rates\"",
            "did you mean \"rate\"?",
        ],
    },
    Case {
        name: "a day that no calendar has",
        spoil: |_| {},
        line: "extract --date 2021-02-30",
        status: 2,
        says: &["2021-02-30", "YYYY-MM-DD"],
    },
    Case {
        name: "a range that ends before it begins",
        spoil: |_| {},
        line: "backfill --from 2026-02-02 --to 2026-02-01",
        status: 2,
        says: &["2026-02-02", "2026-02-01"],
    },
    Case {
        name: "a lake that can't be written",
        spoil: |w| {
            w.write("blocked", "a file where the lake's folder would be");
            w.edit("lake: ./lake", "lake: ./blocked/lake");
        },
        line: "extract --date DAY",
        status: 1,
        says: &["blocked"],
    },
    Case {
        name: "an output that can't be written",
        spoil: |w| {
            w.write("blocked", "a file where the output's folder would be");
            w.edit("output: ./output", "output: ./blocked");
        },
        line: "export --date DAY",
        status: 1,
        says: &["export of", "blocked"],
    },
    Case {
        name: "a saved query with a column that is not there",
        spoil: |w| w.write("report.sql", "select i.id,\n       i.prize\nfrom shop.items i\n"),
        line: "transform --date DAY",
        status: 1,
        says: &[
            "transform of",
            "query report",
            "report.sql",
            "line 2",
            "column 8",
            "i.prize",
            "i.price",
        ],
    },
    Case {
        name: "a saved query that is no SQL",
        spoil: |w| w.write("report.sql", "select id,\nfrom shop.items i\nwhere )\n"),
        line: "transform --date DAY",
        status: 1,
        says: &["query report", "report.sql", "line "],
    },
    Case {
        name: "a saved query that writes",
        spoil: |w| w.write("report.sql", "delete from shop.items"),
        line: "transform --date DAY",
        status: 1,
        says: &["query report", "report.sql", "DELETE is refused"],
    },
    Case {
        name: "a saved query whose file is gone",
        spoil: |w| fs::remove_file(w.path("report.sql")).unwrap(),
        line: "transform --date DAY",
        status: 1,
        says: &["query report", "report.sql"],
    },
    Case {
        name: "a saved query that fails on a value",
        spoil: |w| w.write("report.sql", "select cast(name as int) as n from shop.items"),
        line: "transform --date DAY",
        status: 1,
        says: &["query report", "report.sql", "item 1"],
    },
    Case {
        name: "a statement that writes",
        spoil: |_| {},
        line: "query --date DAY -- drop table shop.items",
        status: 1,
        says: &["DROP is refused", "SELECT"],
    },
    Case {
        name: "a table that no source has",
        spoil: |_| {},
        line: "query --date DAY -- select * from itemz",
        status: 1,
        says: &["itemz", "shop.items"],
    },
    Case {
        name: "an unknown format of a query",
        spoil: |_| {},
        line: "query --format xml -- select 1",
        status: 2,
        says: &["xml", "ndjson"],
    },
    Case {
        name: "a day of which nothing is there",
        spoil: |_| {},
        line: "query --date 2026-02-01 -- select * from shop.items",
        status: 3,
        says: &["`lake extract --date 2026-02-01 --source shop`"],
    },
    Case {
        name: "an unknown command",
        spoil: |_| {},
        line: "extrct",
        status: 2,
        says: &["extrct", "extract"],
    },
];

#[test]
fn every_failure_is_told_and_changes_nothing() {
    let mut wrong = Vec::new();
    for case in CASES {
        let mut workshop = Workshop::with_day();
        (case.spoil)(&mut workshop);
        let (lake, output) = (workshop.lake_files(), workshop.files("output"));
        let (words, sql) = case.line.split_once(" -- ").unwrap_or((case.line, ""));
        let words = words.replace("DAY", DAY);
        let outcome = if sql.is_empty() {
            workshop.lake(&words)
        } else {
            workshop.lake_sql(&words, sql)
        };
        let told = outcome.to_string();
        let message = std::panic::catch_unwind(|| outcome.failed(case.status)).unwrap_or_default();
        let missing: Vec<_> = case.says.iter().filter(|text| !message.contains(**text)).collect();
        if message.is_empty() || !missing.is_empty() {
            wrong.push(format!(
                "{}: wanted status {} and {missing:?}\n{told}",
                case.name, case.status
            ));
        }
        assert!(workshop.lake_files() == lake, "{}: the lake has changed", case.name);
        assert!(
            workshop.files("output") == output,
            "{}: the output has changed",
            case.name
        );
        let loaded = workshop.target.query("select count(*) from items");
        assert_eq!(loaded, "100", "{}", case.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The commands between backticks.
fn commands(message: &str) -> Vec<String> {
    let parts = message.split('`').skip(1).step_by(2);
    parts
        .filter_map(|part| Some(part.strip_prefix("lake ")?.to_owned()))
        .collect()
}

#[test]
fn the_command_that_a_missing_step_names_mends_it() {
    for (line, steps) in [
        ("transform", &["extract of shop", "extract of files"][..]),
        ("load", &["extract of shop", "extract of files", "transform of report"]),
        ("export", &["transform of report"]),
        (
            "verify",
            &["extract of shop", "extract of files", "transform of report"],
        ),
    ] {
        let workshop = Workshop::new();
        let line = format!("{line} --date {DAY}");
        let message = workshop.lake(&line).failed(3);
        for step in steps {
            assert!(
                message.contains(&format!("{step} for {DAY} has not succeeded")),
                "{step} in {message}"
            );
        }
        assert_eq!(commands(&message).len(), steps.len(), "{message}");
        if line.starts_with("verify") {
            workshop.lake(&format!("run --date {DAY}")).done();
        }
        // A command may itself lack a step, which it names in turn.
        let mut to_do = commands(&message);
        to_do.reverse();
        let mut tries = 0;
        while let Some(command) = to_do.last() {
            tries += 1;
            assert!(tries < 10, "{command} goes on and on");
            let outcome = workshop.lake(command);
            match outcome.status {
                Some(0) => drop(to_do.pop()),
                _ => to_do.extend(commands(&outcome.failed(3)).into_iter().rev()),
            }
        }
        workshop.lake(&line).done();
    }
}

#[test]
fn a_result_older_than_its_source_has_to_be_made_again() {
    let workshop = Workshop::with_day();
    workshop
        .source
        .execute("update items set name = 'renamed' where id = 1");
    workshop.lake(&format!("extract --date {DAY} --source shop")).done();
    let before = workshop.files("output");
    for line in ["load", "export"] {
        let message = workshop.lake(&format!("{line} --date {DAY}")).failed(3);
        assert!(
            message.contains("transform of report") && message.contains("older"),
            "{message}"
        );
        assert!(workshop.files("output") == before);
        let [command] = &commands(&message)[..] else {
            panic!("{message}")
        };
        if line == "export" {
            workshop.lake(command).done();
        }
    }
    workshop.lake(&format!("export --date {DAY}")).done();
    assert!(workshop.read(&format!("output/{DAY}/report.csv")).contains("renamed"));
    workshop.lake(&format!("load --date {DAY}")).done();
}

#[test]
fn one_source_that_fails_does_not_keep_the_other_from_its_day() {
    let mut workshop = Workshop::new();
    let url = workshop.source.url.clone() + "_gone";
    workshop.set("SOURCE_URL", &url);
    let outcome = workshop.lake(&format!("extract --date {DAY}"));
    assert!(outcome.stderr.contains("extract   files"), "{outcome}");
    assert!(outcome.failed(1).contains("extract of shop"));
    assert_eq!(
        workshop.sql(&format!("--date {DAY}"), "select count(*) as n from rates"),
        "n\n3\n"
    );
}

/// A password that the server really asks for: in no message, no file and no list of processes. The
/// other tests look for theirs too, whatever comes of their commands.
#[test]
fn the_password_is_shown_nowhere() {
    let mut workshop = Workshop::new();
    let url = workshop.source_for_role_with_password(PASSWORD);
    workshop.set("SOURCE_URL", &url);
    for line in [
        "check",
        "run --json",
        "run -v -v",
        "run --log-format json -v -v",
        "verify -v",
        "status --json",
    ] {
        let line = if line == "check" {
            line.to_owned()
        } else {
            format!("{line} --date {DAY}")
        };
        workshop.lake(&line).done();
    }
    let all = workshop.sql("", "select * from lake.runs");
    assert!(all.contains("extract") && !all.contains(PASSWORD));

    let session = workshop.source.session();
    session.execute("begin; lock table items in access exclusive mode");
    let mut running = workshop.start(&format!("run --date {DAY}"));
    workshop.source.wait_for_lock();
    let words = fs::read(format!("/proc/{}/cmdline", running.id())).unwrap();
    assert!(String::from_utf8_lossy(&words).contains(DAY));
    assert!(!String::from_utf8_lossy(&words).contains(PASSWORD));
    drop(session);
    assert_eq!(running.status(), Some(0));

    workshop
        .source
        .execute("drop table items cascade; create table items (id int)");
    let message = workshop.lake(&format!("run --date {DAY} -v -v")).stderr;
    assert!(message.contains("error: "), "{message}");
    workshop.assert_no_password();
}

#[test]
fn a_mending_command_has_the_config_of_the_one_that_failed() {
    let workshop = Workshop::new();
    fs::rename(workshop.path("lake.yaml"), workshop.path("other.yaml")).unwrap();
    let message = workshop.lake(&format!("-c other.yaml load --date {DAY}")).failed(3);
    let command = format!("extract --date {DAY} --source shop");
    assert!(
        message.contains(&format!("`lake -c other.yaml {command}`")),
        "{message}"
    );
    workshop.lake(&format!("-c other.yaml {command}")).done();
}
