//! Each step killed with SIGKILL at many moments. After each: readers see the old day or the new one,
//! wholly; and the step, run again, leaves what an undisturbed run leaves.
//!
//! The day has two states, in a database each. A step brings it from one to the other, so that every
//! moment starts from a whole day and ends with one: which of them is old alternates.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::workshop::{DAY, Database, Workshop, wait_for, walk};

const CONFIG: &str = r#"
lake: ${STATE_FOLDER}
output: ./output
exports: [csv, json]
sources:
  shop: {type: postgres, url: "${SOURCE_URL}"}
target: {type: postgres, url: "${TARGET_URL}"}
queries:
  report: ./report.sql
  totals: ./totals.sql
"#;

const REPORT: &str = "
select i.id, i.version, i.price, i.note, l.label, l.version as label_version
from shop.items i join shop.labels l on l.id = i.id % 2000 + 1
order by i.id
";

const TOTALS: &str = "select version, count(*) as items, sum(price) as price from shop.items group by version";

/// Moments spread over a step's undisturbed duration; it may take longer than it did.
const PARTS: &[f64] = &[0.1, 0.25, 0.4, 0.55, 0.65, 0.75, 0.85, 0.95];

/// Every row has the state's number, and each state a table that the other has not. There are rows enough for
/// several connections, to which staging tables are shown.
fn source(state: usize) -> String {
    let (items, labels) = ([20_000, 21_000][state], [2_500, 2_000][state]);
    format!(
        "create table items (id int primary key, version int not null, price numeric(12, 2) not null, note text);
         insert into items select g, {state}, g * 1.25, repeat(md5(g::text), 4) from generate_series(1, {items}) g;
         create table labels (id int primary key, version int not null, label varchar(40) not null);
         insert into labels select g, {state}, 'label ' || g from generate_series(1, {labels}) g;
         create table days (day date primary key, version int not null);
         insert into days select date '2020-01-01' + g, {state} from generate_series(0, 364) g;
         create table ticks as select g as n, {state} as version from generate_series(1, 50000) g;
         create table only_{state} as select {state} as version;"
    )
}

/// Starts a command and kills it as `now` says so; tells whether it was still running.
pub(crate) fn kill_when(command: &mut Command, now: impl Fn(Duration) -> bool) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    while !now(started.elapsed()) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

struct Scene {
    workshop: Workshop,
    sources: [Database; 2],
    /// One lake for each state, for steps that only read it; else one for both.
    lake_of_state: bool,
}

impl Scene {
    fn new() -> Self {
        let workshop = Workshop::with(CONFIG, "");
        workshop.write("report.sql", REPORT);
        workshop.write("totals.sql", TOTALS);
        Self {
            workshop,
            sources: [0, 1].map(|state| Database::new(&source(state))),
            lake_of_state: false,
        }
    }

    fn with_a_lake_of_each_state() -> Self {
        let scene = Self {
            lake_of_state: true,
            ..Self::new()
        };
        for state in [0, 1] {
            scene.run("extract", state);
            scene.run("transform", state);
        }
        scene
    }

    fn lake(&self, state: usize) -> String {
        if self.lake_of_state {
            format!("lake/{state}")
        } else {
            "lake".into()
        }
    }

    fn command(&self, line: &str, state: usize) -> Command {
        let mut command = self.workshop.command(line);
        command.env("STATE_FOLDER", self.lake(state));
        command.env("SOURCE_URL", &self.sources[state].url);
        command
    }

    /// Runs a step undisturbed and returns how long it took.
    #[track_caller]
    fn run(&self, step: &str, state: usize) -> Duration {
        let started = Instant::now();
        let output = self
            .command(&format!("{step} --date {DAY} -q"), state)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "lake {step}: {} {stderr}", output.status);
        started.elapsed()
    }

    fn kill(&self, step: &str, state: usize, now: impl Fn(Duration) -> bool) -> bool {
        kill_when(&mut self.command(&format!("{step} --date {DAY} -q"), state), now)
    }

    fn query(&self, sql: &str) -> String {
        let mut command = self.command(&format!("query --date {DAY} --format csv"), 0);
        let output = command.arg(sql).output().unwrap();
        format!(
            "{} {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// What a reader of the source's tables in the lake sees: one part, which is of one state.
    fn tables(&self) -> Vec<String> {
        vec![self.query(
            "select 'items' as name, version, count(*) as n, sum(price) as total from shop.items group by version
             union all select 'labels', version, count(*), sum(id) from shop.labels group by version
             union all select 'days', version, count(*), 0 from shop.days group by version
             order by 1, 2",
        )]
    }

    fn results(&self) -> Vec<String> {
        vec![self.query(
            "select 'report' as name, version, label_version, count(*) as n, sum(price) as total
                from results.report group by version, label_version
             union all select 'totals', version, -1, items, price from results.totals
             order by 1, 2",
        )]
    }

    /// In one statement, which has one snapshot.
    fn target(&self) -> Vec<String> {
        vec![self.workshop.target.query(
            "select row(name, version, n, content) from (
                select 'items' as name, version, count(*) as n, sum(hashtext(t::text)) as content from items t group by 2
                union all select 'labels', version, count(*), sum(hashtext(t::text)) from labels t group by 2
                union all select 'days', version, count(*), sum(hashtext(t::text)) from days t group by 2
                union all select 'report', version, count(*), sum(hashtext(t::text)) from report t group by 2
                union all select 'totals', version, count(*), sum(hashtext(t::text)) from totals t group by 2
                order by 1, 2) all_tables",
        )]
    }

    /// The exported files, each a part: each is replaced by itself.
    fn exports(&self) -> Vec<String> {
        ["report.csv", "report.json", "totals.csv", "totals.json"]
            .map(|name| self.workshop.read(&format!("output/{DAY}/{name}")))
            .to_vec()
    }

    /// The lake's files without their runs' names. Locks, records and Delta's log, which tell of every
    /// run, are left out, and half-written manifests, which come too seldom for a test of moments.
    fn lake_rest(&self) -> String {
        let root = self.workshop.path("lake");
        let mut names = Vec::new();
        walk(&root, &mut |path| {
            let path = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            let other = path.contains("_delta_log/") || path.contains(".tmp-");
            if !path.starts_with("_locks") && !path.starts_with("_runs") && !other {
                names.push(match path.split_once("/part-") {
                    Some((folder, part)) => format!("{folder}/part-{}", &part[..5]),
                    None => path,
                });
            }
        });
        names.sort();
        names.join("\n")
    }

    fn target_rest(&self) -> String {
        self.workshop.target.query(
            "select relname from pg_class where relname like '%staging%' and relkind = 'r'
             union all select nspname from pg_namespace where nspname like '%staging%'",
        )
    }

    fn output_rest(&self) -> String {
        let mut names = Vec::new();
        walk(&self.workshop.path("output"), &mut |path| {
            names.push(path.display().to_string())
        });
        names.sort();
        names.join("\n")
    }

    fn manifest(&self, source: &str) -> PathBuf {
        self.workshop.path(&format!("lake/_manifests/{source}/{DAY}.json"))
    }

    /// Files below a folder of the lake whose path has `part` in it.
    fn count(&self, folder: &str, part: &str) -> usize {
        let mut count = 0;
        walk(&self.workshop.path(folder), &mut |path| {
            count += usize::from(path.to_string_lossy().contains(part));
        });
        count
    }
}

/// How often a moment that came too late is tried again, earlier.
const EARLIER_MAX: u32 = 3;

/// Asked again and again while a step runs: is it now?
type Watch<'a> = Box<dyn Fn() -> bool + 'a>;

/// A moment that something visible marks: made before the step starts.
type Event = (&'static str, for<'a> fn(&'a Scene) -> Watch<'a>);

/// A step, and how it is looked at.
struct Step {
    name: &'static str,
    /// The steps that bring a state to where this one begins.
    before: &'static [&'static str],
    see: fn(&Scene) -> Vec<String>,
    rest: fn(&Scene) -> String,
    events: &'static [Event],
}

impl Step {
    fn prepare(&self, scene: &Scene, state: usize) {
        for step in self.before {
            scene.run(step, state);
        }
    }

    fn kill_at_many_moments(&self, scene: &Scene) {
        // Twice, since the first run of all makes what later ones replace.
        let mut seen = [Vec::new(), Vec::new()];
        let mut rest = [String::new(), String::new()];
        let mut duration = Duration::MAX;
        for state in [0, 1, 0, 1] {
            self.prepare(scene, state);
            duration = duration.min(scene.run(self.name, state));
            (seen[state], rest[state]) = ((self.see)(scene), (self.rest)(scene));
        }
        assert_ne!(seen[0], seen[1], "the states differ");

        let mut hits = 0;
        let (mut old, mut new) = (1, 0);
        for place in 0..PARTS.len() + self.events.len() {
            self.prepare(scene, new);
            let (moment, hit) = match PARTS.get(place) {
                Some(part) => {
                    let mut at = duration.mul_f64(*part);
                    let mut hit = scene.kill(self.name, new, |elapsed| elapsed >= at);
                    for _ in 0..EARLIER_MAX {
                        if hit {
                            break;
                        }
                        // It ended before that, since the machine is less busy now: back, and earlier.
                        self.prepare(scene, old);
                        scene.run(self.name, old);
                        self.prepare(scene, new);
                        at = at.mul_f64(0.6);
                        hit = scene.kill(self.name, new, |elapsed| elapsed >= at);
                    }
                    (format!("after {at:?}"), hit)
                }
                None => {
                    let (name, watch) = self.events[place - PARTS.len()];
                    let watch = watch(scene);
                    (name.to_owned(), scene.kill(self.name, new, |_| watch()))
                }
            };
            hits += usize::from(hit);
            let moment = format!("{} of state {new}, killed {moment} (hit: {hit})", self.name);
            for (i, part) in (self.see)(scene).into_iter().enumerate() {
                assert!(
                    part == seen[old][i] || part == seen[new][i],
                    "{moment}: a reader sees neither state:\n{}",
                    &part[..part.len().min(2000)]
                );
            }
            scene.run(self.name, new);
            let now = (self.see)(scene);
            for (part, wanted) in now.iter().zip(&seen[new]) {
                assert!(part == wanted, "{moment}: the rerun gives another result");
            }
            assert_eq!(
                (self.rest)(scene),
                rest[new],
                "{moment}: the rerun leaves other files or tables"
            );
            (old, new) = (new, old);
        }
        let moments = PARTS.len() + self.events.len();
        assert!(
            hits * 2 > moments,
            "only {hits} of {moments} moments came before the step's end"
        );
    }
}

/// A commit to this many more tables is on disk.
fn commits(scene: &Scene, more: usize) -> Watch<'_> {
    let before = scene.count("lake", "_delta_log/");
    Box::new(move || scene.count("lake", "_delta_log/") >= before + more)
}

fn manifest_replaced<'a>(scene: &'a Scene, source: &str) -> Watch<'a> {
    let path = scene.manifest(source);
    let before = fs::read(&path).unwrap();
    Box::new(move || fs::read(&path).is_ok_and(|now| now != before))
}

#[test]
fn extract() {
    let step = Step {
        name: "extract",
        before: &[],
        see: Scene::tables,
        rest: Scene::lake_rest,
        events: &[
            ("as a file is in staging", |scene| {
                Box::new(|| scene.count("lake/_staging", ".parquet") > 0)
            }),
            ("as four files are in staging", |scene| {
                Box::new(|| scene.count("lake/_staging", ".parquet") > 3)
            }),
            ("as a table is committed", |scene| commits(scene, 1)),
            ("as two tables are committed", |scene| commits(scene, 2)),
            // The four tables of the state, and the one that it has no longer.
            ("as all tables are committed", |scene| commits(scene, 5)),
            ("as the manifest is there", |scene| manifest_replaced(scene, "shop")),
        ],
    };
    step.kill_at_many_moments(&Scene::new());
}

#[test]
fn transform() {
    let step = Step {
        name: "transform",
        before: &["extract"],
        see: Scene::results,
        rest: Scene::lake_rest,
        events: &[
            ("as a file is in staging", |scene| {
                Box::new(|| scene.count("lake/_staging", ".parquet") > 0)
            }),
            ("as a result is committed", |scene| commits(scene, 1)),
            ("as both results are committed", |scene| commits(scene, 2)),
            ("as the manifest is there", |scene| manifest_replaced(scene, "results")),
        ],
    };
    step.kill_at_many_moments(&Scene::new());
}

#[test]
fn load() {
    let step = Step {
        name: "load",
        before: &[],
        see: Scene::target,
        rest: Scene::target_rest,
        events: &[
            ("as staging tables appear", |scene| {
                Box::new(|| scene.target_rest().contains("_lake_staging_"))
            }),
            ("as a staging table has rows", |scene| {
                let sql =
                    "select max(pg_relation_size(oid)) > 0 from pg_class where relname like '\\_lake\\_staging\\_%'";
                Box::new(|| scene.workshop.target.query(sql) == "true")
            }),
            ("as the tables are locked for the swap", |scene| {
                let sql =
                    "select count(*) from pg_locks where relation = 'items'::regclass and mode = 'RowExclusiveLock'";
                Box::new(|| scene.workshop.target.query(sql) != "0")
            }),
            ("as the swap is committed", |scene| {
                let before = scene.workshop.target.query("select max(version) from days");
                Box::new(move || scene.workshop.target.query("select max(version) from days") != before)
            }),
        ],
    };
    step.kill_at_many_moments(&Scene::with_a_lake_of_each_state());
}

/// In the middle of the swap for certain: the insertion into a table waits for the test.
#[test]
fn load_in_the_middle_of_its_transaction() {
    let scene = Scene::with_a_lake_of_each_state();
    let target = &scene.workshop.target;
    scene.run("load", 1);
    let new = scene.target();
    scene.run("load", 0);
    let old = scene.target();
    target.execute(
        "create function wait_for_test() returns trigger language plpgsql as $$
            begin perform pg_advisory_xact_lock(77); return null; end $$",
    );
    for table in ["days", "labels", "totals"] {
        target.execute(&format!(
            "create trigger wait before insert on {table} for each statement execute function wait_for_test()"
        ));
        let session = target.session();
        session.execute("select pg_advisory_lock(77)");
        let sql = "select count(*) from pg_locks where locktype = 'advisory' and not granted and
            database = (select oid from pg_database where datname = current_database())";
        let waits = || target.query(sql) != "0";
        assert!(scene.kill("load", 1, |_| waits()));
        assert_eq!(scene.target(), old, "killed at {table}");
        drop(session);
        wait_for("the end of the killed load's session", || {
            target.query(&sql.replace("not granted", "granted")) == "0"
        });
        assert_eq!(scene.target(), old, "killed at {table}, and its session is gone");
        target.execute(&format!("drop trigger wait on {table}"));
        scene.run("load", 1);
        assert_eq!(scene.target(), new, "killed at {table} and run again");
        assert_eq!(scene.target_rest(), "");
        scene.run("load", 0);
    }
}

#[test]
fn export() {
    let step = Step {
        name: "export",
        before: &[],
        see: Scene::exports,
        rest: Scene::output_rest,
        events: &[
            ("as a file is being written", |scene| {
                Box::new(|| scene.count("output", "/.report.") > 0)
            }),
            ("as both formats are being written", |scene| {
                Box::new(|| scene.count("output", "/.report.") > 1)
            }),
            ("as a file is replaced", |scene| {
                let before = scene.exports();
                let len = |name: &str| {
                    fs::metadata(scene.workshop.path(&format!("output/{DAY}/{name}")))
                        .unwrap()
                        .len()
                };
                Box::new(move || len("report.csv") != before[0].len() as u64)
            }),
        ],
    };
    step.kill_at_many_moments(&Scene::with_a_lake_of_each_state());
}

/// A day of which nothing was there before: it is missing or whole.
#[test]
fn the_first_extract_of_a_day() {
    let scene = Scene::new();
    let duration = scene.run("extract", 0);
    let (whole, rest) = (scene.tables(), scene.lake_rest());
    let mut missing = 0;
    for part in [0.1, 0.3, 0.5, 0.7, 0.8, 0.9] {
        fs::remove_dir_all(scene.workshop.path("lake")).unwrap();
        scene.kill("extract", 0, |elapsed| elapsed >= duration.mul_f64(part));
        let seen = scene.tables();
        if seen != whole {
            missing += 1;
            assert!(
                seen[0].starts_with("exit status: 3 error: extract of shop"),
                "{part}: {seen:?}"
            );
        }
        scene.run("extract", 0);
        assert_eq!(scene.tables(), whole, "killed after {part} of its duration");
        assert_eq!(scene.lake_rest(), rest, "killed after {part} of its duration");
    }
    assert!(missing > 0, "every moment came after the end");
}

/// What the moments above seldom catch, put there as a killed run leaves it.
#[test]
fn what_a_killed_run_left_goes_with_the_next() {
    let scene = Scene::new();
    let steps = ["extract", "transform", "export"];
    for step in steps {
        scene.run(step, 0);
    }
    let mut of_old_table = Vec::new();
    walk(&scene.workshop.path("lake/shop/only_0"), &mut |path| {
        if path.to_string_lossy().ends_with(".parquet") {
            of_old_table.push((path.to_owned(), fs::read(path).unwrap()));
        }
    });
    for step in steps {
        scene.run(step, 1);
    }
    let names = |scene: &Scene| {
        let mut names = Vec::new();
        for folder in [
            "lake/shop",
            "lake/results",
            "lake/_staging",
            "lake/_manifests",
            "output",
        ] {
            walk(&scene.workshop.path(folder), &mut |path| {
                names.push(path.display().to_string())
            });
        }
        names.retain(|name| !name.contains("_delta_log") && !name.ends_with(".parquet"));
        names.sort();
        (names, scene.lake_rest())
    };
    let before = names(&scene);

    for (path, content) in of_old_table {
        // The run that took the table away was killed before it deleted the files.
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    for name in [
        format!("lake/_manifests/shop/{DAY}.tmp"),
        format!("lake/_staging/shop/{DAY}/items/part-00000-20260131T000000-0000.parquet"),
        format!("lake/shop/items/extract_date={DAY}/part-00000-20260131T000000-0000.parquet"),
        format!("output/{DAY}/.report.csv.1.part"),
    ] {
        let path = scene.workshop.path(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "half of a file").unwrap();
    }
    for step in steps {
        scene.run(step, 1);
    }
    assert_eq!(names(&scene), before);
}

/// Readers that come while steps run, none of which is killed.
#[test]
fn readers_meanwhile() {
    let scene = Scene::new();
    let steps = ["extract", "transform", "load"];
    let mut seen = [Vec::new(), Vec::new()];
    for state in [0, 1, 0, 1] {
        for step in steps {
            scene.run(step, state);
        }
        seen[state] = vec![scene.tables(), scene.results(), scene.target()];
    }
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: [fn(&Scene) -> Vec<String>; 3] = [Scene::tables, Scene::results, Scene::target];
        for (i, read) in readers.into_iter().enumerate() {
            let (scene, seen, ended) = (&scene, &seen, &ended);
            scope.spawn(move || {
                let mut times = 0;
                while !ended.load(Ordering::Relaxed) {
                    let now = read(scene);
                    if now != seen[0][i] && now != seen[1][i] {
                        ended.store(true, Ordering::Relaxed);
                        panic!("a reader sees neither state: {now:?}");
                    }
                    times += 1;
                }
                assert!(times > 3, "{times} reads");
            });
        }
        for state in [0, 1, 0, 1] {
            if !ended.load(Ordering::Relaxed) {
                for step in steps {
                    scene.run(step, state);
                }
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
}
