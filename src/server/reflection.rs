//! gRPC server reflection.

use tonic_reflection::server::Builder;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use super::error::ServerError;

/// Returns the reflection service for health, for itself and for `services`, whose definitions are
/// in `descriptors`.
///
/// Services are listed by name, since `descriptors` also defines `UserDirectory`, which operators
/// serve and we do not.
pub(super) fn service(
    descriptors: &[&'static [u8]],
    services: &[&str],
) -> Result<ServerReflectionServer<impl ServerReflection>, ServerError> {
    let mut builder = Builder::configure();
    for set in [tonic_health::pb::FILE_DESCRIPTOR_SET]
        .iter()
        .chain(descriptors)
    {
        builder = builder.register_encoded_file_descriptor_set(set);
    }
    for service in [HEALTH, REFLECTION].iter().chain(services) {
        builder = builder.with_service_name(*service);
    }
    builder.build_v1().map_err(ServerError::Reflection)
}

const HEALTH: &str = "grpc.health.v1.Health";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";
