//! The service `grpc.health.v1.Health`, over the statuses of the health monitor.

use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService};

use super::watches;

/// The health service. A watch ends with its connection.
#[derive(Debug)]
pub(super) struct ConnectionHealth(HealthService);

impl ConnectionHealth {
    /// Returns the service that serves the statuses of `reporter`.
    pub(super) fn serving(reporter: HealthReporter) -> HealthServer<Self> {
        HealthServer::new(Self(HealthService::from_health_reporter(reporter)))
    }
}

#[tonic::async_trait]
impl Health for ConnectionHealth {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.0.check(request).await
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let extensions = request.extensions().clone();
        let watch = self.0.watch(request).await?;
        let end = Status::unavailable("the server ends the connection; watch again");
        Ok(watch.map(|watch| watches::until_connection_ends(watch, &extensions, end)))
    }
}
