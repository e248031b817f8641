//! `lake` beside what it is measured against: the same work, on the same machine, in turn.

mod dataset;
mod machine;
mod markdown;
mod measure;
mod parquet_rows;
mod peers;
mod report;
mod scene;
mod server;
mod work;
mod works;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::ValueEnum as _;

use machine::Machine;
use peers::{Peer, Peers};
use report::Report;
use scene::Scene;
use server::Server;
use work::WorkResult;
use works::WorkName;

/// What the data, and what is made of it, takes at scale 1, and what ten times the scale takes more.
const GIGABYTES: f64 = 16.0;
const GIGABYTES_AT_10: f64 = 24.0;

/// Run lake, its floors and its peers in turn, and write tables of medians and ratios.
///
/// It starts a PostgreSQL, makes the data, and builds lake and installs the peers where they are not
/// there. With `--only`, `--peers` or another scale, files are written only where they are named.
#[derive(clap::Args)]
pub struct Args {
    /// The program `lake` [default: a release build, made now].
    #[arg(long, value_name = "FILE")]
    lake: Option<PathBuf>,
    /// Rounds of each work; slow peers have fewer.
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
    /// TPC-H's scale factor; below 1 all data is smaller, for a trial.
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    scale: f64,
    /// Also the peak memory of an extract at ten times the scale, which needs 24 GB of disk.
    #[arg(long)]
    scale_10: bool,
    /// Only these works.
    #[arg(long, value_delimiter = ',', value_name = "WORK")]
    only: Vec<WorkName>,
    /// Only these peers.
    #[arg(long, value_delimiter = ',', value_name = "PEER")]
    peers: Option<Vec<Peer>>,
    /// Where the data goes, also the server's, in a folder that is removed at the end [default: the
    /// system's folder for temporary files].
    #[arg(long, value_name = "FOLDER")]
    work_dir: Option<PathBuf>,
    /// Where the peers are, or are to be installed [default: beside the build].
    #[arg(long, value_name = "FOLDER")]
    peers_venv: Option<PathBuf>,
    /// Every round of every program [default: benches/results.json].
    #[arg(long, value_name = "FILE")]
    out_json: Option<PathBuf>,
    /// The tables, in a section of this file [default: benches/RESULTS.md].
    #[arg(long, value_name = "FILE")]
    out_markdown: Option<PathBuf>,
}

impl Args {
    /// Whether this is a run whose figures are kept.
    fn is_whole(&self) -> bool {
        self.only.is_empty() && self.peers.is_none() && self.scale == 1.0
    }

    /// A file that was named, or the one that a whole run writes.
    fn output(&self, named: &Option<PathBuf>, name: &str) -> Option<PathBuf> {
        let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        named.clone().or_else(|| self.is_whole().then(default))
    }
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let parent = args.work_dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = work_folder(&parent)?;
    ensure_space(args, folder.path())?;
    let lake = match &args.lake {
        Some(lake) => lake
            .canonicalize()
            .with_context(|| format!("no program {}", lake.display()))?,
        None => build_lake()?,
    };
    let peers_folder = match &args.peers_venv {
        Some(folder) => folder.clone(),
        None => build_folder()?.join("lake-bench-peers"),
    };
    let chosen = args.peers.clone().unwrap_or_else(|| Peer::value_variants().to_vec());
    let peers = Peers::install(&std::path::absolute(peers_folder)?, &chosen);
    let mut versions = peers.versions.clone();
    let mut version = version_of(&lake)?;
    if args.lake.is_none() {
        version += &commit().map_or(String::new(), |commit| format!(" ({commit})"));
    }
    versions.insert("lake".into(), version);

    // The server's folder is there too.
    let _ = tempfile::env::override_temp_dir(folder.path());
    let server = Server::start()?;
    let postgres = server.value("postgres", "select split_part(version(), ' on ', 1)")?;
    let machine = Machine::here(folder.path());
    let folder_path = folder.path().to_owned();
    let scene = Scene::new(server, lake, peers, folder_path, args.scale, args.scale_10);

    let mut report = Report {
        date: chrono::Local::now().format("%Y-%m-%d").to_string(),
        scale: args.scale,
        rounds: args.rounds,
        machine,
        postgres,
        settings: server::SETTINGS.iter().copied().collect(),
        versions,
        own_peak_rss_bytes: machine::own_peak_bytes(),
        works: Vec::new(),
    };
    for name in WorkName::value_variants() {
        if !args.only.is_empty() && !args.only.contains(name) {
            continue;
        }
        eprintln!("{name:?}");
        let mut results: Vec<WorkResult> = match name.work(&scene) {
            Ok(works) => works.iter().map(|work| work::play(work, args.rounds)).collect(),
            Err(error) => {
                eprintln!("  {error:#}");
                vec![WorkResult::of_failure(format!("{name:?}"), format!("{error:#}"))]
            }
        };
        for contender in results.iter_mut().flat_map(|work| &mut work.contenders) {
            contender.error = contender.error.take().map(|error| scene.without_paths(&error));
        }
        report.works.extend(results);
        report.own_peak_rss_bytes = machine::own_peak_bytes();
        // At once: whoever interrupts an hour's run keeps what it has measured.
        write(args, &report)?;
    }
    std::io::stdout()
        .lock()
        .write_all(markdown::section(&report).as_bytes())?;
    Ok(())
}

/// For this run alone. The server's user has to come through it.
fn work_folder(parent: &Path) -> anyhow::Result<tempfile::TempDir> {
    let action = || format!("cannot make a folder in {}", parent.display());
    let parent = parent.canonicalize().with_context(action)?;
    tempfile::Builder::new()
        .prefix("lake-bench-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .with_context(action)
}

fn ensure_space(args: &Args, folder: &Path) -> anyhow::Result<()> {
    let more = if args.scale_10 { GIGABYTES_AT_10 } else { 0.0 };
    let needed = (GIGABYTES + more) * args.scale;
    let disk = rustix::fs::statvfs(folder)?;
    let free = disk.f_bavail as f64 * disk.f_frsize as f64 / 1e9;
    anyhow::ensure!(
        free >= needed,
        "{} has {free:.0} GB free, and {needed:.0} GB are needed: name another disk with --work-dir",
        folder.display()
    );
    Ok(())
}

/// Builds `lake` with the cargo that runs this, and returns where cargo says that it is.
fn build_lake() -> anyhow::Result<PathBuf> {
    eprintln!("building lake");
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "lake-cli",
            "--bin",
            "lake",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(built.status.success(), "lake can't be built");
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let mut messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let program = messages.find_map(|message| {
        let is_lake = message["target"]["name"] == "lake";
        is_lake
            .then(|| message["executable"].as_str().map(PathBuf::from))
            .flatten()
    });
    program.context("cargo names no program `lake`")
}

/// The folder that cargo built this in, e.g. `target`.
fn build_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program
        .ancestors()
        .nth(2)
        .context("this program is in no build folder")?;
    Ok(folder.to_owned())
}

fn version_of(lake: &Path) -> anyhow::Result<String> {
    let output = Command::new(lake).arg("--version").output()?;
    let version = String::from_utf8_lossy(&output.stdout);
    Ok(version.trim().trim_start_matches("lake ").to_owned())
}

/// The commit that was built, with a mark if files differ from it.
fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn write(args: &Args, report: &Report) -> anyhow::Result<()> {
    let section = markdown::section(report);
    if let Some(path) = args.output(&args.out_json, "results.json") {
        let json = serde_json::to_string_pretty(report)? + "\n";
        fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = args.output(&args.out_markdown, "RESULTS.md") {
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, markdown::replace(&text, &section))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
