//! Sends rows to the server, and classifies its answers.

use std::error::Error;
use std::time::Duration;

use countersign::v1;
use countersign::v1::consumer_service_client::ConsumerServiceClient;
use countersign::v1::token_service_client::TokenServiceClient;
use tokio::time::sleep;
use tonic::{Code, Status, transport};
use tonic_types::StatusExt as _;

use super::row::{Item, Problem};
use crate::cli::client::{AdminChannel, refused};

/// The outcome of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Created,
    /// The server had exactly this row.
    Existed,
    Refused(Vec<Problem>),
    /// A token of an unknown consumer.
    NoConsumer(Vec<Problem>),
    /// A row that was left out on purpose.
    Skipped(Problem),
}

/// The outcome of a row with a note about what was left out of it.
pub(super) struct SendResult {
    pub(super) outcome: Outcome,
    pub(super) note: Option<String>,
}

/// Sends rows.
#[derive(Clone)]
pub(super) struct RowSender {
    consumers: ConsumerServiceClient<AdminChannel>,
    tokens: TokenServiceClient<AdminChannel>,
    options: SendOptions,
}

/// The options for all rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct SendOptions {
    /// Only validates rows.
    pub(super) validate_only: bool,
    /// Leaves out descriptive fields of consumers that the server refuses.
    pub(super) repair: bool,
}

// === impl Outcome ===

impl Outcome {
    /// Returns the word of the report file.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Existed => "existed",
            Self::Refused(_) | Self::NoConsumer(_) => "refused",
            Self::Skipped(_) => "skipped",
        }
    }

    /// Returns the reasons of a refusal, or the one for which a row was skipped.
    pub(super) fn problems(&self) -> &[Problem] {
        match self {
            Self::Created | Self::Existed => &[],
            Self::Refused(problems) | Self::NoConsumer(problems) => problems,
            Self::Skipped(problem) => std::slice::from_ref(problem),
        }
    }

    const fn of(existed: bool) -> Self {
        if existed {
            Self::Existed
        } else {
            Self::Created
        }
    }
}

// === impl RowSender ===

impl RowSender {
    pub(super) fn new(channel: AdminChannel, options: SendOptions) -> Self {
        Self {
            consumers: ConsumerServiceClient::new(channel.clone()),
            tokens: TokenServiceClient::new(channel),
            options,
        }
    }

    /// Creates the row, unless it exists; repairs it if that is an option.
    ///
    /// # Errors
    /// When the failure is not about this row, so that the next row would fail as well.
    pub(super) async fn send(&self, mut item: Item) -> anyhow::Result<SendResult> {
        let outcome = self.create(&item).await?;
        if let Outcome::Refused(problems) = &outcome
            && self.options.repair
            && let Some(note) = repair(&mut item, problems)
        {
            return Ok(SendResult {
                outcome: self.create(&item).await?,
                note: Some(note),
            });
        }
        Ok(SendResult {
            outcome,
            note: None,
        })
    }

    async fn create(&self, item: &Item) -> anyhow::Result<Outcome> {
        match with_retries(|| self.create_once(item.clone())).await {
            Ok(existed) => Ok(Outcome::of(existed)),
            Err(status) => refusal(&status),
        }
    }

    /// Returns `true` if the row existed.
    async fn create_once(&self, item: Item) -> Result<bool, Status> {
        let validate_only = self.options.validate_only;
        match item {
            Item::Consumer(request) => {
                let request = v1::CreateConsumerRequest {
                    validate_only,
                    ..*request
                };
                let answer = self.consumers.clone().create_consumer(request).await?;
                Ok(answer.into_inner().existed)
            }
            Item::Token(request) => {
                let request = v1::CreateTokenRequest {
                    validate_only,
                    ..*request
                };
                let answer = self.tokens.clone().create_token(request).await?;
                Ok(answer.into_inner().existed)
            }
        }
    }
}

/// Makes a call, again if it fails for the moment. That is safe, because existing rows are left
/// unchanged.
pub(super) async fn with_retries<T, F: Future<Output = Result<T, Status>>>(
    call: impl Fn() -> F,
) -> Result<T, Status> {
    let mut pauses = PAUSES.iter();
    loop {
        match (call().await, pauses.next()) {
            (Err(status), Some(pause)) if is_transient(&status) => sleep(*pause).await,
            (answer, _) => return answer,
        }
    }
}

fn is_transient(status: &Status) -> bool {
    // The connection may end at its age between two calls, and the client library then fails the
    // next one.
    let is_of_connection = |source: &(dyn Error + 'static)| source.is::<transport::Error>();
    matches!(
        status.code(),
        Code::Unavailable | Code::Aborted | Code::DeadlineExceeded
    ) || status.source().is_some_and(is_of_connection)
}

/// Returns the refusal of a row; an error if the failure is not about this row.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other codes are not about one row"
)]
fn refusal(status: &Status) -> anyhow::Result<Outcome> {
    let message = status.message();
    match status.code() {
        Code::InvalidArgument => Ok(Outcome::Refused(violations(status))),
        Code::AlreadyExists => {
            let problem = format!("{message}, with other values or another secret");
            Ok(Outcome::Refused(vec![Problem::new("", problem)]))
        }
        Code::NotFound => {
            let problem = Problem::new("consumer_key", message);
            Ok(Outcome::NoConsumer(vec![problem]))
        }
        Code::FailedPrecondition => Ok(Outcome::Refused(vec![Problem::new("", message)])),
        _ => Err(refused(status.clone())),
    }
}

fn violations(status: &Status) -> Vec<Problem> {
    let details = status.get_error_details();
    let fields = details.bad_request().into_iter();
    let problems: Vec<_> = fields
        .flat_map(|wrong| &wrong.field_violations)
        .map(|one| Problem::new(own_name(&one.field), one.description.as_str()))
        .collect();
    if problems.is_empty() {
        vec![Problem::new("", status.message())]
    } else {
        problems
    }
}

/// Returns the name of a field in files.
fn own_name(field: &str) -> &str {
    field
        .strip_prefix("consumer.")
        .or_else(|| field.strip_prefix("token."))
        .unwrap_or(field)
}

/// Leaves out the wrong fields, if all of them describe a consumer, and returns a note about them.
fn repair(item: &mut Item, problems: &[Problem]) -> Option<String> {
    let Item::Consumer(request) = item else {
        return None;
    };
    let consumer = request.consumer.as_mut()?;
    for Problem { field, .. } in problems {
        match field.as_str() {
            "name" => consumer.name.clone_from(&consumer.consumer_key),
            "description" => consumer.description.clear(),
            "platform" => consumer.platform.clear(),
            "app_url" => consumer.app_url.clear(),
            _ => return None,
        }
    }
    let left_out: Vec<_> = problems
        .iter()
        .map(|one| format!("{} {}", one.field, one.problem))
        .collect();
    Some(format!("left out: {}", left_out.join("; ")))
}

/// The pauses before retries, together longer than a restart of Redis.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
