//! Finds the installed PostgreSQL and the user to run it as.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";

/// The folder that holds `initdb` and `postgres`.
pub(super) fn bin_folder() -> Result<PathBuf, Error> {
    // A PG_BIN without a server is a mistake to report, not to mend with another server.
    if let Some(folder) = env::var_os("PG_BIN").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        return if holds_server(&folder) {
            Ok(folder)
        } else {
            Err(Error::ServerMissing {
                searched: format!("PG_BIN={}", folder.display()),
            })
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    newest_version(Path::new(DEBIAN_FOLDER))
        .into_iter()
        .chain(env::split_paths(&path))
        .find(|folder| holds_server(folder))
        .ok_or_else(|| Error::ServerMissing {
            searched: format!("{DEBIAN_FOLDER}/*/bin or PATH"),
        })
}

fn holds_server(folder: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|program| folder.join(program).is_file())
}

/// `bin` of the version folder with the highest number: 15 comes after 9.6.
fn newest_version(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version: f32 = path.file_name()?.to_str()?.parse().ok()?;
            let bin = path.join("bin");
            holds_server(&bin).then_some((version, bin))
        })
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, bin)| bin)
}

/// A user of `/etc/passwd`, by number.
#[derive(Debug, PartialEq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The user that PostgreSQL runs as where we are root: `postgres`, else `nobody`.
pub(super) fn unprivileged_user() -> Option<User> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| user(&passwd, name))
}

fn user(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        // The password comes between the name and the numbers.
        Some(User {
            uid: fields.nth(1)?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:8::/:\npostgres:x:101:104::/:\n";
        assert_eq!(user(passwd, "postgres"), Some(User { uid: 101, gid: 104 }));
        assert_eq!(user(passwd, "nobody"), None);
    }

    #[test]
    fn the_newest_version_is_the_highest_number() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "common", "17"] {
            let bin = folder.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("initdb"), "").unwrap();
            // Client programs alone are no server.
            if version != "17" {
                fs::write(bin.join("postgres"), "").unwrap();
            }
        }
        assert_eq!(newest_version(folder.path()), Some(folder.path().join("15/bin")));
        assert_eq!(newest_version(&folder.path().join("missing")), None);
    }
}
