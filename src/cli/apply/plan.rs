//! The changes that make the server equal to a file. The server checks each one and changes
//! nothing yet.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use countersign::v1;
use countersign::v1::consumer_service_client::ConsumerServiceClient;
use countersign::v1::token_service_client::TokenServiceClient;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::fields::FieldLines;
use super::file::{Wanted, WantedConsumer, WantedToken};
use super::mistake::Mistake;
use crate::cli::client::{AdminChannel, refused};

/// The changes.
pub(super) struct Plan {
    pub(super) consumers: Vec<ConsumerChange>,
    pub(super) tokens: Vec<TokenChange>,
    /// The consumers to delete.
    pub(super) surplus: Vec<v1::Consumer>,
}

/// A consumer before and after the change.
pub(super) struct ConsumerChange {
    /// The request, still with `validate_only`.
    pub(super) request: v1::ApplyConsumerRequest,
    pub(super) previous: Option<v1::Consumer>,
    pub(super) new: v1::Consumer,
    pub(super) secret_changed: bool,
}

/// The change of a token.
pub(super) enum TokenChange {
    None,
    /// The request, still with `validate_only`.
    Create(v1::CreateTokenRequest),
    Revoke(v1::Token),
}

/// The options of a plan.
#[derive(Clone, Copy)]
pub(super) struct PlanOptions {
    /// The time for which replaced consumer secrets stay valid.
    pub(super) overlap: Option<prost_types::Duration>,
    /// Generates missing secrets of new records.
    pub(super) generates: bool,
    /// Deletes the consumers that the file lacks.
    pub(super) prunes: bool,
}

/// Asks the server, and remembers mistakes.
pub(super) struct Planner {
    pub(super) consumers: ConsumerServiceClient<AdminChannel>,
    pub(super) tokens: TokenServiceClient<AdminChannel>,
    options: PlanOptions,
    mistakes: Vec<Mistake>,
}

// === impl Planner ===

impl Planner {
    pub(super) fn new(channel: AdminChannel, options: PlanOptions) -> Self {
        Self {
            consumers: ConsumerServiceClient::new(channel.clone()),
            tokens: TokenServiceClient::new(channel),
            options,
            mistakes: Vec::new(),
        }
    }

    /// Plans the changes; a record with a mistake is left out.
    ///
    /// # Errors
    /// If the server does not answer, or the caller may not ask it.
    pub(super) async fn plan(
        &mut self,
        mut wanted: Wanted,
    ) -> anyhow::Result<(Plan, Vec<Mistake>)> {
        let mut plan = Plan {
            consumers: Vec::new(),
            tokens: Vec::new(),
            surplus: Vec::new(),
        };
        if self.options.prunes {
            plan.surplus = self.surplus(&wanted).await?;
        }
        for consumer in wanted.consumers {
            let key = consumer.consumer_key().to_owned();
            match self.consumer(consumer).await? {
                Some(change) => plan.consumers.push(change),
                None => {
                    wanted.mistaken.insert(key);
                }
            }
        }
        let planned = plan.consumers.iter();
        let planned: HashMap<_, _> = planned
            .map(|change| (change.new.consumer_key.as_str(), change))
            .collect();
        let is_clear = |one: &WantedToken| !wanted.mistaken.contains(&one.token.consumer_key);
        for token in wanted.tokens.into_iter().filter(is_clear) {
            let consumer = planned.get(token.token.consumer_key.as_str()).copied();
            plan.tokens.extend(self.token(token, consumer).await?);
        }
        Ok((plan, std::mem::take(&mut self.mistakes)))
    }

    /// Returns the consumers of the server that the file lacks.
    async fn surplus(&mut self, wanted: &Wanted) -> anyhow::Result<Vec<v1::Consumer>> {
        let keys = wanted.consumers.iter().map(WantedConsumer::consumer_key);
        let keys: HashSet<_> = keys.collect();
        let (mut surplus, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListConsumersRequest {
                page_size: PAGE,
                page_token,
            };
            let page = self.consumers.list_consumers(request).await;
            let page = page.map_err(refused)?.into_inner();
            let is_surplus = |one: &v1::Consumer| !keys.contains(one.consumer_key.as_str());
            surplus.extend(page.consumers.into_iter().filter(is_surplus));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(surplus);
            }
        }
    }

    async fn consumer(&mut self, wanted: WantedConsumer) -> anyhow::Result<Option<ConsumerChange>> {
        let request = v1::ApplyConsumerRequest {
            consumer: Some(wanted.consumer),
            consumer_secret: wanted.secret,
            secret_overlap: self.options.overlap,
            generate_secret: self.options.generates,
            validate_only: true,
            create_only: false,
        };
        let answer = match self.consumers.apply_consumer(request.clone()).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return self.mistaken(&status, &wanted.lines).map(|()| None),
        };
        Ok(Some(ConsumerChange {
            request,
            previous: answer.previous,
            new: answer.consumer.unwrap_or_default(),
            secret_changed: answer.secret_changed,
        }))
    }

    async fn token(
        &mut self,
        wanted: WantedToken,
        consumer: Option<&ConsumerChange>,
    ) -> anyhow::Result<Option<TokenChange>> {
        let token = wanted.token.token.clone();
        match self.tokens.get_token(v1::GetTokenRequest { token }).await {
            Ok(found) => self.existing_token(wanted, found.into_inner()).await,
            Err(status) if status.code() == Code::NotFound => {
                if wanted.token.status() == v1::TokenStatus::Revoked {
                    return Ok(Some(TokenChange::None));
                }
                self.new_token(wanted, consumer).await
            }
            Err(status) => self.mistaken(&status, &wanted.lines).map(|()| None),
        }
    }

    /// Plans a token that the server has: it can be revoked, and not be changed.
    async fn existing_token(
        &mut self,
        wanted: WantedToken,
        found: v1::Token,
    ) -> anyhow::Result<Option<TokenChange>> {
        let before = self.mistakes.len();
        for field in differences(&wanted.token, &found) {
            self.wrong(&wanted.lines, field, FIXED);
        }
        let is_active = found.status() == v1::TokenStatus::Active;
        match wanted.token.status() {
            v1::TokenStatus::Revoked if self.mistakes.len() > before => return Ok(None),
            v1::TokenStatus::Revoked if is_active => return Ok(Some(TokenChange::Revoke(found))),
            v1::TokenStatus::Revoked => return Ok(Some(TokenChange::None)),
            v1::TokenStatus::Active if !is_active => {
                self.wrong(&wanted.lines, "status", REVOKED);
            }
            v1::TokenStatus::Active | v1::TokenStatus::Unspecified => {}
        }
        if self.mistakes.len() == before && !wanted.secret.is_empty() {
            let request = token_request(wanted.token, wanted.secret);
            match self.tokens.create_token(request).await {
                Ok(_) => {}
                Err(status) if status.code() == Code::AlreadyExists => {
                    self.wrong(&wanted.lines, "token_secret", FIXED);
                }
                Err(status) => self.mistaken(&status, &wanted.lines)?,
            }
        }
        Ok((self.mistakes.len() == before).then_some(TokenChange::None))
    }

    /// Plans a token that the server lacks. Its consumer may be changed by the file as well.
    async fn new_token(
        &mut self,
        wanted: WantedToken,
        consumer: Option<&ConsumerChange>,
    ) -> anyhow::Result<Option<TokenChange>> {
        let before = self.mistakes.len();
        if wanted.secret.is_empty() && !self.options.generates {
            self.wrong(&wanted.lines, "token_secret", NO_SECRET);
        }
        let mut request = token_request(wanted.token, wanted.secret);
        let whole = request.clone();
        if let (Some(consumer), Some(token)) = (consumer, &mut request.token) {
            self.check_consumer(token, consumer, &wanted.lines);
            // The server has the scopes of before.
            let has = consumer
                .previous
                .iter()
                .flat_map(|previous| &previous.scopes);
            let has: HashSet<_> = has.collect();
            token.scopes.retain(|scope| has.contains(scope));
        }
        if let Err(status) = self.tokens.create_token(request).await
            && !is_settled_by(&status, consumer)
        {
            self.mistaken(&status, &wanted.lines)?;
        }
        Ok((self.mistakes.len() == before).then_some(TokenChange::Create(whole)))
    }

    /// Checks a new token against its consumer in the file.
    fn check_consumer(&mut self, token: &v1::Token, consumer: &ConsumerChange, at: &FieldLines) {
        for scope in &token.scopes {
            if !consumer.new.scopes.contains(scope) {
                self.wrong(
                    at,
                    "scopes",
                    &format!("has {scope:?}, which its consumer does not have"),
                );
            }
        }
        if consumer.new.status() == v1::ConsumerStatus::Disabled {
            self.wrong(at, "consumer_key", "names a consumer that is disabled");
        }
    }

    /// Remembers the mistakes that a refusal names.
    ///
    /// # Errors
    /// If the refusal is not about the record.
    fn mistaken(&mut self, status: &Status, lines: &FieldLines) -> anyhow::Result<()> {
        let details = status.get_error_details();
        match (status.code(), details.bad_request()) {
            (Code::InvalidArgument, Some(wrong)) => {
                for one in &wrong.field_violations {
                    let records = ["consumer.", "token."];
                    let own = records
                        .iter()
                        .find_map(|record| one.field.strip_prefix(record));
                    let field = own.unwrap_or(&one.field);
                    let remedy = match field {
                        "consumer_secret" if !self.options.generates => SECRET_REMEDY,
                        _ => "",
                    };
                    let problem = format!("{}{remedy}", one.description);
                    self.wrong(lines, field, &problem);
                }
                Ok(())
            }
            (Code::NotFound | Code::FailedPrecondition, _) => {
                self.wrong(
                    lines,
                    "consumer_key",
                    &format!("is refused: {}", status.message()),
                );
                Ok(())
            }
            _ => Err(refused(status.clone())),
        }
    }

    fn wrong(&mut self, lines: &FieldLines, field: &str, problem: &str) {
        self.mistakes.push(lines.mistake(field, problem));
    }
}

// === impl Plan ===

impl Plan {
    /// Returns the number of changes.
    pub(super) fn len(&self) -> usize {
        let consumers = self.consumers.iter().filter(|one| !one.is_unchanged());
        let is_change = |change: &&TokenChange| !matches!(change, TokenChange::None);
        let tokens = self.tokens.iter().filter(is_change);
        consumers.count() + tokens.count() + self.surplus.len()
    }

    /// Returns `true` if a secret will be generated.
    pub(super) fn generates(&self) -> bool {
        let of_token = |change: &TokenChange| match change {
            TokenChange::Create(request) => request.token_secret.is_empty(),
            TokenChange::None | TokenChange::Revoke(_) => false,
        };
        self.consumers.iter().any(ConsumerChange::generates) || self.tokens.iter().any(of_token)
    }
}

// === impl ConsumerChange ===

impl ConsumerChange {
    /// Returns `true` if the server has the consumer as the file has it.
    pub(super) fn is_unchanged(&self) -> bool {
        self.previous.as_ref() == Some(&self.new)
    }

    /// Returns the request that makes the change, only of the state that the plan shows.
    pub(super) fn request_to_apply(self) -> v1::ApplyConsumerRequest {
        let mut request = self.request;
        request.validate_only = false;
        request.create_only = self.previous.is_none();
        if let (Some(consumer), Some(previous)) = (&mut request.consumer, self.previous) {
            consumer.etag = previous.etag;
        }
        request
    }

    /// Returns `true` if the server will generate the secret.
    pub(super) fn generates(&self) -> bool {
        let request = &self.request;
        self.previous.is_none() && request.generate_secret && request.consumer_secret.is_empty()
    }
}

/// Returns the request that checks a token.
fn token_request(token: v1::Token, token_secret: String) -> v1::CreateTokenRequest {
    v1::CreateTokenRequest {
        token: Some(token),
        token_secret,
        ttl: None,
        allow_existing: true,
        validate_only: true,
    }
}

/// Returns `true` if a refusal of a new token does not apply once its consumer is as in the file.
fn is_settled_by(status: &Status, consumer: Option<&ConsumerChange>) -> bool {
    let Some(consumer) = consumer else {
        return false;
    };
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    match reason {
        Some("CONSUMER_NOT_FOUND") => consumer.previous.is_none(),
        Some("CONSUMER_DISABLED") => consumer.new.status() == v1::ConsumerStatus::Active,
        _ => false,
    }
}

/// Returns the fields in which a token differs from the server's.
fn differences(wanted: &v1::Token, found: &v1::Token) -> Vec<&'static str> {
    let mut different = Vec::new();
    if wanted.consumer_key != found.consumer_key {
        different.push("consumer_key");
    }
    if wanted.status() == v1::TokenStatus::Revoked {
        return different;
    }
    if wanted.user_id != found.user_id {
        different.push("user_id");
    }
    let set = |token: &v1::Token| -> HashSet<String> { token.scopes.iter().cloned().collect() };
    if set(wanted) != set(found) {
        different.push("scopes");
    }
    if millis(wanted) != millis(found) {
        different.push("expire_time");
    }
    different
}

/// Returns the expiry with the precision of the server.
fn millis(token: &v1::Token) -> Option<Duration> {
    let time = token.expire_time?;
    let seconds = u64::try_from(time.seconds).unwrap_or_default();
    let nanos = u64::try_from(time.nanos).unwrap_or_default();
    Some(Duration::from_secs(seconds) + Duration::from_millis(nanos / 1_000_000))
}

/// The server's limit.
const PAGE: i32 = 100;

const FIXED: &str = "differs from the token on the server, which cannot be changed: set `status: revoked` for \
                     it, and list a token with another name";

const REVOKED: &str =
    "is active, but the token is revoked permanently: list a token with another name";

const NO_SECRET: &str = "is missing, and the token is new: add token_secret_file or token_secret_env, or generate \
                         the secret with --generate-secrets FILE";

const SECRET_REMEDY: &str = "; add consumer_secret_file or consumer_secret_env, or generate the secret with --generate-secrets FILE";

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    #[test]
    fn a_change_is_only_for_the_state_that_the_plan_shows() {
        let with_etag = |etag: &str| v1::Consumer {
            etag: etag.to_owned(),
            ..v1::Consumer::default()
        };
        let change = ConsumerChange {
            request: v1::ApplyConsumerRequest {
                consumer: Some(v1::Consumer::default()),
                validate_only: true,
                ..v1::ApplyConsumerRequest::default()
            },
            previous: Some(with_etag("shown")),
            new: with_etag("next"),
            secret_changed: false,
        };
        let new = ConsumerChange {
            request: change.request.clone(),
            previous: None,
            new: with_etag("next"),
            secret_changed: false,
        };
        let request = change.request_to_apply();
        assert_eq!(request.consumer, Some(with_etag("shown")));
        assert!(!request.validate_only && !request.create_only);
        let request = new.request_to_apply();
        assert!(!request.validate_only && request.create_only);
    }

    #[test]
    fn a_token_is_compared_in_what_the_server_keeps() {
        let time = |nanos| Some(Timestamp { seconds: 5, nanos });
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let found = v1::Token {
            consumer_key: "K".to_owned(),
            user_id: "alice".to_owned(),
            scopes: texts(&["read", "write"]),
            expire_time: time(1_000_000),
            etag: "e".to_owned(),
            ..v1::Token::default()
        };
        let same = v1::Token {
            scopes: texts(&["write", "read"]),
            expire_time: time(1_234_567),
            etag: String::new(),
            ..found.clone()
        };
        assert_eq!(differences(&same, &found), [""; 0]);
        let other = v1::Token {
            consumer_key: "L".to_owned(),
            ..v1::Token::default()
        };
        let all = ["consumer_key", "user_id", "scopes", "expire_time"];
        assert_eq!(differences(&other, &found), all);
        let tombstone = v1::Token {
            consumer_key: "K".to_owned(),
            status: v1::TokenStatus::Revoked.into(),
            ..v1::Token::default()
        };
        assert_eq!(differences(&tombstone, &found), [""; 0]);
    }
}
