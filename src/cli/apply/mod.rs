//! `countersign apply`: makes consumers and tokens equal to a YAML file.
//!
//! 1. `file` reads the records (`yaml`, `fields`), and `plan` asks the server to check each change.
//!    All mistakes are listed (`mistake`), and nothing is changed if there is one.
//! 2. The changes are made, each only of the state that the plan has seen, and printed (`changes`).
//!    Generated secrets are in their file (`secrets_file`) before the next change is made.
//!
//! The file states every attribute of its consumers. It says nothing about the consumers and tokens
//! that it lacks: `--prune` deletes these consumers, and nothing revokes these tokens, because users
//! obtain tokens at any time.

mod changes;
mod fields;
mod file;
mod mistake;
mod plan;
mod secrets_file;
mod yaml;

use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use countersign::v1;
use futures_util::FutureExt as _;
use serde::Serialize;

use self::changes::{Change, Summary};
use self::file::Wanted;
use self::mistake::Mistake;
use self::plan::{ConsumerChange, Plan, PlanOptions, Planner, TokenChange};
use self::secrets_file::SecretsFile;
use super::client::{AdminArgs, refused};
use super::confirm::Confirmation;
use super::exit::Usage;
use super::output::{self, Format};
use super::stop_signal::stop_signal;
use super::{duration, input};

/// The arguments of `countersign apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// YAML file with consumers and tokens, - for standard input
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// Delete every consumer that the file lacks, and its tokens
    #[arg(long)]
    prune: bool,
    /// Print the differences, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// End a dry run with status 2 if there is a difference
    #[arg(long, requires = "dry_run")]
    detailed_exitcode: bool,
    /// Time for which a consumer secret that the file replaces stays valid, for example 7d, at most
    /// 90d [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    overlap: Option<Duration>,
    /// File for generated secrets of new records, as JSON Lines [default: refuse a new record
    /// without a secret]
    #[arg(long, value_name = "FILE")]
    generate_secrets: Option<PathBuf>,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// The changes and their numbers.
#[derive(Debug, Default, Serialize)]
struct Report {
    dry_run: bool,
    changes: Vec<Change>,
    #[serde(flatten)]
    summary: Summary,
    #[serde(skip)]
    format: Format,
    /// The reason why the changes are no longer printed.
    #[serde(skip)]
    unprinted: Option<anyhow::Error>,
}

/// A generated secret, a line of the file of `--generate-secrets`.
#[derive(Serialize)]
#[serde(untagged)]
enum GeneratedSecret<'a> {
    Consumer {
        consumer_key: &'a str,
        consumer_secret: &'a str,
    },
    Token {
        token: &'a str,
        consumer_key: &'a str,
        token_secret: &'a str,
    },
}

/// Makes the changes of a plan.
struct Applier {
    planner: Planner,
    report: Report,
    secrets: Option<SecretsFile>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let options = args.options()?;
    let (wanted, mistakes) = file::read(&args.file)?;
    args.refuse_empty(&wanted, &mistakes)?;
    let mut planner = Planner::new(args.admin.connect().await?, options);
    let plan = checked(&mut planner, wanted, mistakes, &args.file).await?;
    let changes = plan.len();
    if args.dry_run {
        Report::of_dry_run(&plan, args.admin.output).end()?;
        return Ok(match changes {
            1.. if args.detailed_exitcode => ExitCode::from(DIFFERENT),
            _ => ExitCode::SUCCESS,
        });
    }
    args.confirm(&plan)?;
    let mut applier = Applier {
        planner,
        report: Report::new(false, args.admin.output),
        secrets: args.secrets_file(&plan)?,
    };
    // From here on, an interruption ends the command between two changes.
    let stop = pin!(stop_signal().context("cannot receive signals")?);
    let applied = applier.apply(plan, stop).await;
    if let Some(secrets) = applier.secrets.take() {
        secrets.finish()?;
    }
    match applied {
        Ok(()) => applier.report.end().map(|()| ExitCode::SUCCESS),
        Err(error) => Err(applier.report.stopped(changes, error)),
    }
}

/// Returns the changes if neither the file nor the server finds a mistake.
async fn checked(
    planner: &mut Planner,
    wanted: Wanted,
    mut mistakes: Vec<Mistake>,
    file: &Path,
) -> anyhow::Result<Plan> {
    let planned = planner.plan(wanted).await;
    let file = input::name(file);
    let (plan, more) = match planned {
        Ok(planned) => planned,
        Err(error) => {
            mistake::none_of(mistakes, &file)?;
            return Err(error);
        }
    };
    mistakes.extend(more);
    mistake::none_of(mistakes, &file)?;
    Ok(plan)
}

// === impl Args ===

impl Args {
    fn options(&self) -> anyhow::Result<PlanOptions> {
        Ok(PlanOptions {
            overlap: duration(self.overlap, "--overlap")?,
            generates: self.generate_secrets.is_some(),
            prunes: self.prune,
        })
    }

    /// Refuses `--prune` with a file without consumers, which would delete all of them.
    fn refuse_empty(&self, wanted: &Wanted, mistakes: &[Mistake]) -> Result<(), Usage> {
        if !self.prune || !wanted.consumers.is_empty() || !mistakes.is_empty() {
            return Ok(());
        }
        Err(Usage(format!(
            "--prune: {} has no consumer, so every consumer would be deleted; run `countersign consumer delete` for \
             each if you want that",
            input::name(&self.file)
        )))
    }

    /// Asks before consumers are deleted.
    fn confirm(&self, plan: &Plan) -> anyhow::Result<()> {
        let surplus = &plan.surplus;
        if surplus.is_empty() {
            return Ok(());
        }
        if self.confirmation.must_ask(PRUNING)? {
            for consumer in surplus {
                output::note(&format!(
                    "- consumer {} ({})",
                    consumer.consumer_key, consumer.name
                ));
            }
        }
        let question = format!(
            "Delete {} consumers and their tokens permanently?",
            surplus.len()
        );
        self.confirmation.ask(PRUNING, &question)
    }

    /// Creates the file for generated secrets, if there will be any.
    fn secrets_file(&self, plan: &Plan) -> Result<Option<SecretsFile>, Usage> {
        match &self.generate_secrets {
            Some(path) if path == Path::new("-") => {
                Err(Usage("--generate-secrets: name a file".to_owned()))
            }
            Some(path) if plan.generates() => SecretsFile::create(path).map(Some),
            Some(_) | None => Ok(None),
        }
    }
}

// === impl Report ===

impl Report {
    fn new(dry_run: bool, format: Format) -> Self {
        Self {
            dry_run,
            format,
            ..Self::default()
        }
    }

    fn of_dry_run(plan: &Plan, format: Format) -> Self {
        let mut report = Self::new(true, format);
        for change in &plan.consumers {
            report.add(Change::of_consumer(change));
        }
        for change in &plan.tokens {
            report.add(Change::of_token(change));
        }
        for consumer in &plan.surplus {
            report.add(Some(Change::deletion(consumer)));
        }
        report
    }

    /// Counts and prints a change, or counts an unchanged record. A reader that closes the output
    /// does not stop the next changes.
    fn add(&mut self, change: Option<Change>) {
        let Some(change) = change else {
            self.summary.unchanged += 1;
            return;
        };
        self.summary.count(&change);
        if self.format == Format::Table && self.unprinted.is_none() {
            self.unprinted = change.print().err();
        }
        self.changes.push(change);
    }

    /// Prints the end of the report.
    fn end(mut self) -> anyhow::Result<()> {
        match (self.unprinted.take(), self.format) {
            (Some(error), _) => Err(error),
            (None, Format::Json) => output::line(&serde_json::to_string_pretty(&self)?),
            (None, Format::Table) => output::line(&self.summary.line(self.dry_run)),
        }
    }

    /// Prints the changes that were made before an error, and returns the error with their number.
    fn stopped(self, changes: usize, error: anyhow::Error) -> anyhow::Error {
        let made = self.changes.len();
        if self.format == Format::Json && self.end().is_err() {
            output::note("warning: the report of the changes could not be written");
        }
        error.context(format!(
            "stopped after {made} of {changes} changes; run it again to make the others"
        ))
    }
}

// === impl Applier ===

impl Applier {
    /// Makes the changes until `stop` ends.
    async fn apply(
        &mut self,
        plan: Plan,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> anyhow::Result<()> {
        for change in plan.consumers {
            not_stopped(stop.as_mut())?;
            self.consumer(change).await?;
        }
        for change in plan.tokens {
            not_stopped(stop.as_mut())?;
            self.token(change).await?;
        }
        for consumer in plan.surplus {
            not_stopped(stop.as_mut())?;
            self.delete(consumer).await?;
        }
        Ok(())
    }

    async fn consumer(&mut self, planned: ConsumerChange) -> anyhow::Result<()> {
        let change = Change::of_consumer(&planned);
        if change.is_some() {
            let key = planned.new.consumer_key.clone();
            let request = planned.request_to_apply();
            let answer = self.planner.consumers.apply_consumer(request).await;
            let answer = answer
                .map_err(refused)
                .with_context(|| named_consumer(&key))?;
            self.keep(&GeneratedSecret::Consumer {
                consumer_key: &key,
                consumer_secret: &answer.into_inner().consumer_secret,
            })?;
        }
        self.report.add(change);
        Ok(())
    }

    async fn token(&mut self, planned: TokenChange) -> anyhow::Result<()> {
        let change = Change::of_token(&planned);
        match planned {
            TokenChange::None => {}
            TokenChange::Create(request) => self.create_token(request).await?,
            TokenChange::Revoke(token) => {
                let request = v1::RevokeTokenRequest {
                    token: token.token,
                    consumer_key: token.consumer_key,
                };
                let name = request.token.clone();
                let answer = self.planner.tokens.revoke_token(request).await;
                answer
                    .map_err(refused)
                    .with_context(|| named_token(&name))?;
            }
        }
        self.report.add(change);
        Ok(())
    }

    async fn create_token(&mut self, planned: v1::CreateTokenRequest) -> anyhow::Result<()> {
        let is_generated = planned.token_secret.is_empty();
        // The plan has seen no such token.
        let request = v1::CreateTokenRequest {
            allow_existing: false,
            validate_only: false,
            ..planned
        };
        let name = request.token.as_ref().map(|one| one.token.clone());
        let answer = self.planner.tokens.create_token(request).await;
        let answer = answer.map_err(refused);
        let answer = answer.with_context(|| named_token(&name.unwrap_or_default()))?;
        let v1::CreateTokenResponse {
            token,
            token_secret,
            ..
        } = answer.into_inner();
        let token = token.unwrap_or_default();
        let generated = Some(token_secret).filter(|_| is_generated);
        self.keep(&GeneratedSecret::Token {
            token: &token.token,
            consumer_key: &token.consumer_key,
            token_secret: &generated.unwrap_or_default(),
        })
    }

    /// Writes a generated secret, which the server never shows again.
    fn keep(&mut self, secret: &GeneratedSecret<'_>) -> anyhow::Result<()> {
        match &mut self.secrets {
            Some(file) if !secret.is_empty() => {
                let written = file.line(&serde_json::to_string(secret)?);
                written.with_context(|| secret.remedy())
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn delete(&mut self, surplus: v1::Consumer) -> anyhow::Result<()> {
        let change = Change::deletion(&surplus);
        let key = surplus.consumer_key.clone();
        let request = v1::DeleteConsumerRequest {
            consumer_key: surplus.consumer_key,
            etag: surplus.etag,
        };
        let answer = self.planner.consumers.delete_consumer(request).await;
        answer
            .map_err(refused)
            .with_context(|| named_consumer(&key))?;
        self.report.add(Some(change));
        Ok(())
    }
}

// === impl GeneratedSecret ===

impl GeneratedSecret<'_> {
    const fn is_empty(&self) -> bool {
        match self {
            Self::Consumer {
                consumer_secret, ..
            } => consumer_secret.is_empty(),
            Self::Token { token_secret, .. } => token_secret.is_empty(),
        }
    }

    /// Returns the loss of a secret that could not be written, and its remedy.
    fn remedy(&self) -> String {
        match self {
            Self::Consumer { consumer_key, .. } => format!(
                "the new secret of the consumer {consumer_key} is lost; `countersign consumer rotate-secret \
                 {consumer_key}` generates another one"
            ),
            Self::Token { token, .. } => format!(
                "the secret of the new token {token} is lost; revoke the token, and list one with another name"
            ),
        }
    }
}

fn not_stopped(stop: Pin<&mut impl Future<Output = ()>>) -> anyhow::Result<()> {
    if stop.now_or_never().is_some() {
        bail!("interrupted");
    }
    Ok(())
}

fn named_consumer(key: &str) -> String {
    format!("consumer {key}")
}

fn named_token(name: &str) -> String {
    format!("token {name}")
}

/// The change that `--prune` confirms.
const PRUNING: &str = "--prune";

/// The status of a dry run that finds a difference.
const DIFFERENT: u8 = 2;

const EXIT_STATUS: &str = "\
The file states every attribute of its consumers: one that it leaves out gets its default, except
that a missing status or secret stays as it is. Tokens that it leaves out stay as they are.

Exit status:
  0   the server is as the file says; with --dry-run: every change is possible
  1   the command stopped; run it again to make the other changes
  2   with --dry-run --detailed-exitcode: something would change
  64  wrong usage, a mistake in the file (nothing was changed), or --prune without confirmation
  69  no connection to the server, or no answer
  77  permission denied";
