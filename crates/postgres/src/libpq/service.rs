//! `pg_service.conf`: what a name stands for ("The Connection Service File").

use std::path::{Path, PathBuf};

use super::home::Environment;
use super::parameters::Parameters;

/// Where a build of PostgreSQL keeps the machine's own file, if `PGSYSCONFDIR` says nothing.
const SYSTEM_FOLDERS: &[&str] = &[
    "/etc/postgresql-common",
    "/etc",
    "/etc/sysconfig/pgsql",
    "/usr/local/etc",
];

/// Takes from the service that is named what is not said yet.
pub(super) fn fill(said: &mut Parameters, environment: &Environment) -> Result<(), String> {
    let of_environment = || environment.variable("PGSERVICE");
    let Some(service) = said.get("service").map(ToOwned::to_owned).or_else(of_environment) else {
        return Ok(());
    };
    let named = said.get("servicefile").map(ToOwned::to_owned);
    let named = named.or_else(|| environment.variable("PGSERVICEFILE"));
    let own = match &named {
        Some(file) => Some(environment.path(file)),
        None => environment.of_home(".pg_service.conf").filter(|file| file.exists()),
    };
    let of_system = match environment.variable("PGSYSCONFDIR") {
        Some(folder) => vec![environment.path(&folder)],
        None => SYSTEM_FOLDERS.iter().map(PathBuf::from).collect(),
    };
    let of_system = of_system.into_iter().map(|folder| folder.join("pg_service.conf"));
    let files: Vec<PathBuf> = own.into_iter().chain(of_system.filter(|file| file.exists())).collect();
    for file in &files {
        if read(file, &service, said)? {
            return Ok(());
        }
    }
    let searched: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Err(format!(
        "there is no service {service:?} in {}",
        if searched.is_empty() {
            "~/.pg_service.conf, which is not there either".into()
        } else {
            searched.join(" or ")
        }
    ))
}

/// Whether the file has the service; its lines are said then.
fn read(file: &Path, service: &str, said: &mut Parameters) -> Result<bool, String> {
    let place = file.display();
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("the service file {place} can't be read: {error}"))?;
    let mut found = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            if found {
                break;
            }
            found = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) == Some(service);
            continue;
        }
        if !found {
            continue;
        }
        let number = number + 1;
        let Some((key, value)) = line.split_once('=') else {
            return Err(format!("line {number} of the service file {place} is not `key=value`"));
        };
        let (key, value) = (key.trim(), value.trim());
        if matches!(key, "service" | "servicefile") {
            return Err(format!(
                "line {number} of the service file {place}: a service can't name another"
            ));
        }
        said.say_further(key, value.into())
            .map_err(|reason| format!("line {number} of the service file {place}: {reason}"))?;
    }
    Ok(found)
}
