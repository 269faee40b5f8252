//! One row to the server, and what it made of it.

use std::time::Duration;

use countersign::v1;
use countersign::v1::consumer_service_client::ConsumerServiceClient;
use countersign::v1::token_service_client::TokenServiceClient;
use tokio::time::sleep;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::row::{Item, Problem};
use crate::cli::client::{AdminChannel, refused};

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Created,
    /// It was there already, exactly so.
    Existed,
    Refused(Vec<Problem>),
    /// A token whose consumer is not there.
    NoConsumer(Vec<Problem>),
}

/// Sends rows.
#[derive(Clone)]
pub(super) struct Sender {
    consumers: ConsumerServiceClient<AdminChannel>,
    tokens: TokenServiceClient<AdminChannel>,
    options: Options,
}

/// What is asked of the server beside the row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// Only checks.
    pub(super) validate_only: bool,
    /// Leaves out what can not be kept of the words about a consumer.
    pub(super) repair: bool,
}

// === impl Sender ===

impl Sender {
    pub(super) fn new(channel: AdminChannel, options: Options) -> Self {
        let consumers = ConsumerServiceClient::new(channel.clone());
        Self {
            consumers,
            tokens: TokenServiceClient::new(channel),
            options,
        }
    }

    /// Creates what the row says, unless it is there; the text is a note about it.
    ///
    /// # Errors
    /// What is not about this row, and would be the same for the next.
    pub(super) async fn send(&self, mut item: Item) -> anyhow::Result<(Outcome, Option<String>)> {
        match self.patiently(&item).await {
            Ok(existed) => Ok((outcome(existed), None)),
            Err(status) => {
                let problems = problems(&status)?;
                let Some(note) = self
                    .options
                    .repair
                    .then(|| repair(&mut item, &problems))
                    .flatten()
                else {
                    return Ok((refusal(&status, problems), None));
                };
                let existed = self.patiently(&item).await;
                Ok((
                    existed.map_or_else(
                        |status| refusal_of(&status),
                        |existed| Ok(outcome(existed)),
                    )?,
                    Some(note),
                ))
            }
        }
    }

    /// What is there already is left as it is, so a call can be made again.
    async fn patiently(&self, item: &Item) -> Result<bool, Status> {
        let mut pauses = PAUSES.iter();
        loop {
            match (self.once(item.clone()).await, pauses.next()) {
                (Err(status), Some(pause)) if is_passing(status.code()) => sleep(*pause).await,
                (answer, _) => return answer,
            }
        }
    }

    async fn once(&self, item: Item) -> Result<bool, Status> {
        let validate_only = self.options.validate_only;
        match item {
            Item::Consumer(request) => {
                let request = v1::CreateConsumerRequest {
                    validate_only,
                    ..*request
                };
                Ok(self
                    .consumers
                    .clone()
                    .create_consumer(request)
                    .await?
                    .into_inner()
                    .existed)
            }
            Item::Token(request) => {
                let request = v1::CreateTokenRequest {
                    validate_only,
                    ..*request
                };
                Ok(self
                    .tokens
                    .clone()
                    .create_token(request)
                    .await?
                    .into_inner()
                    .existed)
            }
        }
    }
}

const fn outcome(existed: bool) -> Outcome {
    if existed {
        Outcome::Existed
    } else {
        Outcome::Created
    }
}

fn refusal_of(status: &Status) -> anyhow::Result<Outcome> {
    Ok(refusal(status, problems(status)?))
}

fn refusal(status: &Status, problems: Vec<Problem>) -> Outcome {
    if status.code() == Code::NotFound {
        Outcome::NoConsumer(problems)
    } else {
        Outcome::Refused(problems)
    }
}

const fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::Aborted | Code::DeadlineExceeded
    )
}

/// What is wrong with the row; an error where it is not the row.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever is not named here is not about one row"
)]
fn problems(status: &Status) -> anyhow::Result<Vec<Problem>> {
    match status.code() {
        Code::InvalidArgument => {
            let details = status.get_error_details();
            let wrong = details
                .bad_request()
                .map(|wrong| wrong.field_violations.as_slice())
                .unwrap_or_default();
            let named = wrong
                .iter()
                .map(|one| Problem::new(own_name(&one.field), one.description.as_str()));
            let problems: Vec<_> = named.collect();
            Ok(if problems.is_empty() {
                vec![Problem::new("", status.message())]
            } else {
                problems
            })
        }
        Code::AlreadyExists => Ok(vec![Problem::new(
            "",
            format!(
                "{}, and not with these values and this secret",
                status.message()
            ),
        )]),
        Code::NotFound => Ok(vec![Problem::new("consumer_key", status.message())]),
        Code::FailedPrecondition => Ok(vec![Problem::new("", status.message())]),
        _ => Err(refused(status.clone())),
    }
}

/// The field as a file names it.
fn own_name(field: &str) -> &str {
    field
        .strip_prefix("consumer.")
        .or_else(|| field.strip_prefix("token."))
        .unwrap_or(field)
}

/// Leaves out what is wrong, if it is only words about a consumer, and says what that was.
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

/// How long to wait before a call is made again: longer than a restart of Redis takes.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
