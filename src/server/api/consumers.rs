//! `countersign.v1.ConsumerService`.

use tonic::{Request, Response, Status};

use super::convert::{consumer_draft, consumer_message, duration, given, secret, shown};
use super::fields::Fields;
use super::page::{Asked, Page};
use super::{errors, gate, mask};
use crate::issue::{Actor, ConsumerDraft, Created, IssueError, Issuer};
use crate::model::{Consumer, ConsumerKey, ConsumerStatus};
use crate::v1;
use crate::v1::consumer_service_server::ConsumerService;

#[derive(Clone, Debug)]
pub(super) struct Consumers {
    issuer: Issuer,
}

#[tonic::async_trait]
impl ConsumerService for Consumers {
    async fn create_consumer(
        &self,
        request: Request<v1::CreateConsumerRequest>,
    ) -> Result<Response<v1::CreateConsumerResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        let draft =
            consumer_draft(request.into_inner()).map_err(|wrong| errors::invalid(&wrong))?;
        let created = self.issuer.create_consumer(&draft, &actor).await;
        let Created {
            record: consumer,
            existed,
        } = created.map_err(|error| {
            errors::of_draft(error, "consumer", &["consumer_secret", "no_shared_secret"])
        })?;
        let mut answer = v1::CreateConsumerResponse {
            consumer_secret: newest_secret(&consumer),
            consumer: Some(consumer_message(&consumer)),
            existed,
        };
        if draft.validate_only && !existed {
            blank_made(&mut answer, &draft);
        }
        Ok(Response::new(answer))
    }

    async fn get_consumer(
        &self,
        request: Request<v1::GetConsumerRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        answer(
            self.issuer
                .consumer(&key(&request.get_ref().consumer_key)?)
                .await,
        )
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
        let asked = Asked {
            size: *page_size,
            token: page_token,
        };
        let page = Page::parse(&mut fields, asked, "consumers", ConsumerKey::new);
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
        let new = fields
            .take("consumer", consumer.ok_or("is required"))
            .unwrap_or_default();
        let key = fields.take(
            "consumer.consumer_key",
            ConsumerKey::new(new.consumer_key.as_str()),
        );
        let change = mask::consumer_change(&mut fields, update_mask, &new);
        let (key, change) = fields.all(key.zip(change))?;
        let changed = self
            .issuer
            .update_consumer(&key, &change, given(new.etag).as_deref(), &actor)
            .await;
        let changed = changed.map_err(|error| errors::of_draft(error, "consumer", &[]))?;
        Ok(Response::new(consumer_message(&changed)))
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
        let (
            key,
            v1::RsaPublicKey {
                pem,
                bits: _,
                fingerprint: _,
            },
        ) = fields.all(key.zip(new))?;
        answer(self.issuer.add_rsa_public_key(&key, &pem, &actor).await)
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
        answer(
            self.issuer
                .remove_rsa_public_key(&key, &fingerprint, &actor)
                .await,
        )
    }

    async fn disable_consumer(
        &self,
        request: Request<v1::DisableConsumerRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        let actor = gate::actor(request.extensions())?;
        self.set_status(
            &request.get_ref().consumer_key,
            ConsumerStatus::Disabled,
            &actor,
        )
        .await
    }

    async fn enable_consumer(
        &self,
        request: Request<v1::EnableConsumerRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        let actor = gate::actor(request.extensions())?;
        self.set_status(
            &request.get_ref().consumer_key,
            ConsumerStatus::Active,
            &actor,
        )
        .await
    }
}

impl Consumers {
    pub(super) const fn new(issuer: Issuer) -> Self {
        Self { issuer }
    }

    async fn set_status(
        &self,
        consumer_key: &str,
        status: ConsumerStatus,
        actor: &Actor,
    ) -> Result<Response<v1::Consumer>, Status> {
        answer(
            self.issuer
                .set_consumer_status(&key(consumer_key)?, status, actor)
                .await,
        )
    }
}

/// The required `consumer_key` of a request that has no other field to be wrong.
fn key(text: &str) -> Result<ConsumerKey, Status> {
    let mut fields = Fields::default();
    let key = fields.take("consumer_key", ConsumerKey::new(text));
    fields.all(key)
}

/// A SHA-256 as people copy it: in either case.
fn fingerprint(text: &str) -> Result<String, &'static str> {
    let right = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if right {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("must be 64 hexadecimal digits, as the server shows it")
    }
}

/// Takes out what was made for an answer that creates nothing.
fn blank_made(answer: &mut v1::CreateConsumerResponse, draft: &ConsumerDraft) {
    if draft.consumer_secret.is_none() {
        answer.consumer_secret.clear();
    }
    if let Some(consumer) = &mut answer.consumer {
        consumer.consumer_id.clear();
        consumer.etag.clear();
        if draft.consumer_key.is_none() {
            consumer.consumer_key.clear();
        }
    }
}

fn newest_secret(consumer: &Consumer) -> String {
    consumer
        .secrets
        .first()
        .map(|newest| shown(&newest.secret))
        .unwrap_or_default()
}

fn answer(consumer: Result<Consumer, IssueError>) -> Result<Response<v1::Consumer>, Status> {
    consumer
        .map(|consumer| Response::new(consumer_message(&consumer)))
        .map_err(errors::status)
}
