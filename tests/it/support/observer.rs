//! An administrator's client for the denials of the real program.

use countersign::v1;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::support::program::Countersign;

/// The administrator's client.
pub(crate) struct Observer(DiagnosticsServiceClient<InterceptedService<Channel, Bearer>>);

/// Adds the admin token to calls.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Bearer {
    /// Returns the token of a server.
    pub(crate) fn of(countersign: &Countersign) -> Self {
        let token = countersign.admin_token();
        Self(format!("Bearer {token}").parse().unwrap())
    }
}

impl Observer {
    pub(crate) async fn of(countersign: &Countersign) -> Self {
        let bearer = Bearer::of(countersign);
        let channel = Endpoint::from_shared(format!("http://{}", countersign.api))
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self(DiagnosticsServiceClient::with_interceptor(channel, bearer))
    }

    pub(crate) fn client(&self) -> DiagnosticsServiceClient<InterceptedService<Channel, Bearer>> {
        self.0.clone()
    }

    /// Watches all denials from now on.
    pub(crate) async fn watch(&self) -> Streaming<v1::WatchDenialsResponse> {
        self.watch_for(v1::WatchDenialsRequest::default()).await
    }

    /// Watches matching denials from now on.
    pub(crate) async fn watch_for(
        &self,
        request: v1::WatchDenialsRequest,
    ) -> Streaming<v1::WatchDenialsResponse> {
        self.client()
            .watch_denials(request)
            .await
            .unwrap()
            .into_inner()
    }
}
