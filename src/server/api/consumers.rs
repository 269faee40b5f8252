//! `countersign.v1.ConsumerService`.

use tonic::{Request, Response, Status};

use super::convert::{consumer_draft, consumer_message, shown};
use super::page::{self, Page};
use super::v1::consumer_service_server::ConsumerService;
use super::{errors, gate, v1};
use crate::issue::{Actor, Created, Issuer, Violations};
use crate::model::{ConsumerKey, ConsumerStatus};

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
        let draft = consumer_draft(request.into_inner()).map_err(|wrong| errors::invalid(&wrong))?;
        let created = self.issuer.create_consumer(&draft, &actor).await;
        let Created { record: consumer, existed } =
            created.map_err(|error| errors::of_draft(error, "consumer", &["consumer_secret", "no_shared_secret"]))?;
        Ok(Response::new(v1::CreateConsumerResponse {
            consumer: Some(consumer_message(&consumer)),
            consumer_secret: consumer.secrets.first().map(|newest| shown(&newest.secret)).unwrap_or_default(),
            existed,
        }))
    }

    async fn get_consumer(&self, request: Request<v1::GetConsumerRequest>) -> Result<Response<v1::Consumer>, Status> {
        let key = consumer_key(&request.get_ref().consumer_key)?;
        let consumer = self.issuer.consumer(&key).await.map_err(errors::status)?;
        Ok(Response::new(consumer_message(&consumer)))
    }

    async fn list_consumers(
        &self,
        request: Request<v1::ListConsumersRequest>,
    ) -> Result<Response<v1::ListConsumersResponse>, Status> {
        let v1::ListConsumersRequest { page_size, page_token } = request.get_ref();
        let page = Page::parse(*page_size, page_token).map_err(|wrong| errors::invalid(&wrong))?;
        // One more than asked for tells whether there is a next page.
        let found = self.issuer.consumers(page.after.as_ref(), page.size + 1).await.map_err(errors::status)?;
        let consumers = &found[..found.len().min(page.size)];
        let more = found.len() > page.size;
        let next = consumers.last().filter(|_| more).map(|last| page::token(&last.key));
        Ok(Response::new(v1::ListConsumersResponse {
            consumers: consumers.iter().map(consumer_message).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn disable_consumer(
        &self,
        request: Request<v1::DisableConsumerRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        let actor = gate::actor(request.extensions())?;
        self.set_status(&request.get_ref().consumer_key, ConsumerStatus::Disabled, &actor).await
    }

    async fn enable_consumer(
        &self,
        request: Request<v1::EnableConsumerRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        let actor = gate::actor(request.extensions())?;
        self.set_status(&request.get_ref().consumer_key, ConsumerStatus::Active, &actor).await
    }

    async fn update_consumer(
        &self,
        _request: Request<v1::UpdateConsumerRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn delete_consumer(&self, _request: Request<v1::DeleteConsumerRequest>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn rotate_consumer_secret(
        &self,
        _request: Request<v1::RotateConsumerSecretRequest>,
    ) -> Result<Response<v1::RotateConsumerSecretResponse>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn add_rsa_public_key(
        &self,
        _request: Request<v1::AddRsaPublicKeyRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn remove_rsa_public_key(
        &self,
        _request: Request<v1::RemoveRsaPublicKeyRequest>,
    ) -> Result<Response<v1::Consumer>, Status> {
        Err(Status::unimplemented("not built yet"))
    }
}

impl Consumers {
    pub(super) const fn new(issuer: Issuer) -> Self {
        Self { issuer }
    }

    async fn set_status(
        &self,
        key: &str,
        status: ConsumerStatus,
        actor: &Actor,
    ) -> Result<Response<v1::Consumer>, Status> {
        let changed = self.issuer.set_consumer_status(&consumer_key(key)?, status, actor).await;
        Ok(Response::new(consumer_message(&changed.map_err(errors::status)?)))
    }
}

/// The required `consumer_key` of a request.
pub(super) fn consumer_key(text: &str) -> Result<ConsumerKey, Status> {
    ConsumerKey::new(text).map_err(|problem| errors::invalid(&Violations::of("consumer_key", problem)))
}
