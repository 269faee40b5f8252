//! Calls to every replica: each `--server`, and each address of a `dns:///` name.

use std::process::ExitCode;

use futures_util::future::join_all;
use serde::Serialize;

use super::client::{AdminArgs, AdminChannel, Target};
use super::exit;
use super::output;

/// The answers of the replicas to one question.
pub(crate) struct Answers<T> {
    /// The replicas that answered, each with its answer.
    pub(crate) given: Vec<(Target, T)>,
    /// The number of replicas that did not answer.
    missing: usize,
}

/// An object of the output, and the replica that it is from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Located<T> {
    /// The replica's address.
    pub(crate) replica: String,
    /// The object.
    #[serde(flatten)]
    pub(crate) item: T,
}

/// Asks every replica at the same time, and prints a warning about each that does not answer.
///
/// # Errors
/// If no replica answers: the error of the first.
pub(crate) async fn ask<T>(
    admin: &AdminArgs,
    question: impl AsyncFn(AdminChannel) -> anyhow::Result<T>,
) -> anyhow::Result<Answers<T>> {
    let targets = admin.targets(&admin.header()?).await?;
    let asked = targets.into_iter().map(|target| async {
        let answer = async { question(target.connect().await?).await };
        let answer = answer.await;
        (target, answer)
    });
    let mut answers = Answers {
        given: Vec::new(),
        missing: 0,
    };
    let mut failures = Vec::new();
    for (target, answer) in join_all(asked).await {
        match answer {
            Ok(answer) => answers.given.push((target, answer)),
            Err(error) => failures.push((target, error)),
        }
    }
    answers.missing = failures.len();
    if answers.given.is_empty() {
        let (_, first) = failures.swap_remove(0);
        return Err(first);
    }
    for (target, error) in &failures {
        output::note(&format!(
            "warning: replica {} did not answer, so the output lacks its data: {error:#}",
            target.name
        ));
    }
    Ok(answers)
}

impl<T> Answers<T> {
    /// Returns true if every replica answered.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Returns the exit status: success only if every replica answered.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.is_complete() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::PARTIAL)
        }
    }
}

/// The exit statuses of a command that asks every replica.
pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0   success
  1   failure
  64  wrong usage
  66  not found
  69  no replica answered
  75  partial output: some replicas did not answer
  77  permission denied";
