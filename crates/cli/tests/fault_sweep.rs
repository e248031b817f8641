//! Every change that a command makes to the lake fails once: a kill, a torn write, an I/O error, a full
//! disk. After each, readers see the old day or the new one, wholly; the command says one error; and run
//! again, it leaves what an undisturbed run leaves.
//!
//! `LAKE_FAULTS=20` tries that many changes of each kind in each scene, `LAKE_FAULTS=all` all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::thread;

use arrow::csv::Writer;
use lake_storage::{Lake, decode_segment};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

use crate::workshop::walk;

const CONFIG: &str = r#"
lake: ${LAKE_FOLDER}
output: ./output
exports: []
sources:
  shop:
    type: csv
    files: {items: "${ROWS_FOLDER}/items.csv", labels: "${ROWS_FOLDER}/labels.csv"}
queries: {report: ./report.sql}
"#;

const REPORT: &str = "select i.id, i.price, l.label from shop.items i join shop.labels l on l.id = i.id";

/// The second has other rows, the third also another type, which the days before are rewritten for.
const ITEMS: [&str; 3] = [
    "id,price\n1,10\n2,20\n",
    "id,price\n1,11\n2,21\n3,31\n",
    "id,price\n1,10.5\n",
];

const KINDS: [&str; 4] = ["kill", "torn", "EIO", "ENOSPC"];

/// A command, the rows that it reads, and the commands that make the lake before it.
struct Scene {
    name: &'static str,
    before: &'static [(&'static str, usize)],
    command: (&'static str, usize),
}

const SCENES: [Scene; 4] = [
    Scene {
        name: "a new day",
        before: &[("extract --date 2026-01-01", 0)],
        command: ("extract --date 2026-01-02", 1),
    },
    Scene {
        name: "a day again",
        before: &[("extract --date 2026-01-01", 0)],
        command: ("extract --date 2026-01-01", 1),
    },
    Scene {
        name: "a day that rewrites the one before",
        before: &[("extract --date 2026-01-01", 0)],
        command: ("extract --date 2026-01-02", 2),
    },
    Scene {
        name: "results again",
        before: &[
            ("extract --date 2026-01-01", 0),
            ("transform --date 2026-01-01", 0),
            ("extract --date 2026-01-01", 1),
        ],
        command: ("transform --date 2026-01-01", 1),
    },
];

/// The library that lets a change fail, built once.
static FAULTS: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("faults.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fault_sweep/faults.c");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl");
    assert!(compiler.status().expect("cc, which Rust links with").success());
    (folder, library)
});

/// A folder with the config and rows, and lakes side by side.
struct Ground(TempDir);

impl Ground {
    fn new() -> Self {
        let ground = Self(tempfile::tempdir().unwrap());
        fs::write(ground.path("lake.yaml"), CONFIG).unwrap();
        fs::write(ground.path("report.sql"), REPORT).unwrap();
        for (number, items) in ITEMS.iter().enumerate() {
            fs::create_dir(ground.path(&format!("rows{number}"))).unwrap();
            fs::write(ground.path(&format!("rows{number}/items.csv")), items).unwrap();
            fs::write(
                ground.path(&format!("rows{number}/labels.csv")),
                "id,label\n1,one\n2,two\n3,three\n",
            )
            .unwrap();
        }
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn command(&self, lake: &str, (line, rows): (&str, usize)) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lake"));
        command
            .current_dir(self.path(""))
            .args(line.split(' '))
            .args(["--progress", "none", "-q"])
            .env("LAKE_FOLDER", self.path(lake))
            .env("ROWS_FOLDER", self.path(&format!("rows{rows}")));
        command
    }

    #[track_caller]
    fn run(&self, lake: &str, command: (&str, usize)) {
        let output = self.command(lake, command).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    }

    /// Runs a command whose `at`-th change fails; returns how many changes it made, too.
    fn disturb(&self, lake: &str, command: (&str, usize), kind: &str, at: u64) -> (Output, u64) {
        let counter = self.path(&format!("{lake}.count"));
        fs::write(&counter, [0; 8]).unwrap();
        let output = self
            .command(lake, command)
            .env("LD_PRELOAD", &FAULTS.1)
            .env("FAULT_ROOT", self.path(lake))
            .env("FAULT_KIND", kind)
            .env("FAULT_AT", at.to_string())
            .env("FAULT_COUNTER", &counter)
            .output()
            .unwrap();
        let count = u64::from_le_bytes(fs::read(counter).unwrap().try_into().unwrap());
        (output, count)
    }

    /// What readers see, by source and day.
    fn days(&self, lake: &str) -> BTreeMap<String, String> {
        let lake = Lake::at(&self.path(lake)).unwrap();
        let mut days = BTreeMap::new();
        for source in lake.sources().unwrap() {
            for date in lake.days(&source).unwrap() {
                let manifest = lake.manifest(&source, date).unwrap().unwrap();
                let mut rows = String::new();
                for (table, entry) in &manifest.tables {
                    let mut text = Vec::new();
                    let mut writer = Writer::new(&mut text);
                    for batch in lake.batches(&source, table, entry).unwrap() {
                        writer.write(&batch.unwrap()).unwrap();
                    }
                    drop(writer);
                    rows += &format!("{table}\n{}", String::from_utf8(text).unwrap());
                }
                days.insert(format!("{source} {date}"), rows);
            }
        }
        days
    }

    /// The files in a lake that belong to nothing.
    fn left_behind(&self, lake: &str) -> Vec<String> {
        let root = self.path(lake);
        let opened = Lake::at(&root).unwrap();
        let mut named = BTreeSet::new();
        for source in opened.sources().unwrap() {
            for date in opened.days(&source).unwrap() {
                let manifest = opened.manifest(&source, date).unwrap().unwrap();
                for (table, entry) in &manifest.tables {
                    let files = opened.files(&source, table, entry).unwrap();
                    named.extend(files.into_iter().map(|file| file.path));
                }
            }
        }
        let belongs = |path: &Path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_record = ["_manifests", "_runs"]
                .iter()
                .any(|folder| path.starts_with(root.join(folder)));
            let of_log = path.parent().is_some_and(|parent| parent.ends_with("_delta_log"));
            (is_record || of_log) && (name.ends_with(".json") || name.ends_with(".checkpoint.parquet"))
                || of_log && name == "_last_checkpoint"
                || name == "readers.lock"
                || named.contains(path)
        };
        let left = files(&root).into_iter().filter(|path| !belongs(path));
        left.map(|path| path.display().to_string()).collect()
    }

    /// The files that Delta has are those that the manifests name.
    fn check_delta(&self, lake: &str) {
        let root = self.path(lake);
        let opened = Lake::at(&root).unwrap();
        for source in opened.sources().unwrap() {
            let mut named: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
            for date in opened.days(&source).unwrap() {
                let manifest = opened.manifest(&source, date).unwrap().unwrap();
                for (table, entry) in &manifest.tables {
                    let files = opened.files(&source, table, entry).unwrap().into_iter();
                    named
                        .entry(table.clone())
                        .or_default()
                        .extend(files.map(|file| file.path));
                }
            }
            for table in fs::read_dir(root.join(&source)).unwrap() {
                let folder = table.unwrap().path();
                let name = decode_segment(folder.file_name().unwrap().to_str().unwrap()).unwrap();
                let url = url::Url::from_directory_path(&folder).unwrap();
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let table = runtime.block_on(deltalake::open_table(url)).unwrap();
                let files: BTreeSet<PathBuf> = table.get_file_uris().unwrap().map(PathBuf::from).collect();
                assert_eq!(files, named.remove(&name).unwrap_or_default(), "{source}.{name}");
            }
        }
    }
}

fn text(output: &Output) -> String {
    format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr))
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(folder, &mut |path| files.push(path.to_owned()));
    files
}

fn sweep(scene: &Scene, seed: u64) {
    let ground = Ground::new();
    for command in scene.before {
        ground.run("before", *command);
    }
    copy(&ground.path("before"), &ground.path("after"));
    let (output, changes) = ground.disturb("after", scene.command, "kill", 0);
    assert!(output.status.success(), "{}", text(&output));
    assert!(changes > 20, "only {changes} changes were seen");
    let (before, after) = (ground.days("before"), ground.days("after"));
    assert_ne!(before, after);

    let mut random = StdRng::seed_from_u64(seed);
    for kind in KINDS {
        let places: Vec<u64> = match std::env::var("LAKE_FAULTS").as_deref() {
            Ok("all") => (1..=changes).collect(),
            count => {
                let count: u64 = count.map_or(2, |count| count.parse().unwrap());
                let part = changes as f64 / count as f64;
                (0..count)
                    .map(|i| 1 + ((i as f64 + random.random::<f64>()) * part) as u64)
                    .collect()
            }
        };
        for at in places {
            let what = format!("{}, {kind} at change {at} of {changes}, seed {seed}", scene.name);
            copy(&ground.path("before"), &ground.path("lake"));
            let (output, _) = ground.disturb("lake", scene.command, kind, at);
            let messages = String::from_utf8_lossy(&output.stderr);
            assert!(!messages.contains("panicked"), "{what}: {messages}");
            let errors = messages.lines().filter(|line| line.starts_with("error:")).count();
            match output.status.code() {
                Some(0) => assert_eq!(ground.days("lake"), after, "{what}: {messages}"),
                Some(1) => assert_eq!(errors, 1, "{what}: {messages}"),
                None => assert!(kind == "kill" || kind == "torn", "{what}: {}", text(&output)),
                _ => panic!("{what}: {}", text(&output)),
            }
            for (day, rows) in ground.days("lake") {
                let is_whole = [before.get(&day), after.get(&day)].contains(&Some(&rows));
                assert!(is_whole, "{what}: {day} is\n{rows}");
            }
            for day in before.keys() {
                assert!(ground.days("lake").contains_key(day), "{what}: {day} is gone");
            }
            let output = ground.command("lake", scene.command).output().unwrap();
            assert!(output.status.success(), "{what}, then again: {}", text(&output));
            assert_eq!(ground.days("lake"), after, "{what}, then again");
            assert_eq!(ground.left_behind("lake"), [""; 0], "{what}, then again");
            ground.check_delta("lake");
        }
    }
}

#[test]
fn a_change_that_fails_leaves_the_old_day_or_the_new_one() {
    let seed = rand::rng().random();
    LazyLock::force(&FAULTS);
    thread::scope(|scope| {
        for scene in &SCENES {
            scope.spawn(move || sweep(scene, seed));
        }
    });
}
