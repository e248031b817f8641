//! Where a connection goes and how, said as libpq has it ("Database Connection Control Functions"): a
//! URL or `key=value` pairs first, then a service's section, then the environment, then the defaults.
//!
//! Nothing that is said is left out without a word: what is not done here is refused by its name. No
//! error repeats a value, since any of them may be a part of a password that is not escaped.

mod home;
mod key_value;
mod parameters;
mod passfile;
mod service;
mod settings;
mod uri;

pub(crate) use self::home::Environment;
pub use self::home::expand_home;
use self::parameters::Parameters;
pub(crate) use self::settings::{
    Address, CONNECT_TIMEOUT, CertificateMode, FileChoice, Host, RootCertificates, Settings, SslMode, SslNegotiation,
    TargetSession, TlsSettings, socket_of,
};

/// Everything that is said about a connection, brought together.
///
/// # Errors
/// What is wrong with it, in words that repeat no value.
pub(crate) fn resolve(text: &str, application_name: &str, environment: &Environment) -> Result<Settings, String> {
    let mut said = parse(text)?;
    service::fill(&mut said, environment)?;
    said.fill_from(environment)?;
    settings::checked(&said, application_name, environment)
}

/// Whether a URL or `key=value` pairs hold a password.
pub fn has_password(text: &str) -> bool {
    parse(text).is_ok_and(|said| said.get("password").is_some() || said.get("sslpassword").is_some())
}

fn parse(text: &str) -> Result<Parameters, String> {
    let text = text.trim();
    let mut said = Parameters::default();
    if text.is_empty() {
        return Err(
            "it is empty: write postgres://user@host/database, or postgres:// alone to take all from the \
                    environment (PGHOST and its kin)"
                .into(),
        );
    }
    match text.split_once("://") {
        Some(("postgres" | "postgresql", rest)) => uri::parse(rest, &mut said)?,
        Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c)) => {
            return Err(format!("it begins with {scheme}://, not postgres://"));
        }
        _ => key_value::parse(text, &mut said)?,
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables: HashMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Environment::new(move |name| variables.get(name).cloned(), None, "os-user")
    }

    fn resolved(text: &str) -> Settings {
        resolve(text, "lake", &environment(&[])).unwrap()
    }

    fn refusal(text: &str) -> String {
        match resolve(text, "lake", &environment(&[])) {
            Ok(_) => panic!("{text} was taken"),
            Err(reason) => reason,
        }
    }

    fn names(settings: &Settings) -> Vec<String> {
        settings.hosts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_url_is_read_as_libpq_reads_it() {
        let settings = resolved(
            "postgresql://a%20b:p%40%25s@db.example:6432/my%2Fdb?options=-c%20geqo%3Doff&application_name=x+y",
        );
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("a b", "my/db"));
        assert_eq!(settings.hosts[0].password.as_deref(), Some("p@%s"));
        assert_eq!(settings.options.as_deref(), Some("-c geqo=off"));
        assert_eq!(settings.application_name, "x+y");
        assert_eq!(names(&settings), ["db.example:6432"]);
        let several = resolved("postgres://u@[::1]:1,h2,%2Frun%2Fpg:3?sslmode=require");
        assert_eq!(names(&several), ["::1:1", "h2:5432", "/run/pg:3"]);
        assert_eq!((several.database.as_str(), several.tls.mode), ("u", SslMode::Require));
        // The query's parameters go before what is in front of it.
        assert_eq!(names(&resolved("postgres://a:1?host=b&port=2")), ["b:2"]);
        assert_eq!(resolved("postgres://h/d?ssl=true").tls.mode, SslMode::Require);
        // An `@` that is not escaped: no host's name has one.
        assert_eq!(
            resolved("postgres://u:p@ss@h/d").hosts[0].password.as_deref(),
            Some("p@ss")
        );
    }

    #[test]
    fn pairs_are_read_as_libpq_reads_them() {
        let settings =
            resolved(r"host = a,b port=1,2 user=its password='a \'b\\' dbname=d\ e sslmode=verify-ca sslrootcert=/x");
        assert_eq!(names(&settings), ["a:1", "b:2"]);
        assert_eq!(settings.hosts[1].password.as_deref(), Some(r"a 'b\"));
        assert_eq!(
            (settings.database.as_str(), settings.tls.mode),
            ("d e", SslMode::VerifyCa)
        );
    }

    #[test]
    fn what_is_said_nearer_goes_first() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "# ours\n[other]\nhost=no\n[s]\nhost=service\nport=7\ndbname=sd\n[t]\nuser=no\n",
        )
        .unwrap();
        let variables = [
            ("PGSERVICEFILE", file.path().to_str().unwrap()),
            ("PGHOST", "env"),
            ("PGUSER", "eu"),
            ("PGPASSWORD", "ep"),
            ("PGDATABASE", "ed"),
            ("PGCONNECT_TIMEOUT", "3"),
            ("PGSSLMODE", "require"),
            ("PGAPPNAME", "ea"),
        ];
        let settings = resolve("postgres:///ud?service=s", "lake", &environment(&variables)).unwrap();
        assert_eq!(names(&settings), ["service:7"]);
        assert_eq!((settings.user.as_str(), settings.database.as_str()), ("eu", "ud"));
        assert_eq!(settings.hosts[0].password.as_deref(), Some("ep"));
        assert_eq!(settings.connect_timeout.map(|t| t.as_secs()), Some(3));
        assert_eq!(
            (settings.tls.mode, settings.application_name.as_str()),
            (SslMode::Require, "ea")
        );
        let of_environment = resolve("postgres://", "lake", &environment(&variables[1..])).unwrap();
        assert_eq!(
            (names(&of_environment), of_environment.database.as_str()),
            (vec!["env:5432".to_owned()], "ed")
        );
        let missing = resolve("service=none", "lake", &environment(&variables)).err().unwrap();
        assert!(missing.contains("no service \"none\""), "{missing}");
    }

    #[test]
    fn defaults_are_libpqs_but_for_the_timeout() {
        let settings = resolved("host=h");
        assert_eq!(
            (settings.user.as_str(), settings.database.as_str()),
            ("os-user", "os-user")
        );
        assert_eq!(
            (settings.tls.mode, settings.application_name.as_str()),
            (SslMode::Prefer, "lake")
        );
        assert_eq!(settings.connect_timeout.map(|t| t.as_secs()), Some(10));
        assert_eq!(resolved("host=h connect_timeout=0").connect_timeout, None);
        assert_eq!(resolved("host=h fallback_application_name=f").application_name, "f");
        assert!(resolved("host=h keepalives=0").keepalive.is_none());
        assert_eq!(
            resolved("host=h tcp_user_timeout=1500")
                .tcp_user_timeout
                .map(|t| t.as_millis()),
            Some(1500)
        );
        // The system's certificates are anybody's: only with the host's name do they prove a thing.
        assert_eq!(resolved("host=h sslrootcert=system").tls.mode, SslMode::VerifyFull);
        assert!(refusal("host=h sslrootcert=system sslmode=require").contains("verify-full"));
    }

    #[test]
    fn what_can_not_be_done_is_refused_by_name() {
        for (text, wanted) in [
            ("host=h gssencmode=require", "gssencmode"),
            ("postgres://h?krbsrvname=x", "krbsrvname"),
            ("host=h sslcompression=1", "sslcompression"),
            ("host=h sslcrldir=/x", "sslcrl"),
            ("host=h replication=database", "replication"),
            ("host=h sslmode=maybe", "sslmode"),
            ("host=h ssl_min_protocol_version=TLSv9", "ssl_min_protocol_version"),
            (
                "host=h ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
                "ssl_max_protocol_version",
            ),
            ("host=h ssl_max_protocol_version=TLSv1", "ssl_max_protocol_version"),
            ("host=h sslnegotiation=direct", "sslnegotiation"),
            ("host=a,b port=1,2,3", "port"),
            ("host=a,b hostaddr=127.0.0.1", "hostaddr"),
            ("host=h target_session_attrs=rw", "target_session_attrs"),
            ("host=h sslmod=require", "did you mean sslmode?"),
            ("host=h keepalives_retries=3", "did you mean keepalives_count?"),
            ("host=h client_encoding=latin1", "client_encoding"),
        ] {
            let reason = refusal(text);
            assert!(reason.contains(wanted), "{text}: {reason}");
        }
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
        for bad in [
            "mysql://root:s3cret@h/d",
            "postgres://u:s3cret@h:port/d",
            "postgres://u:s3cret@h/d?sslmode=maybe",
            "postgres://u:%zzs3cret@h/d",
            "postgres://u:x/s3cret@h/d",
            "postgres://u:12/s3cret@h/d",
            "postgres://u:12/x?s3cret@h/d",
            "postgres://u:p@h/d?S3cret=1s3cret",
            "postgres://u:p@h/d?s3cret",
            "host=h password='s3cret",
            "host=h password=a s3cret",
            "host=h connect_timeout=s3cret",
            "s3cret",
        ] {
            let reason = refusal(bad);
            assert!(!reason.to_lowercase().contains("s3cret"), "{reason}");
        }
    }

    #[test]
    fn a_password_is_seen_wherever_it_is() {
        for text in ["postgres://u:p@h/d", "postgres://h/d?password=p", "host=h password=p"] {
            assert!(has_password(text), "{text}");
        }
        for text in ["postgres://u@h/d", "postgres://u:@h/d", "host=h", "no url"] {
            assert!(!has_password(text), "{text}");
        }
    }
}
