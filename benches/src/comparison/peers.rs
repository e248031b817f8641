//! The other programs: installed from their registries, or reported as missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::measure::tail;

/// Pinned versions, one a line.
const REQUIREMENTS: &str = include_str!("../../peers/requirements.txt");
const PG2PARQUET_VERSION: &str = "0.2.2";

/// A program that does a work of `lake`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Peer {
    #[value(name = "duckdb")]
    DuckDb,
    #[value(name = "connectorx")]
    ConnectorX,
    Adbc,
    #[value(name = "pg2parquet")]
    Pg2Parquet,
    Dlt,
}

impl Peer {
    const ALL: [Self; 5] = [Self::DuckDb, Self::ConnectorX, Self::Adbc, Self::Pg2Parquet, Self::Dlt];

    /// What Python has to find for it.
    fn python_modules(self) -> &'static str {
        match self {
            Self::DuckDb => "duckdb_cli, duckdb_extension_postgres_scanner",
            Self::ConnectorX => "connectorx, pyarrow.parquet",
            Self::Adbc => "adbc_driver_postgresql.dbapi, pyarrow.parquet",
            Self::Pg2Parquet => "",
            Self::Dlt => "dlt, sqlalchemy, psycopg2, connectorx, pyarrow",
        }
    }

    /// The packages whose versions are reported.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::DuckDb => &["duckdb-cli"],
            Self::ConnectorX => &["connectorx", "pyarrow"],
            Self::Adbc => &["adbc-driver-postgresql", "pyarrow"],
            Self::Pg2Parquet => &[],
            Self::Dlt => &["dlt", "connectorx", "pyarrow"],
        }
    }
}

/// A Python environment with the peers' packages, and pg2parquet in its `bin`.
pub struct Peers {
    pub folder: PathBuf,
    duckdb_extension: Option<PathBuf>,
    /// Why a peer can't be run.
    missing: BTreeMap<Peer, String>,
    /// Name and version of what is there.
    pub versions: BTreeMap<String, String>,
}

impl Peers {
    /// Installs what `folder` lacks of the chosen peers.
    ///
    /// What can't be installed is no error here: it is one of each work that would have run it.
    pub fn install(folder: &Path, chosen: &[Peer]) -> Self {
        let mut peers = Self {
            folder: folder.into(),
            duckdb_extension: None,
            missing: BTreeMap::new(),
            versions: BTreeMap::new(),
        };
        for peer in Peer::ALL {
            let reason = match chosen.contains(&peer) {
                true => peers.install_one(peer).err(),
                false => Some(anyhow::anyhow!("left out of this run by --peers")),
            };
            if let Some(reason) = reason {
                peers.missing.insert(peer, format!("{reason:#}"));
            }
        }
        peers
    }

    fn install_one(&mut self, peer: Peer) -> anyhow::Result<()> {
        if peer == Peer::Pg2Parquet {
            self.install_pg2parquet()?;
        } else {
            self.install_python(peer)?;
        }
        if peer == Peer::DuckDb {
            self.duckdb_extension = Some(self.find_duckdb_extension()?);
        }
        Ok(())
    }

    fn install_python(&mut self, peer: Peer) -> anyhow::Result<()> {
        let python = self.python();
        if !python.exists() {
            eprintln!("making {}", self.folder.display());
            output(Command::new("python3").args(["-m", "venv"]).arg(&self.folder)).context("no Python environment")?;
        }
        let import = format!("import {}", peer.python_modules());
        let imports = |python: &Path| output(Command::new(python).args(["-c", &import]));
        if imports(&python).is_err() {
            eprintln!("installing {peer:?}");
            let requirements = self.folder.join(format!("{peer:?}.txt"));
            fs::write(&requirements, requirements_of(peer))?;
            let mut pip = Command::new(&python);
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--only-binary",
                ":all:",
            ]);
            output(pip.arg("--requirement").arg(&requirements)).context("it can't be installed")?;
            imports(&python).context("it is installed, and does not start")?;
        }
        for package in peer.packages() {
            let version = format!("from importlib.metadata import version; print(version('{package}'))");
            let version = output(Command::new(&python).args(["-c", &version]))?;
            self.versions.insert((*package).into(), version);
        }
        Ok(())
    }

    fn install_pg2parquet(&mut self) -> anyhow::Result<()> {
        let program = self.folder.join("bin/pg2parquet");
        if !program.exists() {
            eprintln!("building pg2parquet");
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
            cargo.args([
                "install",
                "pg2parquet",
                "--version",
                PG2PARQUET_VERSION,
                "--locked",
                "--quiet",
                "--root",
            ]);
            output(cargo.arg(&self.folder)).context("it can't be installed")?;
        }
        let version = output(Command::new(program).arg("--version"))?;
        let version = version.trim_start_matches("pg2parquet ").to_owned();
        self.versions.insert("pg2parquet".into(), version);
        Ok(())
    }

    fn find_duckdb_extension(&self) -> anyhow::Result<PathBuf> {
        let find = "import duckdb_extension_postgres_scanner as e, glob, os
print(glob.glob(os.path.dirname(e.__file__) + '/extensions/*/postgres_scanner.duckdb_extension')[0])";
        Ok(output(Command::new(self.python()).args(["-c", find]))?.into())
    }

    fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// # Errors
    /// Why the peer can't be run.
    pub fn ensure_ready(&self, peer: Peer) -> anyhow::Result<()> {
        match self.missing.get(&peer) {
            None => Ok(()),
            Some(reason) => anyhow::bail!("not run: {reason}"),
        }
    }

    /// One of the scripts of `benches/peers`.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.python());
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name));
        command.env("RUNTIME__DLTHUB_TELEMETRY", "false");
        command
    }

    /// DuckDB's command line with statements; results go to stdout as CSV.
    pub fn duckdb(&self, statements: &str) -> Command {
        let mut command = Command::new(self.folder.join("bin/duckdb"));
        command.args(["-no-init", "-bail", "-csv", "-c", statements]);
        command
    }

    /// The same with the extension for Postgres.
    pub fn duckdb_with_postgres(&self, statements: &str) -> Command {
        let extension = self.duckdb_extension.clone().unwrap_or_default();
        self.duckdb(&format!("load '{}'; {statements}", extension.display()))
    }

    pub fn pg2parquet(&self) -> Command {
        Command::new(self.folder.join("bin/pg2parquet"))
    }
}

/// The lines below a comment with the peer's name.
fn requirements_of(peer: Peer) -> String {
    let heading = format!("# {peer:?}").to_lowercase();
    let lines = REQUIREMENTS
        .lines()
        .skip_while(|line| line.to_lowercase() != heading)
        .skip(1);
    lines
        .take_while(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    anyhow::ensure!(output.status.success(), "{}", tail(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_of_python_has_pinned_requirements() {
        for peer in Peer::ALL.into_iter().filter(|peer| !peer.python_modules().is_empty()) {
            let requirements = requirements_of(peer);
            let lines: Vec<&str> = requirements.lines().filter(|line| !line.is_empty()).collect();
            assert!(!lines.is_empty(), "{peer:?}");
            assert!(lines.iter().all(|line| line.contains("==")), "{requirements}");
        }
    }
}
