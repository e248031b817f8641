//! `user:password@host:port,host:port/database?key=value&…`, read as loosely as libpq reads it.

use super::parameters::Parameters;

/// What is said after `postgres://`.
pub(super) fn parse(rest: &str, said: &mut Parameters) -> Result<(), String> {
    let rest = match split_credentials(rest) {
        Some((credentials, rest)) => {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            for (key, text) in [("user", user), ("password", password)] {
                if !text.is_empty() {
                    said.say(key, decoded(text, key)?)?;
                }
            }
            rest
        }
        None => rest,
    };
    let (hosts, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    parse_hosts(hosts, said)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let database = path.strip_prefix('/').unwrap_or(path);
    if database.contains('@') {
        return Err("there is an `@` after the host's end: a `/` in the user or the password is written %2F".into());
    }
    if !database.is_empty() {
        said.say("dbname", decoded(database, "dbname")?)?;
    }
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let Some((key, value)) = parameter.split_once('=') else {
            return Err("a parameter after the `?` has no `=`".into());
        };
        let key = decoded(key, "parameter")?;
        let value = decoded(value, "parameter")?;
        match (key.as_str(), value.as_str()) {
            ("ssl", "true") => said.say("sslmode", "require".into())?, // JDBC's
            _ => said.say(&key, value)?,
        }
    }
    Ok(())
}

/// The last `@` before the path: a password may have one that is not escaped, a host's name has none.
fn split_credentials(text: &str) -> Option<(&str, &str)> {
    let authority = &text[..text.find('/').unwrap_or(text.len())];
    let before_query = &authority[..authority.find('?').unwrap_or(authority.len())];
    let at = before_query.rfind('@').or_else(|| authority.find('@'))?;
    Some((&text[..at], &text[at + 1..]))
}

fn parse_hosts(text: &str, said: &mut Parameters) -> Result<(), String> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for part in text.split(',') {
        let (host, port) = match part.strip_prefix('[') {
            Some(inner) => {
                let (host, after) = inner.split_once(']').ok_or("an IPv6 address has no closing `]`")?;
                match after.strip_prefix(':') {
                    Some(port) => (host, port),
                    None if after.is_empty() => (host, ""),
                    None => return Err("there is more after an IPv6 address than its port".into()),
                }
            }
            None => part.split_once(':').unwrap_or((part, "")),
        };
        hosts.push(decoded(host, "host")?);
        ports.push(decoded(port, "port")?);
    }
    if hosts.iter().any(|host| !host.is_empty()) {
        said.say("host", hosts.join(","))?;
    }
    if ports.iter().any(|port| !port.is_empty()) {
        said.say("port", ports.join(","))?;
    }
    Ok(())
}

fn decoded(text: &str, what: &str) -> Result<String, String> {
    let escapes = text.match_indices('%');
    let all_whole = escapes.into_iter().all(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !all_whole {
        return Err(format!(
            "a `%` in the {what} is not followed by two digits: a percent sign itself is written %25"
        ));
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| format!("what is escaped in the {what} is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(format!("the {what} has a NUL"));
    }
    Ok(decoded.into_owned())
}
