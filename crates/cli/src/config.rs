//! The config, with exports in the formats that results are written in.

pub use lake_config::{ConfigError, Dotenv};

pub type Config = lake_config::Config<lake_query::Format>;
