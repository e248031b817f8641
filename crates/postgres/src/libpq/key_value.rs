//! `key=value` pairs: blanks between them, quotes and backslashes as libpq has them.

use std::iter::Peekable;
use std::str::Chars;

use super::parameters::Parameters;

pub(super) fn parse(text: &str, said: &mut Parameters) -> Result<(), String> {
    let mut rest = text.chars().peekable();
    loop {
        skip_blanks(&mut rest);
        let mut key = String::new();
        while let Some(character) = rest.next_if(|c| *c != '=' && !c.is_ascii_whitespace()) {
            key.push(character);
        }
        skip_blanks(&mut rest);
        if key.is_empty() && rest.peek().is_none() {
            return Ok(());
        }
        if rest.next() != Some('=') {
            return Err(
                "it is neither a URL (postgres://user@host/database) nor pairs (host=… user=…): a word has no `=` \
                 after it; a value with blanks takes single quotes"
                    .into(),
            );
        }
        skip_blanks(&mut rest);
        let value = value(&mut rest)?;
        said.say(&key, value)?;
    }
}

fn skip_blanks(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(char::is_ascii_whitespace).is_some() {}
}

fn value(rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mut value = String::new();
    let quoted = rest.next_if_eq(&'\'').is_some();
    while let Some(character) = rest.next_if(|c| quoted || !c.is_ascii_whitespace()) {
        match character {
            '\\' => value.extend(rest.next()),
            '\'' if quoted => return Ok(value),
            _ => value.push(character),
        }
    }
    if quoted {
        return Err("a quoted value has no closing quote".into());
    }
    Ok(value)
}
