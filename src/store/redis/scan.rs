//! The [`RecordScan`] part of the Redis store: `SCAN` of one server, or of each primary of a Cluster
//! in turn.
//!
//! A cursor of `SCAN` belongs to one server: another one has its keys in another order. So at the
//! end of each server, the scan compares the servers with those at its beginning, by their run ids
//! and, in a Cluster, by their slots; if they differ, it begins again.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use redis::cmd;

use super::error::CommandError;
use super::record_key::RecordKey;
use super::{RedisStore, keys, scripts};
use crate::store::scan::{
    ResealOutcome, ScanCursor, ScanPage, ScanPosition, SealedRecord, ServerPosition,
};
use crate::store::{RecordScan, StoreError, StoreErrorKind};

#[async_trait]
impl RecordScan for RedisStore {
    async fn scan(&self, from: &ScanCursor, limit: usize) -> Result<ScanPage, StoreError> {
        let position = match &from.0 {
            ScanPosition::Server(position) => position.clone(),
            ScanPosition::Start | ScanPosition::Record { .. } => self.first_position(0).await?,
        };
        let (cursor, found) = self.scan_server(&position, limit).await?;
        let records = self.sealed_records(found).await?;
        let next = self.position_after(position, cursor).await?;
        Ok(ScanPage {
            records,
            next: next.map(|position| ScanCursor(ScanPosition::Server(position))),
        })
    }

    async fn reseal(&self, listed: &[SealedRecord]) -> Result<Vec<ResealOutcome>, StoreError> {
        self.writer().await?;
        let mut outcomes = Vec::with_capacity(listed.len());
        for some in listed.chunks(CONCURRENCY) {
            let resealed = some.iter().map(|one| self.reseal_one(one));
            outcomes.extend(try_join_all(resealed).await?);
        }
        Ok(outcomes)
    }

    fn master_key_ids(&self) -> Vec<Box<str>> {
        self.records.master_key_ids()
    }

    fn problem_of(&self, record: &SealedRecord) -> Option<String> {
        self.records
            .problem_of(record.kind, &record.name, &record.bytes)
    }

    fn note_census(&self, keys: &[Box<str>], under_old_keys: u64) {
        self.records.note_census(keys, under_old_keys);
    }

    fn is_census_wanted(&self) -> bool {
        self.records.is_census_wanted()
    }
}

impl RedisStore {
    async fn first_position(&self, restarts: u32) -> Result<ServerPosition, StoreError> {
        Ok(ServerPosition {
            servers: self.servers().await?,
            server: 0,
            cursor: 0,
            restarts,
        })
    }

    async fn servers(&self) -> Result<String, StoreError> {
        let servers = self.client.identify_servers().await;
        servers.map_err(|error| error.during(SCANNING))
    }

    /// Returns the next cursor of the server, and keys of records.
    async fn scan_server(
        &self,
        position: &ServerPosition,
        limit: usize,
    ) -> Result<(u64, Vec<(RecordKey, String)>), StoreError> {
        let mut scan = cmd("SCAN");
        scan.arg(position.cursor)
            .arg("MATCH")
            .arg(keys::ALL)
            .arg("COUNT")
            .arg(limit.max(1));
        let answer = self.client.call_primary(position.server, &scan).await;
        let answer = answer.map_err(|error| error.during(SCANNING))?;
        let (cursor, found): (u64, Vec<Vec<u8>>) = redis::from_redis_value(answer)
            .map_err(|_| CommandError::UnexpectedAnswer.during(SCANNING))?;
        let found = found.into_iter().filter_map(|key| {
            let key = String::from_utf8(key).ok()?;
            Some((RecordKey::parse(&key)?, key))
        });
        Ok((cursor, found.collect()))
    }

    /// Reads the records of these keys, except those that were deleted since.
    async fn sealed_records(
        &self,
        found: Vec<(RecordKey, String)>,
    ) -> Result<Vec<SealedRecord>, StoreError> {
        let (named, keys): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let mut records = Vec::with_capacity(keys.len());
        let stored = self.fetch(&keys).await?;
        for ((named, key), stored) in named.into_iter().zip(keys).zip(stored) {
            let bytes = match stored {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                // A value of another type.
                Err(error) if error.kind() == StoreErrorKind::Unreadable => Vec::new(),
                Err(error) => return Err(error),
            };
            records.push(SealedRecord {
                kind: named.kind,
                name: named.name,
                bytes,
                key: Some(key),
            });
        }
        Ok(records)
    }

    /// Returns the position that follows; `None` at the end.
    async fn position_after(
        &self,
        position: ServerPosition,
        cursor: u64,
    ) -> Result<Option<ServerPosition>, StoreError> {
        if cursor != 0 {
            return Ok(Some(ServerPosition { cursor, ..position }));
        }
        if self.servers().await? != position.servers {
            return self.begin_again(position.restarts).await.map(Some);
        }
        let server = position.server + 1;
        let count = self.client.primary_count().await;
        let count = count.map_err(|error| error.during(SCANNING))?;
        Ok((server < count).then_some(ServerPosition {
            server,
            cursor,
            ..position
        }))
    }

    async fn begin_again(&self, restarts: u32) -> Result<ServerPosition, StoreError> {
        if restarts < MAX_RESTARTS {
            return self.first_position(restarts + 1).await;
        }
        let error = StoreError::new(StoreErrorKind::Unavailable, SCANNING);
        Err(error.because("the servers of Redis change too often; try again when they are stable"))
    }

    async fn reseal_one(&self, listed: &SealedRecord) -> Result<ResealOutcome, StoreError> {
        let resealed = self
            .records
            .resealed(listed.kind, &listed.name, &listed.bytes);
        let resealed = match resealed {
            Ok(resealed) => resealed,
            Err(reason) => return Ok(ResealOutcome::Unreadable(reason)),
        };
        let Some(key) = &listed.key else {
            return Ok(ResealOutcome::Changed);
        };
        let script = scripts::reseal_record(key, &listed.bytes, &resealed);
        let is_done: bool = self.call(RESEALING, &script).await?;
        if !is_done {
            return Ok(ResealOutcome::Changed);
        }
        self.records.note_resealed(listed.kind, &resealed);
        Ok(ResealOutcome::Resealed)
    }
}

const SCANNING: &str = "scanning the records";
const RESEALING: &str = "sealing records again";

/// The number of records that are written at a time.
const CONCURRENCY: usize = 16;

/// The number of times that a scan begins again because the servers changed.
const MAX_RESTARTS: u32 = 8;
