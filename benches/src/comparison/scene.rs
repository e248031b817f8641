//! What all works share: the server, the binary, the peers, a folder, and the data made once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::measure::{Measured, Program};
use super::peers::Peers;
use super::server::Server;

/// The day of every extract.
pub const DAY: &str = "2026-01-31";
/// The database that loads go into, made anew before each.
pub const TARGET: &str = "target";

pub struct Scene {
    pub server: Server,
    pub lake: PathBuf,
    pub peers: Peers,
    /// Where everything is written.
    pub folder: PathBuf,
    /// TPC-H's scale factor; below 1 the other data shrinks with it, for a trial of the harness.
    pub scale: f64,
    /// Whether memory is measured at ten times the scale too.
    pub scale_10: bool,
    made: RefCell<BTreeSet<&'static str>>,
}

impl Scene {
    pub fn new(server: Server, lake: PathBuf, peers: Peers, folder: PathBuf, scale: f64, scale_10: bool) -> Self {
        Self {
            server,
            lake,
            peers,
            folder,
            scale,
            scale_10,
            made: RefCell::default(),
        }
    }

    /// A number of rows or bytes for a trial run: a part of the full one, at least one.
    pub fn shrunk(&self, full: u64) -> u64 {
        ((full as f64 * self.scale.min(1.0)) as u64).max(1)
    }

    /// Makes something the first time that a work asks for it.
    pub fn once(&self, what: &'static str, make: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        if !self.made.borrow().contains(what) {
            eprintln!("  making {what}");
            make().with_context(|| format!("cannot make {what}"))?;
            self.made.borrow_mut().insert(what);
        }
        Ok(())
    }

    /// An empty target, and nothing of earlier loads left to write.
    pub fn new_target(&self) -> anyhow::Result<()> {
        self.server.new_database(TARGET)?;
        self.server.checkpoint()
    }

    /// Runs a program that may take `minutes` at scale 1.
    pub fn measure(&self, command: Command, minutes: f64) -> anyhow::Result<Measured> {
        self.measure_all(vec![command], minutes)
    }

    /// Runs programs at once, as one.
    pub fn measure_all(&self, commands: Vec<Command>, minutes: f64) -> anyhow::Result<Measured> {
        let program = Program {
            commands,
            stdout: None,
            limit: self.limit(minutes),
        };
        program.measure(&self.server, &self.folder)
    }

    /// The same with stdout in a file.
    pub fn measure_into(&self, stdout: &Path, command: Command, minutes: f64) -> anyhow::Result<Measured> {
        let program = Program {
            commands: vec![command],
            stdout: Some(stdout),
            limit: self.limit(minutes),
        };
        program.measure(&self.server, &self.folder)
    }

    fn limit(&self, minutes: f64) -> Duration {
        Duration::from_secs_f64(60.0 * minutes * self.scale.max(1.0))
    }

    /// A message that tells nothing of where things are on this machine, and where they came from.
    pub fn without_paths(&self, text: &str) -> String {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        let mut text = text.to_owned();
        for (path, name) in [
            (Some(self.folder.as_path()), "<folder>"),
            (Some(self.peers.folder.as_path()), "<peers>"),
            (repository, "<repository>"),
        ] {
            if let Some(path) = path.and_then(Path::to_str) {
                text = text.replace(path, name);
            }
        }
        let words = text
            .split(' ')
            .map(|word| if word.contains("://") { "<url>" } else { word });
        words.collect::<Vec<_>>().join(" ")
    }

    /// A path in the folder with nothing there.
    pub fn cleared(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        remove(&path)?;
        Ok(path)
    }
}

/// A folder with a `lake.yaml`, for one or more commands.
pub struct Project<'a> {
    scene: &'a Scene,
    pub folder: PathBuf,
}

impl<'a> Project<'a> {
    /// Makes the folder, or another config in one that is there.
    pub fn new(scene: &'a Scene, name: &str, config: &str) -> anyhow::Result<Self> {
        let folder = scene.folder.join(name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("lake.yaml"), config)?;
        Ok(Self { scene, folder })
    }

    /// For tables of one database, and the target.
    pub fn of_tables(scene: &'a Scene, name: &str, database: &str, tables: &[&str]) -> anyhow::Result<Self> {
        Self::new(scene, name, &Self::config(scene, database, tables))
    }

    /// The config that [`Self::of_tables`] writes.
    pub fn config(scene: &Scene, database: &str, tables: &[&str]) -> String {
        let (source, target) = (scene.server.url(database), scene.server.url(TARGET));
        let tables = serde_json::to_string(tables).unwrap_or_default();
        format!(
            "lake: ./lake\nsources:\n  source:\n    type: postgres\n    url: {source}\n    tables: {tables}\n\
             target:\n  type: postgres\n  url: {target}\n"
        )
    }

    /// `lake` in the folder, with arguments without spaces.
    pub fn lake(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.scene.lake);
        command.args(arguments.split_whitespace()).current_dir(&self.folder);
        command.env("RUST_BACKTRACE", "0");
        command
    }

    /// `lake` and a command of the day.
    pub fn lake_day(&self, arguments: &str) -> Command {
        self.lake(&format!("{arguments} --date {DAY}"))
    }

    /// Where a table's Parquet files of the day are.
    pub fn day(&self, source: &str, table: &str) -> PathBuf {
        self.folder.join(format!("lake/{source}/{table}/extract_date={DAY}"))
    }

    /// Whether the day of the source is complete.
    pub fn is_extracted(&self) -> bool {
        self.folder.join(format!("lake/_manifests/source/{DAY}.json")).exists()
    }

    /// Leaves the configs alone.
    pub fn clear(&self) -> anyhow::Result<()> {
        remove(&self.folder.join("lake"))?;
        remove(&self.folder.join("output"))
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false if path.exists() => fs::remove_file(path),
        false => Ok(()),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}
