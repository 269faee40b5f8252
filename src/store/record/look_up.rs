//! Reading of lookup results, which takes as long for a record that is not there as for one that
//! is.

use std::hint::black_box;

use super::dummy::{self, DummyRecords};
use super::{Records, unwritable};
use crate::model::{AccessToken, Consumer, ConsumerKey, Token, UserId, UserStanding};
use crate::store::StoreError;

impl Records {
    /// Reads the result of a lookup of a consumer. Without a result, reads a dummy record instead.
    pub(in crate::store) fn found_consumer(
        &self,
        key: &ConsumerKey,
        bytes: Option<&[u8]>,
    ) -> Result<Option<Consumer>, StoreError> {
        if let Some(bytes) = bytes {
            return self.decode_consumer(key, bytes).map(Some);
        }
        if let Some((key, bytes)) = self.dummies().map(|dummies| &dummies.consumer) {
            black_box(self.decode_consumer(key, bytes)?);
        }
        Ok(None)
    }

    /// Reads the result of a lookup of a token. Without a result, reads a dummy record instead.
    pub(in crate::store) fn found_token(
        &self,
        token: &Token,
        bytes: Option<&[u8]>,
    ) -> Result<Option<AccessToken>, StoreError> {
        if let Some(bytes) = bytes {
            return self.decode_token(token, bytes).map(Some);
        }
        if let Some((token, bytes)) = self.dummies().map(|dummies| &dummies.token) {
            black_box(self.decode_token(token, bytes)?);
        }
        Ok(None)
    }

    /// Reads the standing of a user as the result of a lookup. Without a result, reads a dummy
    /// record instead.
    pub(in crate::store) fn found_standing(
        &self,
        found: Option<(&UserId, &[u8])>,
    ) -> Result<UserStanding, StoreError> {
        if let Some((id, bytes)) = found {
            return self.decode_standing(id, bytes);
        }
        if let Some((id, bytes)) = self.dummies().map(|dummies| &dummies.user) {
            black_box(self.decode_standing(id, bytes)?);
        }
        Ok(UserStanding::default())
    }

    fn dummies(&self) -> Option<&DummyRecords> {
        self.dummies
            .get_or_init(|| self.write_dummies().ok())
            .as_ref()
    }

    fn write_dummies(&self) -> Result<DummyRecords, StoreError> {
        let writer = self.unproven_writer();
        let consumer = dummy::consumer().map_err(unwritable)?;
        let token = dummy::token(&consumer.key).map_err(unwritable)?;
        let user = dummy::user().map_err(unwritable)?;
        Ok(DummyRecords {
            consumer: (consumer.key.clone(), writer.encode_consumer(&consumer)?),
            token: (token.token.clone(), writer.encode_token(&token)?),
            user: (user.id.clone(), writer.encode_user(&user)?),
        })
    }
}
