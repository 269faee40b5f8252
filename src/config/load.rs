//! Reads the sections and checks the rules between them.

use super::mistake::ConfigError;
use super::reader::Reader;
use super::rules;
use super::sections::Config;
use super::source::Sources;

/// Reads the configuration from its sources.
///
/// # Errors
/// When there is a mistake; the error lists all of them, each with its place, key and remedy.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut reader = Reader::new(sources);
    let config = Config::read(&mut reader);
    rules::check(&config, &mut reader);
    reader.finish()?;
    Ok(config)
}

impl Default for Config {
    /// Returns the configuration of [`Self::DEFAULT_FILE`].
    fn default() -> Self {
        load(&Sources::default()).expect("the compiled-in default has no mistake; a test proves it")
    }
}
