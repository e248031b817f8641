//! An extract killed with SIGKILL while it writes earlier days anew, because columns have other types
//! now. After each moment every day that was complete reads as it did, and the next run, of whichever
//! day, ends with the manifests' files in the folders and in Delta, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kill::kill_when;
use crate::workshop::{Workshop, walk};

const CONFIG: &str = r#"
lake: ./lake
output: ./output
sources:
  shop: {type: postgres, url: "${SOURCE_URL}"}
"#;

const SOURCE: &str = "
    create table items (id int primary key, amount int, price numeric(8, 2), note text);
    insert into items select g, g * 7, g * 1.25, repeat(md5(g::text), 2) from generate_series(1, 10000) g;
    create table labels (id int primary key, code smallint);
    insert into labels select g, g from generate_series(1, 3000) g;
    create table same (id int primary key); insert into same values (1);
";

/// Each day has values of its own.
const BETWEEN_DAYS: &str =
    "update items set amount = amount + 1, price = price + 0.01; update labels set code = code + 1";

const CHANGE: &str = "
    alter table items alter amount type text, alter price type numeric(14, 4);
    alter table labels alter code type bigint;
    update items set amount = amount || '0'";

const OLD_DAYS: [&str; 3] = ["2026-01-01", "2026-01-02", "2026-01-03"];
const NEW_DAY: &str = "2026-01-04";

/// A line a table; the same whichever types the columns have by now.
const VALUES: &str = "\
    select 'items' as name, count(*) as n, sum(cast(amount as bigint)) as amounts, max(cast(amount as varchar)) as text, \
        cast(sum(price) as decimal(30, 4)) as total from items
    union all select 'labels', count(*), sum(code), max(cast(code as varchar)), 0 from labels
    union all select 'same', count(*), 0, '', 0 from same order by 1";

const OF_ALL_DAYS: &str = "\
    select extract_date as day, count(*) as n, sum(cast(amount as bigint)) as amounts, \
        cast(sum(price) as decimal(30, 4)) as total from items group by 1
    union all select extract_date, count(*), sum(code), 0 from labels group by 1 order by 1, 2";

const PARTS: &[f64] = &[0.15, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

struct Scene(Workshop);

impl Scene {
    /// Three days, and a source whose columns have changed since; the lake is kept to begin again with.
    fn new() -> Self {
        let workshop = Workshop::with(CONFIG, SOURCE);
        for day in OLD_DAYS {
            workshop.lake(&format!("extract --date {day}")).done();
            workshop.source.execute(BETWEEN_DAYS);
        }
        workshop.source.execute(CHANGE);
        let scene = Self(workshop);
        scene.copy("lake", "before");
        scene
    }

    fn copy(&self, from: &str, to: &str) {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(self.0.path(from)).arg(self.0.path(to));
        assert!(copy.status().unwrap().success());
    }

    fn begin_again(&self) {
        fs::remove_dir_all(self.0.path("lake")).unwrap();
        self.copy("before", "lake");
    }

    fn extract(&self, day: &str) {
        self.0.lake(&format!("extract --date {day} -q")).done();
    }

    /// What a reader sees of a day; nothing if it isn't complete.
    fn day(&self, day: &str) -> Option<String> {
        let outcome = self.0.lake_sql(&format!("query --format csv --date {day}"), VALUES);
        match outcome.status {
            Some(3) => None,
            _ => Some(outcome.done().stdout),
        }
    }

    /// Each day's lines of a reader of all days.
    fn all_days(&self) -> BTreeMap<String, Vec<String>> {
        let mut days: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in self.0.sql("", OF_ALL_DAYS).lines().skip(1) {
            let (day, values) = line.split_once(',').unwrap();
            days.entry(day.into()).or_default().push(values.into());
        }
        days
    }

    /// The files of each table's days: by the manifests, which are compared with the folders and Delta.
    #[track_caller]
    fn assert_whole(&self, moment: &str) {
        let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        walk(&self.0.path("lake/_manifests"), &mut |path| {
            let manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            for (table, entry) in manifest["tables"].as_object().unwrap() {
                let files = entry["files"].as_array().unwrap().iter();
                let paths = files.map(|file| file["path"].as_str().unwrap().to_owned());
                named.entry(table.clone()).or_default().extend(paths);
            }
        });
        for (table, files) in named {
            let folder = self.0.path("lake/shop").join(&table);
            assert_eq!(in_folder(&folder), files, "{moment}: the folder of {table}");
            assert_eq!(in_delta(&folder), files, "{moment}: the log of {table}");
            assert!(!folder.join("_retyping").exists(), "{moment}: {table} is marked");
        }
        let mut left = Vec::new();
        walk(&self.0.path("lake/_staging"), &mut |path| left.push(path.to_owned()));
        assert_eq!(left, [""; 0].map(Path::new), "{moment}: staging");
    }
}

fn in_folder(folder: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    walk(folder, &mut |path| {
        let path = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
        if !path.starts_with('_') {
            files.insert(path);
        }
    });
    files
}

/// The files of the latest version, by the log's own entries.
fn in_delta(folder: &Path) -> BTreeSet<String> {
    let mut versions: Vec<_> = fs::read_dir(folder.join("_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    versions.sort();
    let mut files = BTreeSet::new();
    for version in versions {
        for line in fs::read_to_string(version).unwrap().lines() {
            let action: Value = serde_json::from_str(line).unwrap();
            if let Some(path) = action["add"]["path"].as_str() {
                assert!(files.insert(path.to_owned()), "{path} is added twice");
            }
            if let Some(path) = action["remove"]["path"].as_str() {
                files.remove(path);
            }
        }
    }
    files
}

type Watch<'a> = Box<dyn Fn() -> bool + 'a>;
type Event = (&'static str, for<'a> fn(&'a Scene) -> Watch<'a>);

fn data_files(scene: &Scene, table: &str, day: &str) -> usize {
    fs::read_dir(scene.0.path(&format!("lake/shop/{table}/extract_date={day}"))).map_or(0, Iterator::count)
}

fn manifest_replaced<'a>(scene: &'a Scene, day: &'static str) -> Watch<'a> {
    let path = scene.0.path(&format!("lake/_manifests/shop/{day}.json"));
    let before = fs::read(&path).ok();
    Box::new(move || fs::read(&path).ok() != before)
}

fn committed<'a>(scene: &'a Scene, table: &'static str) -> Watch<'a> {
    let count = move || fs::read_dir(scene.0.path(&format!("lake/shop/{table}/_delta_log"))).map_or(0, Iterator::count);
    let before = count();
    Box::new(move || count() > before)
}

const EVENTS: &[Event] = &[
    ("as a table is marked", |scene| {
        Box::new(|| scene.0.path("lake/shop/items/_retyping").exists())
    }),
    ("as a day has its new file beside the old one", |scene| {
        Box::new(|| data_files(scene, "items", OLD_DAYS[0]) > 1)
    }),
    ("as the first day's manifest is replaced", |scene| {
        manifest_replaced(scene, OLD_DAYS[0])
    }),
    ("as the second day has its new file", |scene| {
        Box::new(|| data_files(scene, "items", OLD_DAYS[1]) > 1)
    }),
    ("as the last day's manifest is replaced", |scene| {
        manifest_replaced(scene, OLD_DAYS[2])
    }),
    ("as the new day has a file", |scene| {
        Box::new(|| data_files(scene, "items", NEW_DAY) > 0)
    }),
    ("as one table is committed", |scene| committed(scene, "items")),
    ("as the other table is committed", |scene| committed(scene, "labels")),
    ("as the new day's manifest is there", |scene| {
        manifest_replaced(scene, NEW_DAY)
    }),
    ("as a replaced file is deleted", |scene| {
        let manifest = scene.0.path(&format!("lake/_manifests/shop/{NEW_DAY}.json"));
        Box::new(move || manifest.exists() && data_files(scene, "labels", OLD_DAYS[1]) == 1)
    }),
];

#[test]
fn an_extract_that_writes_earlier_days_anew() {
    let scene = Scene::new();
    let before: Vec<_> = OLD_DAYS.iter().map(|day| scene.day(day)).collect();
    let mut expected = scene.all_days();
    let started = Instant::now();
    scene.extract(NEW_DAY);
    let mut duration = started.elapsed();
    let new_day = scene.day(NEW_DAY);
    assert!(before.iter().chain([&new_day]).all(Option::is_some));
    assert_eq!(expected.len(), OLD_DAYS.len());
    for (day, values) in &expected {
        assert_eq!(scene.all_days().get(day), Some(values), "undisturbed");
    }
    expected = scene.all_days();
    scene.assert_whole("undisturbed");

    let mut hits = 0;
    let mut begun = 0;
    for place in 0..PARTS.len() + EVENTS.len() {
        scene.begin_again();
        let mut command = scene.0.command(&format!("extract --date {NEW_DAY} -q"));
        let (moment, hit) = match PARTS.get(place) {
            Some(part) => {
                let at = duration.mul_f64(*part);
                let started = Instant::now();
                let hit = kill_when(&mut command, |elapsed| elapsed >= at);
                if !hit {
                    duration = started.elapsed().max(Duration::from_millis(50)); // the machine is less busy now
                }
                (format!("after {at:?}"), hit)
            }
            None => {
                let (name, watch) = EVENTS[place - PARTS.len()];
                let watch = watch(&scene);
                (name.to_owned(), kill_when(&mut command, |_| watch()))
            }
        };
        hits += usize::from(hit);
        begun += usize::from(hit && scene.0.path("lake/shop/items/_retyping").exists());
        let moment = format!("killed {moment} (hit: {hit})");
        // One day alone each time; all of them are in the query over all days.
        let (day, values) = (OLD_DAYS[place % 3], &before[place % 3]);
        assert_eq!(&scene.day(day), values, "{moment}: {day} alone");
        let seen_new = scene.day(NEW_DAY);
        assert!(seen_new.is_none() || seen_new == new_day, "{moment}: {seen_new:?}");
        let mut wanted = expected.clone();
        if seen_new.is_none() {
            wanted.remove(NEW_DAY);
        }
        assert_eq!(scene.all_days(), wanted, "{moment}: all days");

        // The next run may be another day's, and of the old days' values nothing is lost by it.
        if place % 3 == 2 {
            scene.extract("2026-01-05");
            assert_eq!(&scene.day(day), values, "{moment}, then another day: {day} alone");
            scene.extract(NEW_DAY);
            assert_eq!(scene.day("2026-01-05"), new_day, "{moment}, then another day");
        } else {
            scene.extract(NEW_DAY);
            assert_eq!(scene.all_days(), expected, "{moment}, then run again");
        }
        assert_eq!(&scene.day(day), values, "{moment}, then run again: {day} alone");
        scene.assert_whole(&moment);
    }
    let moments = PARTS.len() + EVENTS.len();
    assert!(
        hits * 2 > moments,
        "only {hits} of {moments} moments came before the end"
    );
    assert!(
        begun > 3,
        "only {begun} moments came while days were being written anew"
    );
}
