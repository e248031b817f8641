//! The parameters that libpq knows, and what is said of them.

use std::collections::BTreeMap;

use super::home::Environment;

/// A parameter, and the variable that says it where nothing nearer does.
struct Known {
    name: &'static str,
    variable: Option<&'static str>,
    /// Why it can't be done, and what to do instead.
    refusal: Option<&'static str>,
}

const fn known(name: &'static str, variable: &'static str) -> Known {
    Known {
        name,
        variable: Some(variable),
        refusal: None,
    }
}

const fn plain(name: &'static str) -> Known {
    Known {
        name,
        variable: None,
        refusal: None,
    }
}

const fn refused(name: &'static str, refusal: &'static str) -> Known {
    Known {
        name,
        variable: None,
        refusal: Some(refusal),
    }
}

const KERBEROS: &str = "it is for Kerberos, which lake does not speak: leave it out, and let the server ask for a \
                        password or a certificate";

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    known("service", "PGSERVICE"),
    known("servicefile", "PGSERVICEFILE"),
    known("host", "PGHOST"),
    known("hostaddr", "PGHOSTADDR"),
    known("port", "PGPORT"),
    known("dbname", "PGDATABASE"),
    known("user", "PGUSER"),
    known("password", "PGPASSWORD"),
    known("passfile", "PGPASSFILE"),
    known("options", "PGOPTIONS"),
    known("application_name", "PGAPPNAME"),
    plain("fallback_application_name"),
    known("connect_timeout", "PGCONNECT_TIMEOUT"),
    plain("keepalives"),
    plain("keepalives_idle"),
    plain("keepalives_interval"),
    plain("keepalives_count"),
    plain("tcp_user_timeout"),
    known("target_session_attrs", "PGTARGETSESSIONATTRS"),
    known("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    known("channel_binding", "PGCHANNELBINDING"),
    known("require_auth", "PGREQUIREAUTH"),
    known("gssencmode", "PGGSSENCMODE"),
    known("requirepeer", "PGREQUIREPEER"),
    known("sslmode", "PGSSLMODE"),
    known("requiressl", "PGREQUIRESSL"),
    known("sslnegotiation", "PGSSLNEGOTIATION"),
    known("sslcompression", "PGSSLCOMPRESSION"),
    known("sslrootcert", "PGSSLROOTCERT"),
    known("sslcert", "PGSSLCERT"),
    known("sslkey", "PGSSLKEY"),
    known("sslcertmode", "PGSSLCERTMODE"),
    plain("sslpassword"),
    known("sslcrl", "PGSSLCRL"),
    known("sslcrldir", "PGSSLCRLDIR"),
    known("sslsni", "PGSSLSNI"),
    known("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    known("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    // The session's is UTF-8 whatever the environment has; a URL that wants another is told so.
    plain("client_encoding"),
    refused("replication", "lake reads tables, not the stream of changes: leave it out"),
    refused("krbsrvname", KERBEROS),
    refused("gsslib", KERBEROS),
    refused("gssdelegation", KERBEROS),
    refused("sslkeylogfile", "lake writes no keys down: leave it out"),
    refused("min_protocol_version", "lake speaks version 3.0 of the protocol: leave it out"),
    refused("max_protocol_version", "lake speaks version 3.0 of the protocol: leave it out"),
    refused("scram_client_key", "give the password instead"),
    refused("scram_server_key", "give the password instead"),
    refused("oauth_issuer", "lake does not speak OAuth: let the server ask for a password or a certificate"),
    refused("oauth_client_id", "lake does not speak OAuth: let the server ask for a password or a certificate"),
    refused("oauth_client_secret", "lake does not speak OAuth: let the server ask for a password or a certificate"),
    refused("oauth_scope", "lake does not speak OAuth: let the server ask for a password or a certificate"),
];

/// Names that other clients use, or that are near enough.
const TWINS: &[(&str, &str)] = &[
    ("keepalives_retries", "keepalives_count"),
    ("database", "dbname"),
    ("username", "user"),
    ("pass", "password"),
    ("ssl", "sslmode"),
    ("timeout", "connect_timeout"),
    ("sslca", "sslrootcert"),
    ("sslrootca", "sslrootcert"),
    ("search_path", "options"),
];

/// What is said about a connection, by the parameters' names.
#[derive(Default)]
pub(super) struct Parameters(BTreeMap<&'static str, String>);

impl Parameters {
    /// What is said of a parameter; an empty value says nothing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Says a parameter, whatever was said of it before.
    pub(super) fn say(&mut self, name: &str, value: String) -> Result<(), String> {
        let known = look_up(name)?;
        self.0.insert(known.name, value);
        Ok(())
    }

    /// Says a parameter of which nothing is said nearer.
    pub(super) fn say_further(&mut self, name: &str, value: String) -> Result<(), String> {
        let known = look_up(name)?;
        self.0.entry(known.name).or_insert(value);
        Ok(())
    }

    /// Takes from the environment what is not said yet.
    pub(super) fn fill_from(&mut self, environment: &Environment) -> Result<(), String> {
        for known in KNOWN {
            if let Some(variable) = known.variable
                && !self.0.contains_key(known.name)
                && let Some(value) = environment.variable(variable)
            {
                self.0.insert(known.name, value);
            }
        }
        Ok(())
    }
}

fn look_up(name: &str) -> Result<&'static Known, String> {
    let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
        // It may be a piece of a password that is not escaped.
        if name.is_empty() || name.len() > 30 || !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            return Err(
                "it has a parameter that libpq does not know; a `?`, `&`, `=` or `/` in the user or the \
                        password is written %3F, %26, %3D or %2F"
                    .into(),
            );
        }
        return Err(format!("libpq knows no parameter `{name}`{}", near(name)));
    };
    match known.refusal {
        Some(refusal) => Err(format!("`{name}` can't be done: {refusal}")),
        None => Ok(known),
    }
}

fn near(name: &str) -> String {
    let twin = TWINS.iter().find(|(other, _)| *other == name).map(|(_, ours)| *ours);
    let nearest = || {
        let candidates = KNOWN
            .iter()
            .map(|known| (strsim::jaro_winkler(name, known.name), known.name));
        let best = candidates.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 > 0.85).then_some(best.1)
    };
    twin.or_else(nearest)
        .map_or_else(|| ": leave it out".into(), |known| format!("; did you mean {known}?"))
}
