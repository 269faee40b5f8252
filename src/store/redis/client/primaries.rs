//! Commands for the primaries of a Cluster one by one, or for the only server; a scan needs them.

use redis::{Cmd, Value, cmd};
use tokio::time::Instant;

use super::RedisClient;
use crate::store::redis::cluster_slots::{SlotRange, lowest_slots, slot_ranges};
use crate::store::redis::error::CommandError;
use crate::store::redis::link::read;
use crate::store::redis::server_info::ServerInfo;

impl RedisClient {
    /// Runs a command on the primary with that number, in the order of the slots.
    pub(in crate::store::redis) async fn call_primary(
        &self,
        number: usize,
        command: &Cmd,
    ) -> Result<Value, CommandError> {
        if !self.is_cluster() {
            return self.call(command).await;
        }
        let slots = lowest_slots(&self.slots().await?);
        let slot = *slots.get(number).ok_or(CommandError::ClusterDown)?;
        self.through_gate(async {
            let deadline = Instant::now() + self.timeout();
            let connection = self.check_out(deadline).await?;
            let mut link = connection.link().clone();
            link.run_at_slot(slot, command, deadline).await
        })
        .await
    }

    /// Returns the number of primaries.
    pub(in crate::store::redis) async fn primary_count(&self) -> Result<usize, CommandError> {
        if self.is_cluster() {
            Ok(lowest_slots(&self.slots().await?).len())
        } else {
            Ok(1)
        }
    }

    /// Returns a text that is the same as long as every server is, and has the same slots.
    pub(in crate::store::redis) async fn identify_servers(&self) -> Result<String, CommandError> {
        let run_ids = match self.run_ids().await {
            Ok(run_ids) => run_ids,
            // An access control list may refuse INFO.
            Err(CommandError::NotPermitted(_) | CommandError::UnknownCommand(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        let slots = if self.is_cluster() {
            self.slots().await?
        } else {
            Vec::new()
        };
        let restarts = self.restarts_seen();
        Ok(format!("{run_ids:?} {slots:?} {restarts}"))
    }

    async fn run_ids(&self) -> Result<Vec<String>, CommandError> {
        self.through_gate(async {
            let deadline = Instant::now() + self.timeout();
            let connection = self.check_out(deadline).await?;
            let info = cmd("INFO").arg("server").to_owned();
            let mut link = connection.link().clone();
            let answers = link.run_everywhere(&info, deadline).await?;
            let ids = answers.into_values().map(|answer| {
                let text: String = read(answer)?;
                Ok(ServerInfo::parse(&text).run_id)
            });
            ids.collect()
        })
        .await
    }

    async fn slots(&self) -> Result<Vec<SlotRange>, CommandError> {
        let slots = cmd("CLUSTER").arg("SLOTS").to_owned();
        slot_ranges(self.call(&slots).await?)
    }
}
