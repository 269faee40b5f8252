//! A store that refuses every call, for test doubles that need only checks or pings.

/// Implements `Store` for a type that implements `CheckStore` and `StoreHealth`: every call
/// except `close` fails with this error.
macro_rules! refusing_store {
    ($store:ty, $error:expr, $changes:expr) => {
        const _: () = {
            use $crate::support::refusing_store::types::*;

            #[async_trait::async_trait]
            impl countersign::store::ConsumerStore for $store {
                async fn create_consumer(&self, _: &Consumer) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn update_consumer(&self, _: &Consumer) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn delete_consumer(&self, _: &Consumer) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn consumer(&self, _: &ConsumerKey) -> Result<Option<Consumer>, StoreError> {
                    Err($error)
                }

                async fn consumers(
                    &self,
                    _: Option<&ConsumerKey>,
                    _: usize,
                ) -> Result<Vec<Consumer>, StoreError> {
                    Err($error)
                }
            }

            #[async_trait::async_trait]
            impl countersign::store::TokenStore for $store {
                async fn create_token(&self, _: &AccessToken) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn update_token(&self, _: &AccessToken) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn delete_token(&self, _: &AccessToken) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn token(&self, _: &Token) -> Result<Option<AccessToken>, StoreError> {
                    Err($error)
                }

                async fn tokens(
                    &self,
                    _: TokenHolder<'_>,
                    _: Option<&Token>,
                    _: usize,
                ) -> Result<Vec<AccessToken>, StoreError> {
                    Err($error)
                }
            }

            #[async_trait::async_trait]
            impl countersign::store::UserStore for $store {
                async fn create_user(&self, _: &User) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn update_user(&self, _: &User) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn user(&self, _: &UserId) -> Result<Option<User>, StoreError> {
                    Err($error)
                }

                async fn user_named(&self, _: &Username) -> Result<Option<User>, StoreError> {
                    Err($error)
                }

                async fn users(
                    &self,
                    _: Option<&UserId>,
                    _: usize,
                ) -> Result<Vec<User>, StoreError> {
                    Err($error)
                }
            }

            #[async_trait::async_trait]
            impl countersign::store::RequestTokenStore for $store {
                async fn create_request_token(&self, _: &RequestToken) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn update_request_token(&self, _: &RequestToken) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn exchange_request_token(
                    &self,
                    _: &RequestToken,
                    _: &AccessToken,
                ) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn request_token(
                    &self,
                    _: &Token,
                ) -> Result<Option<RequestToken>, StoreError> {
                    Err($error)
                }
            }

            #[async_trait::async_trait]
            impl countersign::store::SessionStore for $store {
                async fn create_session(&self, _: &Session) -> Result<(), StoreError> {
                    Err($error)
                }

                async fn session(&self, _: &SessionId) -> Result<Option<Session>, StoreError> {
                    Err($error)
                }

                async fn delete_session(&self, _: &SessionId) -> Result<(), StoreError> {
                    Err($error)
                }
            }

            #[async_trait::async_trait]
            impl countersign::store::RecordScan for $store {
                async fn scan(
                    &self,
                    _: &countersign::store::ScanCursor,
                    _: usize,
                ) -> Result<countersign::store::ScanPage, StoreError> {
                    Err($error)
                }

                async fn reseal(
                    &self,
                    _: &[countersign::store::SealedRecord],
                ) -> Result<Vec<countersign::store::ResealOutcome>, StoreError> {
                    Err($error)
                }

                fn master_key_ids(&self) -> Vec<Box<str>> {
                    Vec::new()
                }

                fn problem_of(&self, _: &countersign::store::SealedRecord) -> Option<String> {
                    None
                }

                fn note_census(&self, _: &[Box<str>], _: u64) {}

                fn is_census_wanted(&self) -> bool {
                    false
                }
            }

            #[async_trait::async_trait]
            impl countersign::store::BackupStore for $store {
                fn kind(&self) -> &'static str {
                    "refusing"
                }

                fn seal_digest(&self, _: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
                    Err($error)
                }

                fn open_digest(
                    &self,
                    _: &[u8],
                ) -> Result<[u8; 32], countersign::store::UnusableRecord> {
                    unreachable!("no export is restored into it")
                }

                fn open_record(
                    &self,
                    _: &countersign::store::SealedRecord,
                ) -> Result<
                    countersign::store::RestorableRecord,
                    countersign::store::UnusableRecord,
                > {
                    unreachable!("no export is restored into it")
                }

                async fn raise_fence(&self) -> Result<(), StoreError> {
                    Err($error)
                }
            }

            #[async_trait::async_trait]
            impl countersign::store::AttemptStore for $store {
                async fn count_attempt(
                    &self,
                    _: &AttemptCounter,
                    _: Duration,
                ) -> Result<u64, StoreError> {
                    Err($error)
                }

                async fn uncount_attempts(
                    &self,
                    _: &AttemptCounter,
                    _: u64,
                ) -> Result<(), StoreError> {
                    Err($error)
                }
            }

            #[async_trait::async_trait]
            impl countersign::store::StoreLifecycle for $store {
                fn changes(&self) -> &ChangeFeed {
                    let changes: fn(&Self) -> &ChangeFeed = $changes;
                    changes(self)
                }

                fn check_keys(&self, _: &ReplacementKeys) -> Result<(), StoreError> {
                    Err($error)
                }

                fn use_keys(&self, _: ReplacementKeys) {}

                async fn close(&self) -> Result<(), StoreError> {
                    Ok(())
                }
            }
        };
    };
}

/// The types that the macro uses.
pub(crate) mod types {
    pub(crate) use std::time::Duration;

    pub(crate) use countersign::model::{
        AccessToken, Consumer, ConsumerKey, RequestToken, Session, SessionId, Token, User, UserId,
        Username,
    };
    pub(crate) use countersign::store::{
        AttemptCounter, ChangeFeed, ReplacementKeys, StoreError, TokenHolder,
    };
}

pub(crate) use refusing_store;
