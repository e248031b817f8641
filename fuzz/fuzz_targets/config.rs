//! Configs: no panic, no hang, bounded memory, and an error of a line or a few with its place in the file.

#![no_main]

use std::path::Path;

use lake_config::{Config, ConfigError};
use lake_fuzz::Bounded;
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded::new(64 << 20);

const MESSAGE_LINES_MAX: usize = 3;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Any name is a format's: which there are is checked by who writes them.
    let config = match Config::<String>::parse(text, Path::new("lake.yaml")) {
        Ok(config) => config,
        Err(error) => return check(&error, text),
    };
    for name in config.source_names() {
        if let Err(error) = config.source(&name) {
            check(&error, text);
        }
    }
    if let Err(error) = config.target() {
        check(&error, text);
    }
    let config = config.with_urls("postgres://$".into(), "postgres://$$".into());
    if let Ok(Some(target)) = config.target() {
        assert_eq!(target.url, "postgres://$$", "a URL is not kept as it is");
    }
});

fn check(error: &ConfigError, text: &str) {
    assert!(!error.message.is_empty());
    let message = error.to_string();
    assert!(
        message.lines().count() <= MESSAGE_LINES_MAX,
        "a long message: {message}"
    );
    assert!(message.len() <= text.len() * 4 + 1000, "a long message: {message}");
    if let Some((line, column)) = error.place {
        // To YAML a carriage return alone ends a line.
        let lines = text.matches(['\n', '\r']).count() as u64 + 1;
        assert!(
            (1..=lines).contains(&line) && column >= 1,
            "no place in the file: {message}"
        );
    }
}
