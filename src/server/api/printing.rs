//! How the messages are shown: as JSON to people and scripts, and by `Debug` without secrets.

use std::fmt;

use prost_types::Timestamp;
use serde::{Serialize, Serializer};

use super::v1;

pub(super) fn timestamp<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(to)
}

pub(super) fn consumer_status<S: Serializer>(status: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::ConsumerStatus::try_from(*status).unwrap_or_default().as_str_name().serialize(to)
}

pub(super) fn token_status<S: Serializer>(status: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::TokenStatus::try_from(*status).unwrap_or_default().as_str_name().serialize(to)
}

impl fmt::Debug for v1::CreateConsumerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateConsumerRequest").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::CreateConsumerResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateConsumerResponse").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::CreateTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateTokenRequest").field("token", &self.token).finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::CreateTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateTokenResponse").field("token", &self.token).finish_non_exhaustive()
    }
}
