//! Which of a server's questions for a proof are answered: libpq's `require_auth`, and never a
//! password in clear for everybody on the way.

/// A message that asks for a proof, or for none any more ("Message Formats", Authentication…).
pub(crate) const AUTHENTICATION: u8 = b'R';

/// The methods that may be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Methods {
    /// These alone, or all but these; by the names of `require_auth`.
    listed: Option<(bool, Vec<&'static str>)>,
}

const METHODS: &[&str] = &["password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none"];

impl Methods {
    /// # Errors
    /// What is no such list.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Self::default()) };
        let mut listed: Option<(bool, Vec<&str>)> = None;
        for word in text.split(',').map(str::trim) {
            let (only, name) = match word.strip_prefix('!') {
                Some(name) => (false, name),
                None => (true, word),
            };
            let known = METHODS.iter().find(|method| **method == name);
            let known = known.ok_or_else(|| format!("`require_auth` names none of {}", METHODS.join(", ")))?;
            let (first, names) = listed.get_or_insert((only, Vec::new()));
            if *first != only {
                return Err("`require_auth` has names with and without a `!`".into());
            }
            names.push(*known);
        }
        Ok(Self { listed })
    }

    fn allows(&self, method: &str) -> bool {
        self.listed
            .as_ref()
            .is_none_or(|(only, names)| names.contains(&method) == *only)
    }
}

/// Looks at a server's questions before they are answered.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// The password may go as it is.
    in_clear: bool,
    methods: Methods,
    asked: bool,
}

impl Guard {
    pub(crate) fn new(methods: Methods, in_clear: bool) -> Self {
        Self {
            in_clear,
            methods,
            asked: false,
        }
    }

    /// # Errors
    /// Why the question with this code must not be answered.
    pub(crate) fn check(&mut self, code: u32) -> Result<(), Refusal> {
        let method = match code {
            0 if !self.asked => "none",
            3 => "password",
            5 => "md5",
            2 | 7 => "gss",
            9 => "sspi",
            10 => "scram-sha-256",
            _ => return Ok(()), // what comes after another question
        };
        self.asked = true;
        if !self.methods.allows(method) {
            return Err(Refusal::Method(method));
        }
        if method == "password" && !self.in_clear {
            return Err(Refusal::InClear);
        }
        Ok(())
    }
}

/// A question that is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the server asks for the password in clear, over a connection without TLS, and does not get it")]
    InClear,
    #[error("the server asks for authentication by {0}, which `require_auth` does not allow")]
    Method(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_asked_is_answered() {
        let check = |list, in_clear, codes: &[u32]| {
            let mut guard = Guard::new(Methods::parse(list).unwrap(), in_clear);
            codes.iter().try_for_each(|code| guard.check(*code))
        };
        assert_eq!(check(None, false, &[10, 11, 12, 0]), Ok(()));
        assert_eq!(check(None, false, &[3]), Err(Refusal::InClear));
        assert_eq!(check(None, true, &[3, 0]), Ok(()));
        assert_eq!(check(Some("scram-sha-256"), true, &[5]), Err(Refusal::Method("md5")));
        assert_eq!(check(Some("scram-sha-256"), true, &[0]), Err(Refusal::Method("none")));
        assert_eq!(check(Some("scram-sha-256, none"), true, &[10, 11, 12, 0]), Ok(()));
        assert_eq!(
            check(Some("!password,!md5"), true, &[3]),
            Err(Refusal::Method("password"))
        );
        assert_eq!(check(Some("!password,!md5"), true, &[0]), Ok(()));
        assert!(Methods::parse(Some("scram")).is_err());
        assert!(Methods::parse(Some("md5,!password")).is_err());
    }
}
