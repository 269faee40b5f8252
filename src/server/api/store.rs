//! `countersign.v1.StoreService`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::mpsc::{self, Sender};
use tonic::{Request, Response, Status};

use super::{errors, gate};
use crate::issue::Actor;
use crate::store::{
    RecordCensus, RekeyProgress, RekeySummary, Store, StoreError, UnreadableRecord, rekey,
    rekey_dry_run,
};
use crate::v1;
use crate::v1::store_service_server::StoreService;

/// The store service: rotates the master keys.
#[derive(Clone, Debug)]
pub(super) struct StoreApi {
    store: Arc<dyn Store>,
    turn: RotationTurn,
}

/// The turn to rotate the master keys, which one caller has at a time. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct RotationTurn {
    is_taken: Arc<AtomicBool>,
}

/// The turn of a rotation, until it is dropped.
#[derive(Debug)]
struct TakenTurn(RotationTurn);

/// The only rotation of this server, until it is dropped.
struct Rotation {
    _turn: TakenTurn,
    event: RotationEvent,
}

/// The audit event of a rotation, logged when it is dropped.
struct RotationEvent {
    actor: Actor,
    first_key: Box<str>,
    resealed: u64,
    outcome: &'static str,
}

type Answer = Result<v1::RekeyResponse, Status>;

#[tonic::async_trait]
impl StoreService for StoreApi {
    type RekeyStream = BoxStream<'static, Answer>;

    async fn rekey(
        &self,
        request: Request<v1::RekeyRequest>,
    ) -> Result<Response<Self::RekeyStream>, Status> {
        let actor = gate::actor(request.extensions())?;
        let revocation = gate::revocation(request.extensions());
        let v1::RekeyRequest { dry_run } = request.into_inner();
        let (sender, answers) = mpsc::channel(ANSWERS);
        let store = Arc::clone(&self.store);
        if dry_run {
            tokio::spawn(until_closed(sender.clone(), revocation, async move {
                let counted = rekey_dry_run(&*store, reporter(&sender)).await;
                send_end(&sender, counted, true).await;
            }));
        } else {
            let rotation = self.begin(actor)?;
            tokio::spawn(until_closed(
                sender.clone(),
                revocation,
                rotate(store, sender, rotation),
            ));
        }
        let answers = stream::unfold(answers, |mut answers| async {
            answers.recv().await.map(|answer| (answer, answers))
        });
        Ok(Response::new(answers.boxed()))
    }
}

// === impl StoreApi ===

impl StoreApi {
    pub(super) const fn new(store: Arc<dyn Store>, turn: RotationTurn) -> Self {
        Self { store, turn }
    }

    /// Begins a rotation, unless another one runs.
    fn begin(&self, actor: Actor) -> Result<Rotation, Status> {
        let turn = self.turn.take().ok_or_else(errors::rekey_running)?;
        let first_key = self.store.master_key_ids().into_iter().next();
        Ok(Rotation {
            _turn: turn,
            event: RotationEvent {
                actor,
                first_key: first_key.unwrap_or_default(),
                resealed: 0,
                outcome: "stopped",
            },
        })
    }
}

// === impl RotationTurn ===

impl RotationTurn {
    /// Takes the turn, unless it is taken.
    fn take(&self) -> Option<TakenTurn> {
        let was_taken = self.is_taken.swap(true, Ordering::AcqRel);
        (!was_taken).then(|| TakenTurn(self.clone()))
    }
}

// === impl TakenTurn ===

impl Drop for TakenTurn {
    fn drop(&mut self) {
        self.0.is_taken.store(false, Ordering::Release);
    }
}

async fn rotate(store: Arc<dyn Store>, sender: Sender<Answer>, mut rotation: Rotation) {
    let mut report = reporter(&sender);
    let event = &mut rotation.event;
    let rotated = rekey(&*store, |progress| {
        event.resealed = progress.resealed;
        report(progress);
    })
    .await;
    event.outcome = if rotated.is_ok() { "done" } else { "failed" };
    drop(rotation);
    send_end(&sender, rotated, false).await;
}

/// Does work until its caller goes away or loses the access. The answer cannot tell the second while
/// the caller does not read it.
async fn until_closed(
    sender: Sender<Answer>,
    revocation: impl Future<Output = ()>,
    work: impl Future<Output = ()>,
) {
    tokio::select! {
        () = work => {}
        () = sender.closed() => {}
        () = revocation => {}
    }
}

/// Returns a function that sends the progress. A slow reader misses some of it.
fn reporter(sender: &Sender<Answer>) -> impl FnMut(RekeyProgress) + Send + use<> {
    let sender = sender.clone();
    move |progress| {
        let RekeyProgress {
            scanned,
            total,
            resealed,
        } = progress;
        let _is_full = sender.try_send(Ok(v1::RekeyResponse {
            scanned,
            total,
            resealed,
            summary: None,
        }));
    }
}

async fn send_end(
    sender: &Sender<Answer>,
    outcome: Result<RekeySummary, StoreError>,
    dry_run: bool,
) {
    let answer = match outcome {
        Ok(summary) => Ok(last_message(summary, dry_run)),
        Err(error) => Err(errors::rekey_failure(&error)),
    };
    let _has_gone = sender.send(answer).await;
}

fn last_message(summary: RekeySummary, dry_run: bool) -> v1::RekeyResponse {
    let RekeySummary {
        before,
        after,
        resealed,
    } = summary;
    let keys = counts(&before, &after);
    let scanned = keys.iter().map(|key| key.after).sum::<u64>() + after.unreadable;
    let unreadable = after.unreadable_records.into_iter();
    v1::RekeyResponse {
        scanned,
        total: resealed,
        resealed,
        summary: Some(v1::RekeySummary {
            first_key: keys
                .first()
                .map(|key| key.key_id.clone())
                .unwrap_or_default(),
            keys,
            resealed,
            unreadable: after.unreadable,
            unreadable_records: unreadable.map(unreadable_message).collect(),
            dry_run,
        }),
    }
}

/// Returns the counts of each key; a key that was added or removed meanwhile has 0 for the other
/// time.
fn counts(before: &RecordCensus, after: &RecordCensus) -> Vec<v1::MasterKeyCount> {
    let find = |census: &RecordCensus, id: &str| {
        let found = census.keys.iter().find(|(key, _)| **key == *id);
        found.map_or(0, |(_, count)| *count)
    };
    let removed = before.keys.iter().map(|(id, _)| id);
    let removed = removed.filter(|id| after.keys.iter().all(|(key, _)| key != *id));
    let ids = after.keys.iter().map(|(id, _)| id).chain(removed);
    ids.map(|id| v1::MasterKeyCount {
        key_id: id.to_string(),
        before: find(before, id),
        after: find(after, id),
    })
    .collect()
}

fn unreadable_message(record: UnreadableRecord) -> v1::UnreadableRecord {
    use crate::store::RecordKind;
    let name = if record.kind == RecordKind::Session {
        record
            .name
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    } else {
        record.name.escape_ascii().to_string()
    };
    v1::UnreadableRecord {
        kind: record.kind.label().to_owned(),
        name,
        problem: record.problem,
    }
}

// === impl RotationEvent ===

impl Drop for RotationEvent {
    fn drop(&mut self) {
        // As text, so that it is quoted, as in every audit event.
        let actor = &*self.actor.to_string();
        tracing::info!(
            target: "countersign::audit",
            actor,
            action = "store.rekey",
            first_key = &*self.first_key,
            resealed = self.resealed,
            outcome = self.outcome,
        );
    }
}

/// The number of messages that wait for a slow reader.
const ANSWERS: usize = 16;

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[test]
    fn one_rotation_runs_across_all_services_that_share_a_turn() {
        let turn = RotationTurn::default();
        let after_a_reload = turn.clone();
        let taken = turn.take().unwrap();
        assert!(after_a_reload.take().is_none());
        drop(taken);
        assert!(after_a_reload.take().is_some());
    }

    #[tokio::test]
    async fn a_rotation_stops_when_its_access_is_revoked() {
        let (sender, _answers) = mpsc::channel(ANSWERS);
        until_closed(sender, ready(()), pending()).await;
    }
}
