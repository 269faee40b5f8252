//! Confirmation of what cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::Context as _;

use super::exit::Usage;
use super::output;

/// `--yes`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Confirmation {
    /// Skip the confirmation; required if standard input is not a terminal
    #[arg(long)]
    yes: bool,
}

impl Confirmation {
    /// Returns `true` if the command must ask.
    ///
    /// # Errors
    /// If it must ask and has nobody to answer.
    pub(crate) fn must_ask(self, change: &str) -> Result<bool, Usage> {
        if self.yes {
            return Ok(false);
        }
        if io::stdin().is_terminal() {
            return Ok(true);
        }
        Err(Usage(format!(
            "{change} needs a confirmation, and standard input is not a terminal: add --yes"
        )))
    }

    /// Asks on the terminal, unless `--yes` is given.
    ///
    /// # Errors
    /// If the answer is not yes, or nobody can answer.
    pub(crate) fn ask(self, change: &str, question: &str) -> anyhow::Result<()> {
        if !self.must_ask(change)? {
            return Ok(());
        }
        output::note(&format!("{question} Type yes to continue:"));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.context("cannot read the answer")?;
        if answer.trim() == "yes" {
            Ok(())
        } else {
            Err(Usage(format!("{change} was not confirmed; nothing was changed")).into())
        }
    }
}
