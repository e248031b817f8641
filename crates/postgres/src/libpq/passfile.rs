//! `.pgpass`: passwords by host, port, database and user ("The Password File").

use std::path::PathBuf;

use super::home::Environment;
use super::settings::{Address, Host};

/// The passwords of a file that is there, and that nobody else can read.
pub(super) struct PassFile(String);

impl PassFile {
    /// The file that is named, or the user's own; one that others can read is not used, and said.
    pub(super) fn open(named: Option<&str>, environment: &Environment) -> Option<Self> {
        let file = match named {
            Some(file) => environment.path(file),
            None => environment.of_home(".pgpass")?,
        };
        match read(&file) {
            Ok(text) => text.map(Self),
            Err(reason) => {
                crate::say::once(format!("the password file {} is not used: {reason}", file.display()));
                None
            }
        }
    }

    /// The password of the first line that fits.
    pub(super) fn password(&self, host: &Host, database: &str, user: &str) -> Option<String> {
        let name = match &host.address {
            // The folder that nobody has to name.
            Address::Socket(_) if host.by_default => "localhost",
            _ => &host.name,
        };
        let port = host.port.to_string();
        self.0.lines().find_map(|line| {
            let line = line.trim_end_matches('\r');
            let mut rest = line.chars();
            if line.starts_with('#') {
                return None;
            }
            let fits = [name, &port, database, user].into_iter().all(|wanted| {
                let (field, ended) = field(&mut rest);
                ended && (field.raw == "*" || field.text == wanted)
            });
            if !fits {
                return None;
            }
            let mut password = String::new();
            while let Some(character) = rest.next() {
                password.extend(if character == '\\' {
                    rest.next()
                } else {
                    Some(character)
                });
            }
            (!password.is_empty()).then_some(password)
        })
    }
}

struct Field {
    raw: String,
    text: String,
}

/// The characters up to the next colon that has no backslash, and whether there is one.
fn field(rest: &mut std::str::Chars<'_>) -> (Field, bool) {
    let (mut raw, mut text) = (String::new(), String::new());
    while let Some(character) = rest.next() {
        match character {
            ':' => return (Field { raw, text }, true),
            '\\' => {
                raw.push('\\');
                text.extend(rest.next());
            }
            _ => {
                raw.push(character);
                text.push(character);
            }
        }
    }
    (Field { raw, text }, false)
}

/// The file's text, or `None` if it is not there.
fn read(file: &PathBuf) -> Result<Option<String>, String> {
    let Ok(metadata) = std::fs::metadata(file) else {
        return Ok(None);
    };
    if !metadata.is_file() {
        return Err("it is no file".into());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(format!("others can read it, run `chmod 600 {}`", file.display()));
        }
    }
    std::fs::read(file)
        .map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned()))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host {
            name: name.into(),
            address: Address::Name(name.into()),
            port,
            by_default: false,
            password: None,
        }
    }

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = PassFile(
            "# a:1:b:c:no\n\na:1:other:ann:no\na:1:d\\:b:ann:p\\:w\\\\x:y\n*:*:*:bob:bobs\r\nh:2:*:*:any\nshort:1:2\n"
                .into(),
        );
        let password = |name, port, database, user| file.password(&host(name, port), database, user);
        assert_eq!(password("a", 1, "d:b", "ann").as_deref(), Some("p:w\\x:y"));
        assert_eq!(password("z", 9, "q", "bob").as_deref(), Some("bobs"));
        assert_eq!(password("h", 2, "q", "zoe").as_deref(), Some("any"));
        assert_eq!(password("h", 3, "q", "zoe"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "*:*:*:*:p\n").unwrap();
        let environment = Environment::new(|_| None, None, "u");
        let open = |mode| {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            PassFile::open(file.path().to_str(), &environment).is_some()
        };
        assert!(open(0o600));
        assert!(!open(0o640));
        assert!(!open(0o604));
    }
}
