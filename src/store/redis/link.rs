//! The link below a connection: one server, or the servers of a Cluster.

use std::collections::BTreeMap;

use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{
    MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
};
use redis::{Cmd, Value};
use tokio::time::{Instant, timeout_at};

use super::error::CommandError;

/// A link. Its clones share the sockets.
#[derive(Clone)]
pub(super) enum Link {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

// === impl Link ===

impl Link {
    /// Runs a command until `deadline`, on a Cluster where its key is.
    pub(super) async fn run(
        &mut self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, CommandError> {
        let outcome = match self {
            Self::Node(node) => timeout_at(deadline, command.query_async(node)).await,
            Self::Cluster(cluster) => timeout_at(deadline, command.query_async(cluster)).await,
        };
        outcome.map_or(Err(CommandError::Timeout), |answer| {
            answer.map_err(CommandError::from)
        })
    }

    /// Runs a command on the server, or on the primary of a Cluster that has `slot`.
    pub(super) async fn run_at_slot(
        &mut self,
        slot: u16,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, CommandError> {
        let Self::Cluster(cluster) = self else {
            return self.run(command, deadline).await;
        };
        let route = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
        let route = RoutingInfo::SingleNode(route);
        let answer = timeout_at(deadline, cluster.route_command(command.clone(), route)).await;
        Ok(answer.map_err(|_| CommandError::Timeout)??)
    }

    /// Runs commands one after the other, on a Cluster where their keys are.
    pub(super) async fn run_in_turn(
        &mut self,
        commands: &[Cmd],
        deadline: Instant,
    ) -> Result<Vec<Value>, CommandError> {
        let mut pipeline = redis::Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let outcome = match self {
            Self::Node(node) => timeout_at(deadline, pipeline.query_async(node)).await,
            Self::Cluster(cluster) => timeout_at(deadline, pipeline.query_async(cluster)).await,
        };
        outcome.map_or(Err(CommandError::Timeout), |answers| {
            answers.map_err(CommandError::from)
        })
    }

    /// Runs a command on the server, or on every primary of a Cluster, and returns the answers by
    /// address. The address of a single server is empty.
    pub(super) async fn run_everywhere(
        &mut self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<BTreeMap<String, Value>, CommandError> {
        let Self::Cluster(cluster) = self else {
            let answer = self.run(command, deadline).await?;
            return Ok(BTreeMap::from([(String::new(), answer)]));
        };
        let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answer = timeout_at(deadline, cluster.route_command(command.clone(), primaries)).await;
        let Value::Map(answers) = answer.map_err(|_| CommandError::Timeout)?? else {
            return Err(CommandError::UnexpectedAnswer);
        };
        answers
            .into_iter()
            .map(|(address, answer)| Ok((read(address)?, answer)))
            .collect()
    }

    /// Returns `true` if there are several servers.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

/// Reads an answer of a known type.
pub(super) fn read<T: redis::FromRedisValue>(answer: Value) -> Result<T, CommandError> {
    redis::from_redis_value(answer).map_err(|_| CommandError::UnexpectedAnswer)
}
