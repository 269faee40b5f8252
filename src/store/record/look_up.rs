//! Reading of lookup results, which takes as long for a record that is not there as for one that
//! is.

use std::hint::black_box;

use super::Records;
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
        // A dummy does not open if the key that sealed it was removed an instant ago.
        let own = self.own.load();
        if let Some((key, bytes)) = own.dummies(self).map(|dummies| &dummies.consumer) {
            black_box(self.decode_consumer(key, bytes).ok());
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
        let own = self.own.load();
        if let Some((token, bytes)) = own.dummies(self).map(|dummies| &dummies.token) {
            black_box(self.decode_token(token, bytes).ok());
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
        let own = self.own.load();
        if let Some((id, bytes)) = own.dummies(self).map(|dummies| &dummies.user) {
            black_box(self.decode_standing(id, bytes).ok());
        }
        Ok(UserStanding::default())
    }
}
