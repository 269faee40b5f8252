//! `countersign.v1.ConsumerService`.

use tonic::{Request, Response, Status};

use super::convert::{
    consumer_draft, consumer_message, duration, given, secret, shown, wanted_consumer,
};
use super::fields::Fields;
use super::mask::ConsumerUpdate;
use super::page::{Page, PageRequest};
use super::{errors, gate};
use crate::issue::{
    ApplyOutcome, ConsumerDraft, CreateOutcome, IssueError, Issuer, WantedConsumer,
};
use crate::model::{Consumer, ConsumerId, ConsumerKey};
use crate::v1;
use crate::v1::consumer_service_server::ConsumerService;

/// The consumer service: messages in, calls of the [`Issuer`], messages out.
#[derive(Clone, Debug)]
pub(super) struct ConsumerApi {
    issuer: Issuer,
}

#[tonic::async_trait]
impl ConsumerService for ConsumerApi {
    async fn create_consumer(
        &self,
        request: Request<v1::CreateConsumerRequest>,
    ) -> Result<Response<v1::CreateConsumerResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        let draft =
            consumer_draft(request.into_inner()).map_err(|wrong| errors::invalid(&wrong))?;
        let outcome = self.issuer.create_consumer(&draft, &actor).await;
        let outcome = outcome.map_err(|error| {
            errors::of_draft(error, "consumer", &["consumer_secret", "no_shared_secret"])
        })?;
        Ok(Response::new(create_response(&outcome, &draft)))
    }

    async fn get_consumer(
        &self,
        request: Request<v1::GetConsumerRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        use v1::get_consumer_request::Name;
        let mut fields = Fields::default();
        match request.into_inner().name {
            Some(Name::ConsumerKey(key)) => {
                let key = fields.take("consumer_key", ConsumerKey::new(key));
                response(self.issuer.consumer(&fields.all(key)?).await)
            }
            Some(Name::ConsumerId(id)) => {
                let id = fields.take("consumer_id", ConsumerId::new(id));
                response(self.issuer.consumer_by_id(&fields.all(id)?).await)
            }
            None => {
                fields.wrong("name", "is required: consumer_key or consumer_id");
                fields.all(None)
            }
        }
    }

    async fn apply_consumer(
        &self,
        request: Request<v1::ApplyConsumerRequest>,
    ) -> Result<Response<v1::ApplyConsumerResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        let wanted =
            wanted_consumer(request.into_inner()).map_err(|wrong| errors::invalid(&wrong))?;
        let outcome = self.issuer.apply_consumer(&wanted, &actor).await;
        let outcome = outcome.map_err(|error| {
            errors::of_draft(error, "consumer", &["consumer_secret", "secret_overlap"])
        })?;
        Ok(Response::new(apply_response(&outcome, &wanted)))
    }

    async fn expire_previous_consumer_secret(
        &self,
        request: Request<v1::ExpirePreviousConsumerSecretRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        let actor = gate::actor(request.extensions())?;
        let key = key(&request.get_ref().consumer_key)?;
        response(self.issuer.expire_previous_secret(&key, &actor).await)
    }

    async fn list_consumers(
        &self,
        request: Request<v1::ListConsumersRequest>,
    ) -> Result<Response<v1::ListConsumersResponse>, Status> {
        let v1::ListConsumersRequest {
            page_size,
            page_token,
        } = request.get_ref();
        let mut fields = Fields::default();
        let requested = PageRequest {
            size: *page_size,
            token: page_token,
        };
        let page = Page::parse(&mut fields, requested, "consumers", ConsumerKey::new);
        let page = fields.all(page)?;
        let found = self
            .issuer
            .consumers(page.after.as_ref(), page.limit())
            .await
            .map_err(errors::status)?;
        let (consumers, next_page_token) = page.cut(found, |last| last.key.as_str());
        let consumers = consumers.iter().map(consumer_message).collect();
        Ok(Response::new(v1::ListConsumersResponse {
            consumers,
            next_page_token,
        }))
    }

    async fn update_consumer(
        &self,
        request: Request<v1::UpdateConsumerRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::UpdateConsumerRequest {
            consumer,
            update_mask,
        } = request.into_inner();
        let mut fields = Fields::default();
        let mut new = fields
            .take("consumer", consumer.ok_or("is required"))
            .unwrap_or_default();
        let key = std::mem::take(&mut new.consumer_key);
        let key = fields.take("consumer.consumer_key", ConsumerKey::new(key));
        let etag = given(std::mem::take(&mut new.etag));
        let update = ConsumerUpdate::parse(&mut fields, update_mask, new);
        let (key, update) = fields.all(key.zip(update))?;
        let updated = self
            .issuer
            .update_consumer(
                &key,
                |attributes| update.apply(attributes),
                etag.as_deref(),
                &actor,
            )
            .await;
        let updated = updated.map_err(|error| errors::of_draft(error, "consumer", &[]))?;
        Ok(Response::new(consumer_message(&updated)))
    }

    async fn delete_consumer(
        &self,
        request: Request<v1::DeleteConsumerRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::DeleteConsumerRequest { consumer_key, etag } = request.into_inner();
        let deleted = self
            .issuer
            .delete_consumer(&key(&consumer_key)?, given(etag).as_deref(), &actor)
            .await;
        deleted.map(Response::new).map_err(errors::status)
    }

    async fn rotate_consumer_secret(
        &self,
        request: Request<v1::RotateConsumerSecretRequest>,
    ) -> Result<Response<v1::RotateConsumerSecretResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::RotateConsumerSecretRequest {
            consumer_key,
            consumer_secret,
            overlap,
        } = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.take("consumer_key", ConsumerKey::new(consumer_key));
        let overlap = fields.take("overlap", duration(overlap));
        let (key, overlap) = fields.all(key.zip(overlap))?;
        let secret = secret(consumer_secret);
        let rotated = self
            .issuer
            .rotate_consumer_secret(&key, secret.as_ref(), overlap, &actor)
            .await;
        let consumer = rotated.map_err(errors::status)?;
        let consumer_secret = newest_secret(&consumer);
        let consumer = Some(consumer_message(&consumer));
        Ok(Response::new(v1::RotateConsumerSecretResponse {
            consumer,
            consumer_secret,
        }))
    }

    async fn add_rsa_public_key(
        &self,
        request: Request<v1::AddRsaPublicKeyRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::AddRsaPublicKeyRequest {
            consumer_key,
            rsa_public_key,
        } = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.take("consumer_key", ConsumerKey::new(consumer_key));
        let new = fields.take("rsa_public_key", rsa_public_key.ok_or("is required"));
        let (key, new) = fields.all(key.zip(new))?;
        response(self.issuer.add_rsa_public_key(&key, &new.pem, &actor).await)
    }

    async fn remove_rsa_public_key(
        &self,
        request: Request<v1::RemoveRsaPublicKeyRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::RemoveRsaPublicKeyRequest {
            consumer_key,
            fingerprint: given,
        } = request.get_ref();
        let mut fields = Fields::default();
        let key = fields.take("consumer_key", ConsumerKey::new(consumer_key.as_str()));
        let fingerprint = fields.take("fingerprint", fingerprint(given));
        let (key, fingerprint) = fields.all(key.zip(fingerprint))?;
        let removed = self
            .issuer
            .remove_rsa_public_key(&key, &fingerprint, &actor)
            .await;
        response(removed)
    }

    async fn disable_consumer(
        &self,
        request: Request<v1::DisableConsumerRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        let actor = gate::actor(request.extensions())?;
        let key = key(&request.get_ref().consumer_key)?;
        response(self.issuer.disable_consumer(&key, &actor).await)
    }

    async fn enable_consumer(
        &self,
        request: Request<v1::EnableConsumerRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        let actor = gate::actor(request.extensions())?;
        let key = key(&request.get_ref().consumer_key)?;
        response(self.issuer.enable_consumer(&key, &actor).await)
    }
}

impl ConsumerApi {
    pub(super) const fn new(issuer: Issuer) -> Self {
        Self { issuer }
    }
}

/// Reads the only required field of a request, `consumer_key`.
fn key(text: &str) -> Result<ConsumerKey, Status> {
    let mut fields = Fields::default();
    let key = fields.take("consumer_key", ConsumerKey::new(text));
    fields.all(key)
}

/// Reads a SHA-256 in hexadecimal, of either case.
fn fingerprint(text: &str) -> Result<String, &'static str> {
    let right = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if right {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("must be 64 hexadecimal digits: copy it from the response of GetConsumer")
    }
}

/// Returns the response to CreateConsumer. A response that only validates has no generated values.
fn create_response(
    outcome: &CreateOutcome<Consumer>,
    draft: &ConsumerDraft,
) -> v1::CreateConsumerResponse {
    let CreateOutcome { record, existed } = outcome;
    let is_imaginary = draft.validate_only && !existed;
    let mut consumer = consumer_message(record);
    let mut consumer_secret = newest_secret(record);
    if is_imaginary {
        consumer.consumer_id.clear();
        consumer.etag.clear();
    }
    if is_imaginary && draft.consumer_key.is_none() {
        consumer.consumer_key.clear();
    }
    if is_imaginary && draft.consumer_secret.is_none() {
        consumer_secret.clear();
    }
    v1::CreateConsumerResponse {
        consumer: Some(consumer),
        consumer_secret,
        existed: *existed,
    }
}

/// Returns the response to ApplyConsumer. A response that only validates has no generated values.
fn apply_response(outcome: &ApplyOutcome, wanted: &WantedConsumer) -> v1::ApplyConsumerResponse {
    let mut consumer = consumer_message(&outcome.consumer);
    let is_imaginary = wanted.validate_only && outcome.previous.is_none();
    if is_imaginary {
        consumer.consumer_id.clear();
        consumer.etag.clear();
    }
    let is_generated =
        outcome.previous.is_none() && wanted.consumer_secret.is_none() && !is_imaginary;
    v1::ApplyConsumerResponse {
        consumer: Some(consumer),
        previous: outcome.previous.as_ref().map(consumer_message),
        secret_changed: outcome.secret_changed(),
        consumer_secret: if is_generated {
            newest_secret(&outcome.consumer)
        } else {
            String::new()
        },
    }
}

fn newest_secret(consumer: &Consumer) -> String {
    consumer
        .secrets
        .first()
        .map(|newest| shown(&newest.secret))
        .unwrap_or_default()
}

fn response(consumer: Result<Consumer, IssueError>) -> Result<Response<v1::Consumer>, Status> {
    consumer
        .map(|consumer| Response::new(consumer_message(&consumer)))
        .map_err(errors::status)
}
