//! The command line of a soak.

use std::time::Duration;

/// The options of a soak.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) minutes: f64,
    /// The seed of the order of the faults and of their pauses.
    pub(crate) seed: u64,
    /// True to write the result into the documentation.
    pub(crate) write: bool,
}

impl Options {
    /// Reads the options.
    ///
    /// # Errors
    /// The mistake, with the usage.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            minutes: 30.0,
            seed: 1,
            write: false,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("{word} needs a value; {USAGE}"))
            };
            match word.as_str() {
                "--minutes" => options.minutes = number(value()?)?,
                "--seed" => options.seed = number(value()?)?,
                "--write" => options.write = true,
                other => return Err(format!("unknown option {other}; {USAGE}")),
            }
        }
        if !(1.0..=24.0 * 60.0).contains(&options.minutes) {
            return Err(format!("--minutes must be 1 to 1440; {USAGE}"));
        }
        Ok(options)
    }

    /// Returns the length of the soak.
    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// Returns the length of the measurement of the saturation: a minute at most.
    pub(crate) fn measuring(&self) -> Duration {
        (self.length() / 6).min(Duration::from_secs(60))
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text} is not a number; {USAGE}"))
}

const USAGE: &str = "usage: scripts/soak [--minutes N] [--seed N] [--write]";
