//! The synthetic check, and the proof of the master key.
//!
//! A store is ready if it can answer a check. The synthetic check uses the code of checks: it looks
//! up a consumer and a token, opens a sealed record, and claims a nonce. So a missing permission in
//! Redis shows here before it fails a caller. The nonce is random and expires after a second, so it
//! harms no consumer that has the same key. All keys are in one slot: if a Cluster loses another
//! slot, readiness does not flap.
//!
//! The sealed record is the canary. The first process writes it (`SET NX`), again after a
//! `FLUSHALL`; all others compare their master keys with it. A replica whose keys do not open it
//! does not start; if Redis was down at the start, it runs, but is not ready and writes no record.

use std::time::Duration;

use redis::cmd;
use tokio::try_join;
use tracing::info;

use super::{RedisStore, UPDATING, keys, scripts};
use crate::model::{ConsumerKey, Token};
use crate::store::record::{CanarySeal, RecordWriter, unreadable};
use crate::store::{ClaimOutcome, NonceClaim, StoreError, StoreErrorKind};

impl RedisStore {
    /// Makes a check of a caller who usually does not exist.
    pub(super) async fn check_synthetically(&self) -> Result<(), StoreError> {
        let consumer = ConsumerKey::new(keys::CANARY_TAG).map_err(unreadable)?;
        let token = Token::new(keys::CANARY_TAG).map_err(unreadable)?;
        let nonce = self.records.draw_id().to_be_bytes();
        let now = self.clock.now();
        let claim = NonceClaim {
            consumer: &consumer,
            token: Some(&token),
            timestamp: now.as_secs(),
            nonce: &nonce,
            check_id: self.records.draw_id().to_be_bytes(),
            now,
            expires_at: now.plus(CLAIM_KEPT),
            not_before: 0,
        };
        let (_records, outcome, (), ()) = try_join!(
            self.callers.caller_records(&consumer, Some(&token)),
            self.nonces.claim(&claim),
            self.prove_key(),
            self.check_scripts(),
        )?;
        match outcome {
            // A fence refuses signed requests of the past, and passes by itself.
            ClaimOutcome::Fresh | ClaimOutcome::Fenced { .. } => Ok(()),
            ClaimOutcome::FreshHere | ClaimOutcome::Replayed => {
                Err(StoreError::new(StoreErrorKind::Unusable, CLAIMING).because(
                    "Redis answered the claim of a nonce that nobody else has as if it were used",
                ))
            }
        }
    }

    /// Returns an error if Redis answers and was written with another master key. Every other
    /// failure may pass.
    pub(super) async fn refuse_other_key(&self) -> Result<(), StoreError> {
        match self.prove_key().await {
            Err(error) if error.kind() == StoreErrorKind::WrongMasterKey => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Returns the writer of records once the master key is proven.
    pub(super) async fn writer(&self) -> Result<RecordWriter<'_>, StoreError> {
        if !self.records.is_key_proven() {
            self.prove_key().await?;
        }
        self.records.writer()
    }

    /// Compares the master keys with the canary, and writes the canary if it is absent.
    async fn prove_key(&self) -> Result<(), StoreError> {
        let own = self.records.own_canary()?;
        let mut set = cmd("SET");
        set.arg(keys::CANARY).arg(&*own).arg("NX").arg("GET");
        let stored: Option<Vec<u8>> = self.call("reading the canary", &set).await?;
        let seal = self.records.prove_key(stored.as_deref().unwrap_or(&own))?;
        // Once, since replicas with different first keys would write in turns.
        if let Some(stored) = stored
            && seal == CanarySeal::OlderKey
            && !self.records.is_canary_settled()
        {
            self.reseal(&stored, &own).await?;
        }
        self.records.settle_canary(&own);
        Ok(())
    }

    /// Seals the canary with the first key, unless another process did.
    async fn reseal(&self, stored: &[u8], own: &[u8]) -> Result<(), StoreError> {
        let update = scripts::update_record(keys::CANARY, stored, own, None);
        let updated: u8 = self.call(UPDATING, &update).await?;
        if updated == 1 {
            info!("the first master key is new; it seals records from now on");
        }
        Ok(())
    }

    /// Runs an empty script by its source, as a claim does on a Redis that does not know the
    /// script.
    async fn check_scripts(&self) -> Result<(), StoreError> {
        let mut eval = cmd("EVAL");
        eval.arg("return 1").arg(1).arg(keys::CANARY);
        let _one: u8 = self.call("running a script", &eval).await?;
        Ok(())
    }
}

const CLAIMING: &str = "claiming a nonce";

/// The time for which the claim of a synthetic check is remembered.
const CLAIM_KEPT: Duration = Duration::from_secs(1);
