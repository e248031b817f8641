//! What the commands do where nothing goes wrong, and how they end where they are stopped.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::outcome::Outcome;
use crate::workshop::{DAY, ROWS_OF_DAY, Workshop, wait_for};

/// A query with more rows than a pipe holds.
const MANY_ROWS: &str = "select a.id, b.id as other, c.id as third, a.name \
    from shop.items a, shop.items b, shop.items c where c.id <= 30";

#[test]
fn extract_reports_what_it_took() {
    let workshop = Workshop::new();
    let reports = workshop.lake(&format!("extract --date {DAY} --json")).done().json();
    let tables = |report: &Value| -> BTreeMap<String, u64> {
        let tables = report["tables"].as_array().unwrap().iter();
        tables
            .map(|table| {
                (
                    table["name"].as_str().unwrap().to_owned(),
                    table["rows"].as_u64().unwrap(),
                )
            })
            .collect()
    };
    let [shop, files] = &reports.as_array().unwrap()[..] else {
        panic!("{reports}")
    };
    let of_shop = [("items", 100), ("labels", 7), ("notes", 0)].map(|(name, rows)| (name.to_owned(), rows));
    assert_eq!(tables(shop), of_shop.into());
    assert_eq!(tables(files), [("rates".to_owned(), 3)].into());
    assert_eq!(
        shop["rows"].as_u64().unwrap() + files["rows"].as_u64().unwrap(),
        ROWS_OF_DAY
    );
    assert_eq!((&shop["source"], &shop["date"]), (&json!("shop"), &json!(DAY)));

    let one = workshop
        .lake(&format!("extract --date {DAY} --source files --json"))
        .done()
        .json();
    assert_eq!(
        (one[0]["source"].as_str(), one.as_array().unwrap().len()),
        (Some("files"), 1)
    );

    workshop
        .source
        .execute("insert into labels values (8, 'one more'); insert into notes values (1, 'not asked for')");
    let one = workshop
        .lake(&format!("extract --date {DAY} --table labels --json"))
        .done()
        .json();
    assert_eq!(tables(&one[0]), [("labels".to_owned(), 8)].into());
    let counts = "select (select count(*) from labels) as labels, (select count(*) from notes) as notes";
    assert_eq!(workshop.sql(&format!("--date {DAY}"), counts), "labels,notes\n8,0\n");
}

#[test]
fn a_day_of_single_tables_is_not_complete() {
    let workshop = Workshop::new();
    workshop.lake(&format!("extract --date {DAY} --table items")).done();
    assert_eq!(
        workshop.sql(&format!("--date {DAY}"), "select count(*) as n from shop.items"),
        "n\n100\n"
    );
    let message = workshop.lake(&format!("load --date {DAY}")).failed(3);
    assert!(message.contains("extract of shop"), "{message}");
    assert_eq!(states(&workshop, DAY)["extract shop"], "missing");
}

#[test]
fn every_step_reports_as_json() {
    let workshop = Workshop::new();
    let report = workshop.lake(&format!("run --date {DAY} --json")).done().json();
    assert_eq!(report["transform"]["rows"], 100);
    assert_eq!(report["load"]["rows"], ROWS_OF_DAY + 100);
    assert_eq!(report["export"]["files"].as_array().unwrap().len(), 2);
    for (step, field, count) in [
        ("transform", "queries", 1),
        ("load", "tables", 5),
        ("export", "files", 2),
    ] {
        let alone = workshop.lake(&format!("{step} --date {DAY} --json")).done().json();
        assert_eq!(alone[field].as_array().unwrap().len(), count, "{alone}");
        assert_eq!(alone["rows"], report[step]["rows"], "{alone}");
    }
    let loaded = workshop
        .lake(&format!("load --date {DAY} --table labels --json"))
        .done()
        .json();
    assert_eq!(
        (loaded["tables"][0]["target"].as_str(), loaded["rows"].as_u64()),
        (Some("public.labels"), Some(7))
    );
    let files = workshop
        .lake(&format!("export --date {DAY} --format ndjson,parquet --json"))
        .done()
        .json();
    let paths: Vec<_> = files["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["path"].as_str().unwrap())
        .collect();
    assert!(
        paths[0].ends_with("report.ndjson") && paths[1].ends_with("report.parquet"),
        "{paths:?}"
    );
}

#[test]
fn queries_run_side_by_side() {
    let workshop = Workshop::new();
    let mut config = workshop.read("lake.yaml");
    for (name, rows) in [("first", 30), ("second", 20), ("third", 10)] {
        config += &format!("  {name}: ./{name}.sql\n");
        workshop.write(&format!("{name}.sql"), &MANY_ROWS.replace("30", &rows.to_string()));
    }
    workshop.write("lake.yaml", &config);
    workshop.lake(&format!("extract --date {DAY}")).done();
    let report = workshop.lake(&format!("transform --date {DAY} --json")).done().json();
    let queries = report["queries"].as_array().unwrap().iter();
    let rows: Vec<_> = queries
        .map(|query| (query["query"].as_str().unwrap(), query["rows"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        rows,
        [
            ("first", 300_000),
            ("report", 100),
            ("second", 200_000),
            ("third", 100_000)
        ]
    );
}

#[test]
fn stderr_is_as_loud_as_it_was_asked_to_be() {
    let workshop = Workshop::new();
    for step in ["extract", "transform", "load", "export", "run", "verify"] {
        let quiet = workshop.lake(&format!("{step} --date {DAY} -q")).done();
        assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""), "{step}");
    }
    for progress in ["auto", "log", "none"] {
        let told = workshop.lake(&format!("run --date {DAY} --progress {progress}")).done();
        assert_eq!(told.stdout, "");
        assert!(!told.stderr.contains(['\x1b', '\r']), "{told}");
        for line in [
            "extract   shop: 3 tables, 107 rows",
            "extract   files: 1 table, 3 rows",
            "load      5 tables",
        ] {
            assert!(told.stderr.contains(line), "{line} in {told}");
        }
    }
    let detailed = workshop.lake(&format!("run --date {DAY} -v")).done();
    assert!(detailed.stderr.contains("items: 100 rows"), "{detailed}");

    for line in [format!("run --date {DAY} -v -v"), "extract --source nowhere".into()] {
        let told = workshop.lake(&format!("{line} --log-format json"));
        assert!(!told.stderr.is_empty());
        let mut last = Value::Null;
        for line in told.stderr.lines() {
            let message: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(
                message["level"].is_string() && message["timestamp"].is_string(),
                "{line}"
            );
            // Details come after the last message too, as that of the peak of memory does.
            if message["level"] != "DEBUG" {
                last = message["level"].clone();
            }
        }
        assert_eq!(last, if told.status == Some(0) { "INFO" } else { "ERROR" });
    }
}

#[test]
fn every_flag_has_its_variable() {
    let mut workshop = Workshop::new();
    fs::create_dir(workshop.path("elsewhere")).unwrap();
    fs::rename(workshop.path("lake.yaml"), workshop.path("elsewhere/other.yaml")).unwrap();
    for name in ["rates.csv", "report.sql"] {
        fs::rename(workshop.path(name), workshop.path("elsewhere").join(name)).unwrap();
    }
    for (name, value) in [
        ("CONFIG", "elsewhere/other.yaml"),
        ("DATE", "2026-02-03"),
        ("JOBS", "1"),
        ("QUIET", "1"),
    ] {
        workshop.set(&format!("LAKE_{name}"), value);
    }
    let told = workshop.lake("run").done();
    assert_eq!(told.stderr, "");
    assert!(
        workshop.path("elsewhere/output/2026-02-03/report.csv").is_file(),
        "paths are relative to the config"
    );
    assert_eq!(workshop.sql("", "select count(*) as n from items"), "n\n100\n");

    // A flag goes before its variable.
    workshop.lake("extract --date 2026-02-04").done();
    workshop.set("LAKE_DATE", "");
    workshop.unset("LAKE_DATE");
    let days = "select distinct extract_date as d from items order by d";
    assert_eq!(workshop.sql("", days), "d\n2026-02-03\n2026-02-04\n");
    workshop.set("LAKE_JOBS", "0");
    assert!(workshop.lake("extract").failed(2).contains("--jobs"));
    workshop.unset("LAKE_JOBS");
    workshop.set("LAKE_QUIET", "0");
    assert_ne!(workshop.lake("extract --source files").done().stderr, "");
    workshop.set("LAKE_LOG_FORMAT", "json");
    let told = workshop.lake("extract --source files").done().stderr;
    assert!(told.starts_with('{'), "{told}");
    workshop.set("LAKE_SOURCE", "files,shop");
    assert_eq!(
        workshop.lake("extract --json").done().json().as_array().unwrap().len(),
        2
    );
}

#[test]
fn dotenv_files_are_read() {
    let mut workshop = Workshop::new();
    let (source, target) = (workshop.source.url.clone(), workshop.target.url.clone());
    workshop.unset("SOURCE_URL");
    workshop.unset("TARGET_URL");
    workshop.write(
        ".env",
        &format!("SOURCE_URL={source}\nTARGET_URL=\"{target}\"\nLAKE_DATE={DAY}\n"),
    );
    workshop.lake("run").done();
    assert_eq!(workshop.target.query("select count(*) from items"), "100");
    assert!(workshop.path(&format!("output/{DAY}/report.csv")).is_file());

    // The environment goes before the file, and the file beside the config is read from anywhere.
    workshop.set("SOURCE_URL", "postgres://nobody@127.0.0.1:1/none");
    assert!(workshop.lake("extract --source shop").failed(1).contains("127.0.0.1:1"));
    workshop.unset("SOURCE_URL");
    let config = workshop.path("lake.yaml");
    let mut command = workshop.command("");
    command.current_dir("/").arg("check").arg("--config").arg(config);
    let checked = command.output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    for line in [
        "this is no line of variables: s3cret",
        "URL=postgres://u:pa$s3cret@h/d",
        "URL='s3cret",
    ] {
        workshop.write(".env", &format!("A=1\n{line}\n"));
        let message = workshop.lake("check").failed(2);
        assert!(message.contains(".env:2") && !message.contains("s3cret"), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_with_a_password_that_others_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let workshop = Workshop::new();
    let config = fs::read_to_string(workshop.path("lake.yaml")).unwrap();
    workshop.write(
        "lake.yaml",
        &config.replace("${SOURCE_URL}", "postgres://u:s3cret@127.0.0.1:1/none"),
    );
    workshop.write(".env", "PGPASSWORD=s3cret\n");
    for (mode, count) in [(0o644, 1), (0o600, 0)] {
        for file in ["lake.yaml", ".env"] {
            fs::set_permissions(workshop.path(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        let output = workshop.command("status").output().unwrap();
        let messages = String::from_utf8(output.stderr).unwrap();
        for file in ["lake.yaml", ".env"] {
            let told = format!("{file} holds a password, and others can read it");
            assert_eq!(messages.matches(&told).count(), count, "{messages}");
        }
        assert!(!messages.contains("s3cret"), "{messages}");
    }
}

#[test]
fn a_day_run_twice_is_the_same_day() {
    let workshop = Workshop::with_day();
    let names = |workshop: &Workshop| -> Vec<String> {
        let names = workshop.lake_files().into_keys().map(|path| path.display().to_string());
        let data = names.filter(|name| name.ends_with(".parquet"));
        data.map(|name| name.rsplit_once('/').unwrap().0.to_owned()).collect()
    };
    let (output, data) = (workshop.files("output"), names(&workshop));
    let rows = workshop.target.query("select array_agg(t order by id) from items t");
    workshop.lake(&format!("run --date {DAY}")).done();
    assert!(workshop.files("output") == output);
    assert_eq!(names(&workshop), data);
    assert_eq!(
        workshop.target.query("select array_agg(t order by id) from items t"),
        rows
    );
    workshop.lake(&format!("run --date {DAY} --jobs 1")).done();
    assert!(workshop.files("output") == output, "one job gives the same bytes");
}

/// The state of each step of a day.
fn states(workshop: &Workshop, day: &str) -> BTreeMap<String, String> {
    let days = workshop.lake(&format!("status --date {day} --json")).done().json();
    let steps = days[0]["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            (
                step["step"].as_str().unwrap().to_owned(),
                step["state"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[test]
fn status_tells_each_step_of_each_day() {
    let mut workshop = Workshop::new();
    let steps = ["export", "extract files", "extract shop", "load", "transform"];
    let all = |state: &str| steps.map(|step| (step.to_owned(), state.to_owned())).into();
    assert_eq!(states(&workshop, DAY), all("missing"));
    let empty = workshop.lake("status").done();
    assert!(empty.stdout.is_empty() && empty.stderr.contains("lake run"), "{empty}");

    workshop.lake(&format!("run --date {DAY}")).done();
    assert_eq!(states(&workshop, DAY), all("done"));

    // A new extract makes what was made from the old one stale.
    workshop.lake(&format!("extract --date {DAY} --source shop")).done();
    let now = states(&workshop, DAY);
    assert_eq!((now["transform"].as_str(), now["load"].as_str()), ("stale", "stale"));
    workshop.lake(&format!("run --date {DAY}")).done();
    assert_eq!(states(&workshop, DAY), all("done"));

    let url = workshop.source.url.clone();
    workshop.set("SOURCE_URL", &(url.clone() + "_gone"));
    workshop.lake(&format!("extract --date {DAY} --source shop")).failed(1);
    workshop.set("SOURCE_URL", &url);
    let shown = workshop.lake("status").done().stdout;
    assert_eq!(states(&workshop, DAY)["extract shop"], "failed");
    for text in [
        DAY,
        "FAILED",
        "_gone",
        &format!("`lake extract --date {DAY} --source shop`"),
    ] {
        assert!(shown.contains(text), "{text} in {shown}");
    }

    let session = workshop.source.session();
    session.execute("begin; lock table items in access exclusive mode");
    let mut running = workshop.start(&format!("extract --date {DAY} --source shop"));
    workshop.source.wait_for_lock();
    assert_eq!(states(&workshop, DAY)["extract shop"], "running");
    assert!(running.kill());
    assert_eq!(states(&workshop, DAY)["extract shop"], "interrupted");
    let shown = workshop.lake("status").done().stdout;
    assert!(shown.contains("INTERRUPTED"), "{shown}");
    drop(session);
    workshop.lake(&format!("extract --date {DAY} --source shop")).done();
    assert_eq!(states(&workshop, DAY)["extract shop"], "done");

    let range = workshop
        .lake("status --from 2026-01-30 --to 2026-02-01 --json")
        .done()
        .json();
    let dates: Vec<_> = range
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["date"].as_str().unwrap())
        .collect();
    assert_eq!(dates, ["2026-01-30", DAY, "2026-02-01"]);
}

/// A load or an export of one table is not the day's.
#[test]
fn a_part_of_a_step_is_not_the_step() {
    let workshop = Workshop::new();
    workshop.lake(&format!("extract --date {DAY}")).done();
    workshop.lake(&format!("transform --date {DAY}")).done();
    workshop.lake(&format!("load --date {DAY} --table labels")).done();
    assert_ne!(states(&workshop, DAY)["load"], "done");
    workshop.lake(&format!("load --date {DAY}")).done();
    workshop.lake(&format!("load --date {DAY} --table labels")).done();
    assert_eq!(states(&workshop, DAY)["load"], "done");
}

#[test]
fn every_step_of_every_run_is_a_row() {
    let workshop = Workshop::with_day();
    workshop
        .lake(&format!("extract --date {DAY} --source shop --table nothing"))
        .failed(2);
    let rows = workshop.sql(
        "",
        "select command, step, source, status, tables, rows from lake.runs order by started_at",
    );
    assert_eq!(
        rows,
        "command,step,source,status,tables,rows\n\
         lake run,extract,shop,done,3,107\n\
         lake run,extract,files,done,1,3\n\
         lake run,transform,,done,1,100\n\
         lake run,load,,done,5,210\n\
         lake run,export,,done,2,200\n\
         lake extract,extract,shop,failed,0,0\n"
    );
    let error = workshop.sql("", "select error from lake.runs where status = 'failed'");
    assert!(error.contains("nothing"), "{error}");
}

/// Days of a backfill, with what became of each.
fn outcomes(outcome: &Outcome) -> Vec<(String, String)> {
    let days = outcome.json();
    let text = |day: &Value, field: &str| day[field].as_str().unwrap().to_owned();
    days.as_array()
        .unwrap()
        .iter()
        .map(|day| (text(day, "date"), text(day, "outcome")))
        .collect()
}

#[test]
fn a_backfill_goes_on_where_it_was() {
    let workshop = Workshop::new();
    let range = "backfill --from 2026-01-01 --to 2026-01-04 --json";
    let days = |outcomes: [&str; 4]| -> Vec<_> {
        let days = outcomes.into_iter().zip(1..);
        days.map(|(outcome, day)| (format!("2026-01-0{day}"), outcome.to_owned()))
            .collect()
    };
    let dry = workshop.lake(&format!("{range} --dry-run")).done();
    assert_eq!(outcomes(&dry), days(["would run"; 4]));
    assert!(
        workshop.lake_files().is_empty()
            && workshop
                .target
                .query("select count(*) from pg_tables where schemaname = 'public'")
                == "0"
    );

    // Something in the way of one day.
    let blocked = workshop.path("lake/_locks/shop/2026-01-02.lock");
    fs::create_dir_all(&blocked).unwrap();
    let ran = workshop.lake(range);
    assert_eq!(ran.status, Some(1), "{ran}");
    assert_eq!(outcomes(&ran), days(["done", "failed", "done", "done"]));
    for text in [
        "4 days: 3 done, 1 failed",
        "`lake run --date 2026-01-02`",
        "error: 1 of 4 days failed",
    ] {
        assert!(ran.stderr.contains(text), "{text} in {ran}");
    }
    let exported = |day: &str| fs::read(workshop.path(&format!("output/{day}/report.csv"))).unwrap();
    assert_eq!(exported("2026-01-01"), exported("2026-01-04"));

    let failed = workshop.lake(&format!("{range} --only failed --dry-run")).done();
    assert_eq!(outcomes(&failed), days(["skipped", "would run", "skipped", "skipped"]));
    fs::remove_dir(&blocked).unwrap();
    let resumed = workshop.lake(range).done();
    assert_eq!(outcomes(&resumed), days(["skipped", "done", "skipped", "skipped"]));
    assert_eq!(exported("2026-01-02"), exported("2026-01-04"));
    assert!(
        resumed.stderr.contains("`lake load --date 2026-01-04`"),
        "the target has an earlier day now: {resumed}"
    );

    assert_eq!(outcomes(&workshop.lake(range).done()), days(["skipped"; 4]));
    assert_eq!(
        outcomes(&workshop.lake(&format!("{range} --only failed")).done()),
        days(["skipped"; 4])
    );
    assert_eq!(
        outcomes(&workshop.lake(&format!("{range} --only all")).done()),
        days(["done"; 4])
    );
}

/// A file of the lake that can't be read is the trouble of its day.
#[test]
fn a_damaged_day_does_not_stop_a_backfill() {
    let workshop = Workshop::new();
    fs::create_dir_all(workshop.path("lake/_manifests/shop")).unwrap();
    workshop.write("lake/_manifests/shop/2026-01-02.json", "{\"half\": ");
    let ran = workshop.lake("backfill --from 2026-01-01 --to 2026-01-03 --json");
    assert_eq!(ran.status, Some(1), "{ran}");
    let outcomes: Vec<_> = outcomes(&ran).into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, ["done", "failed", "done"], "{ran}");
    assert!(ran.stderr.contains("_manifests/shop/2026-01-02.json"), "{ran}");
}

#[test]
fn a_query_writes_every_format() {
    let workshop = Workshop::with_day();
    let sql = "select id, label from labels where id < 3 order by id";
    for (format, text) in [
        ("csv", "id,label\n1,label 1\n2,label 2\n"),
        ("tsv", "id\tlabel\n1\tlabel 1\n2\tlabel 2\n"),
        (
            "ndjson",
            "{\"id\":1,\"label\":\"label 1\"}\n{\"id\":2,\"label\":\"label 2\"}\n",
        ),
        (
            "table",
            " id |  label  \n----+---------\n  1 | label 1\n  2 | label 2\n(2 rows)\n",
        ),
    ] {
        let shown = workshop
            .lake_sql(&format!("query --date {DAY} --format {format}"), sql)
            .done();
        assert_eq!(shown.stdout, text);
        assert_eq!(shown.stderr, "");
        workshop
            .lake_sql(
                &format!("query --date {DAY} --format {format} -o out/rows.{format}"),
                sql,
            )
            .done();
        assert_eq!(workshop.read(&format!("out/rows.{format}")), text);
    }
    let rows = json!([{"id": 1, "label": "label 1"}, {"id": 2, "label": "label 2"}]);
    assert_eq!(
        workshop
            .lake_sql(&format!("query --date {DAY} --format json"), sql)
            .done()
            .json(),
        rows
    );

    // The file's name tells the format, and a query that fails leaves the file as it was.
    let written = workshop
        .lake_sql(&format!("query --date {DAY} -o rows.json"), sql)
        .done();
    assert_eq!(written.stdout, "");
    assert!(written.stderr.contains("wrote rows.json: 2 rows"), "{written}");
    let failing = "select cast(label as int) from labels";
    workshop
        .lake_sql(&format!("query --date {DAY} -o rows.json"), failing)
        .failed(1);
    assert_eq!(
        serde_json::from_str::<Value>(&workshop.read("rows.json")).unwrap(),
        rows
    );
    workshop
        .lake_sql(&format!("query --date {DAY} -o rows.parquet"), sql)
        .done();
    assert!(fs::read(workshop.path("rows.parquet")).unwrap().starts_with(b"PAR1"));

    workshop.write("rows.sql", sql);
    let from_file = workshop
        .lake(&format!("query --date {DAY} --format csv -f rows.sql"))
        .done();
    let from_stdin = workshop
        .lake_with_stdin(&format!("query --date {DAY} --format csv"), sql)
        .done();
    assert_eq!(from_file.stdout, "id,label\n1,label 1\n2,label 2\n");
    assert_eq!(from_stdin.stdout, from_file.stdout);

    workshop.lake("extract --date 2026-02-01").done();
    let days = "select extract_date, count(*) as n from shop.labels group by 1 order by 1";
    assert_eq!(workshop.sql("", days), "extract_date,n\n2026-01-31,7\n2026-02-01,7\n");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let workshop = Workshop::with_day();
    let quiet_end = |command: &mut Command, lines: usize| {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        for _ in 0..lines {
            assert_ne!(stdout.read_line(&mut String::new()).unwrap(), 0);
        }
        drop(stdout);
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), stderr.as_str()),
            (Some(0), ""),
            "{command:?}"
        );
    };
    for format in ["table", "csv", "tsv", "json", "ndjson"] {
        quiet_end(
            workshop
                .command(&format!("query --date {DAY} --format {format}"))
                .arg(MANY_ROWS),
            1,
        );
    }
    for line in [
        "status".to_owned(),
        "status --json".into(),
        "completions bash".into(),
        "check".into(),
        "help".into(),
        format!("verify -q --json --date {DAY}"),
        format!("run -q --json --date {DAY}"),
        format!("query --format parquet --date {DAY} values(1)"),
    ] {
        quiet_end(&mut workshop.command(&line), 0);
    }
}

#[test]
fn verify_finds_what_differs() {
    let workshop = Workshop::with_day();
    let equal = workshop.lake(&format!("verify --date {DAY}")).done();
    assert!(equal.stderr.contains("public.items: 100 rows equal"), "{equal}");
    workshop
        .target
        .execute("update items set price = 0 where id = 7; delete from labels where id = 1");
    let differs = workshop.lake(&format!("verify --date {DAY} --json"));
    assert_eq!(differs.status, Some(4), "{differs}");
    let tables = differs.json();
    let mismatches = tables["tables"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|table| !table["mismatch"].is_null());
    let names: Vec<_> = mismatches.map(|table| table["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["items", "labels"]);
    let command = format!("lake load --date {DAY}");
    for text in [
        "public.items: other values in price",
        "public.labels: 7 rows in the lake, 6 in the target",
        &command,
    ] {
        assert!(differs.stderr.contains(text), "{text} in {differs}");
    }
    workshop.lake(&format!("load --date {DAY}")).done();
    workshop.lake(&format!("verify --date {DAY}")).done();
}

#[test]
fn check_tries_everything() {
    let mut workshop = Workshop::new();
    let checked = workshop.lake("check").done();
    let lines: Vec<_> = checked.stdout.lines().collect();
    assert!(
        lines.len() >= 7 && lines.iter().all(|line| line.starts_with("ok ")),
        "{checked}"
    );
    assert!(checked.stdout.contains("3 tables"), "{checked}");
    assert!(workshop.lake_files().is_empty() && workshop.files("output").is_empty());

    fs::remove_file(workshop.path("rates.csv")).unwrap();
    let url = workshop.target.url.clone() + "_gone";
    workshop.set("TARGET_URL", &url);
    let checked = workshop.lake("check");
    assert_eq!(checked.status, Some(1), "{checked}");
    let failed: Vec<_> = checked.stdout.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert_eq!(failed.len(), 2, "{checked}");
    assert!(
        failed[0].contains("rates.csv") && failed[1].contains("check the database's name"),
        "{checked}"
    );
    assert!(checked.stderr.contains("2 checks failed"), "{checked}");
}

#[test]
fn rows_that_no_load_has_put_into_the_target_are_told_of_before() {
    let workshop = Workshop::new();
    workshop
        .target
        .execute("create table labels (id int, label text); insert into labels values (1, 'mine'), (2, 'too')");
    let checked = workshop.lake("check");
    assert_eq!(checked.status, Some(1), "{checked}");
    assert!(checked.stdout.contains("labels: 2 rows"), "{checked}");
    assert!(
        checked.stdout.contains("`lake run --take-over` replaces these rows"),
        "{checked}"
    );
    let refused = workshop.lake(&format!("run --date {DAY}")).failed(2);
    let command = format!("`lake load --date {DAY} --take-over`");
    assert!(refused.contains(&command), "{refused}");
    assert_eq!(workshop.target.query("select count(*) from labels"), "2");
    let loaded = workshop.lake(&format!("load --date {DAY} --take-over")).done();
    assert!(
        loaded.stderr.contains("is taken over, and its rows are replaced: "),
        "{loaded}"
    );
    workshop.lake("check").done();
    workshop.lake(&format!("run --date {DAY}")).done();
}

#[test]
fn a_target_that_is_the_source_is_refused() {
    let mut workshop = Workshop::new();
    workshop.lake(&format!("extract --date {DAY} --source shop")).done();
    workshop.source.execute("insert into labels values (8, 'newer')");
    let url = workshop.source.url.replacen("127.0.0.1", "localhost", 1);
    workshop.set("TARGET_URL", &url);
    let refused = workshop.lake(&format!("load --date {DAY} --table labels"));
    assert_eq!(refused.status, Some(2), "{refused}");
    assert!(
        refused.stderr.contains("the target is the database of source shop"),
        "{refused}"
    );
    assert_eq!(workshop.source.query("select count(*) from labels"), "8");
    let checked = workshop.lake("check");
    assert!(
        checked
            .stdout
            .contains("FAIL  target: the target is the database of source shop"),
        "{checked}"
    );
}

#[test]
fn completions_are_a_script() {
    let workshop = Workshop::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = workshop.lake(&format!("completions {shell}")).done();
        assert!(
            script.stdout.contains("backfill") && script.stderr.is_empty(),
            "{shell}"
        );
    }
    let script = workshop.lake("completions bash").stdout;
    workshop.write("lake.bash", &script);
    assert!(
        Command::new("bash")
            .arg("-n")
            .arg(workshop.path("lake.bash"))
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn the_generated_sample_is_the_same_each_time() {
    let workshop = Workshop::new();
    for line in ["--dir a", "--dir b", "--dir c --seed 7", "--dir d --scale 2"] {
        workshop.lake(&format!("generate northwind {line}")).done();
    }
    assert!(workshop.files("a") == workshop.files("b"));
    for other in ["c", "d"] {
        for name in ["northwind.sql", "order_details.csv"] {
            assert_ne!(
                workshop.read(&format!("a/{name}")),
                workshop.read(&format!("{other}/{name}"))
            );
        }
    }
    workshop.source.execute("drop table items, labels, notes");
    workshop.source.execute(&workshop.read("a/northwind.sql"));
    let reports = workshop
        .lake(&format!("extract --date {DAY} --source shop --json"))
        .done()
        .json();
    let orders = reports[0]["tables"]
        .as_array()
        .unwrap()
        .iter()
        .find(|table| table["name"] == "orders")
        .unwrap();
    assert_eq!(orders["rows"], 830);
    assert!(
        workshop
            .lake("generate northwind --scale 0")
            .failed(2)
            .contains("--scale")
    );
}

#[test]
fn of_two_runs_of_a_day_one_wins_and_the_other_says_who() {
    let workshop = Workshop::with_day();
    let session = workshop.source.session();
    session.execute("begin; lock table items in access exclusive mode");
    let mut first = workshop.start(&format!("extract --date {DAY}"));
    workshop.source.wait_for_lock();
    let before = workshop.lake_files();
    let message = workshop.lake(&format!("extract --date {DAY} --source shop")).failed(1);
    for text in [
        DAY,
        "shop",
        &format!("process {} (lake extract", first.id()),
        "wait for it to end",
    ] {
        assert!(message.contains(text), "{text} in {message}");
    }
    assert!(workshop.lake_files() == before);
    workshop.lake("transform --date 2026-01-31").done();
    drop(session);
    assert_eq!(first.status(), Some(0));

    workshop.lake(&format!("transform --date {DAY}")).done();
    let session = workshop.target.session();
    session.execute("begin; lock table items in share mode");
    let mut first = workshop.start(&format!("load --date {DAY}"));
    workshop.target.wait_for_lock();
    let message = workshop.lake(&format!("load --date {DAY}")).failed(1);
    for text in [
        "load of",
        "public",
        "is being loaded by",
        "lake load",
        "wait for it to end",
    ] {
        assert!(message.contains(text), "{text} in {message}");
    }
    drop(session);
    assert_eq!(first.status(), Some(0));
    workshop.lake(&format!("verify --date {DAY}")).done();
}

#[test]
fn two_exports_of_a_day_at_once_give_the_same_files() {
    let workshop = Workshop::with_day();
    workshop.write("report.sql", &format!("{MANY_ROWS} order by 1, 2, 3"));
    workshop.lake(&format!("transform --date {DAY}")).done();
    workshop.lake(&format!("export --date {DAY}")).done();
    let output = workshop.files("output");
    let mut first = workshop.start(&format!("export --date {DAY}"));
    wait_for("the export to write", || workshop.files("output").len() > output.len());
    workshop.lake(&format!("export --date {DAY}")).done();
    assert_eq!(first.status(), Some(0));
    assert!(workshop.files("output") == output);
}

#[test]
fn a_signal_stops_a_command_and_leaves_the_old_day() {
    let workshop = Workshop::with_day();
    workshop.write("report.sql", &format!("{MANY_ROWS} order by 1, 2, 3"));
    workshop.target.execute("drop table report");
    workshop.lake(&format!("run --date {DAY}")).done();
    let output = workshop.files("output");
    workshop.source.execute("update items set name = 'of the new day'");
    workshop.target.execute("update items set name = 'as it was'");
    for (signal, status) in [("TERM", 143), ("INT", 130)] {
        let before = workshop.lake_files();

        let session = workshop.source.session();
        session.execute("begin; lock table items in access exclusive mode");
        let mut extract = workshop.start(&format!("extract --date {DAY}"));
        workshop.source.wait_for_lock();
        extract.signal(signal);
        assert_eq!(extract.status(), Some(status));
        drop(session);
        assert!(workshop.lake_files() == before);

        let session = workshop.target.session();
        session.execute("begin; lock table items in share mode");
        let mut load = workshop.start(&format!("load --date {DAY}"));
        workshop.target.wait_for_lock();
        load.signal(signal);
        assert_eq!(load.status(), Some(status));
        drop(session);
        assert_eq!(workshop.target.query("select distinct name from items"), "as it was");

        let mut export = workshop.start(&format!("export --date {DAY}"));
        wait_for("the export to write", || workshop.files("output").len() > output.len());
        export.signal(signal);
        assert_eq!(export.status(), Some(status), "{signal} in an export");
        for (path, content) in &output {
            assert!(
                fs::read(workshop.path("output").join(path)).unwrap() == *content,
                "{}",
                path.display()
            );
        }
        workshop.lake(&format!("export --date {DAY}")).done();
        assert!(
            workshop.files("output") == output,
            "nothing is left of the export that was stopped"
        );

        // A command that waits for its input.
        let mut query = workshop.start("query");
        // More than the pipe holds: once it is written, the command is reading, and goes on.
        query.write(&" ".repeat(1 << 20));
        query.signal(signal);
        assert_eq!(query.status(), Some(status), "{signal} in a query that waits for SQL");
    }
    assert_eq!(states(&workshop, DAY)["load"], "interrupted");
    workshop.lake(&format!("run --date {DAY}")).done();
    assert_eq!(
        workshop.target.query("select distinct name from items"),
        "of the new day"
    );
    let left = "select count(*) from pg_class where relname like '%staging%'";
    assert_eq!(workshop.target.query(left), "0");
}
