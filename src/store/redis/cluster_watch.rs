//! Follows the primaries of a Cluster, also if no node reports a redirection.
//!
//! The connection to a Cluster learns of a failover from the redirection or the broken connection
//! of a node. A primary that is frozen gives neither: its calls time out until it thaws, although a
//! replica was promoted long ago. So some nodes are asked for the slots every [`INTERVAL`]. If most
//! of those that answer name other primaries than before, every connection to the Cluster ends; the
//! next one begins with the nodes that answered, and so does not wait for a frozen one.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, Value, cmd};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::info;

use super::cluster::ClusterAddress;
use super::credentials::Credentials;
use super::error::CommandError;
use super::sentinel::{HostPort, moved_to};
use super::server_term::ServerTerm;

/// The watch over the nodes of a Cluster, until it is dropped.
pub(super) struct ClusterWatch {
    shared: Arc<WatchState>,
    _task: JoinSet<()>,
}

struct WatchState {
    address: ClusterAddress,
    view: Mutex<ClusterView>,
    term: Arc<ServerTerm>,
}

#[derive(Default)]
struct ClusterView {
    primaries: BTreeSet<HostPort>,
    /// The nodes that answered last.
    live: Vec<HostPort>,
}

/// The nodes of a Cluster, as one of them names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NodeList {
    primaries: BTreeSet<HostPort>,
    replicas: BTreeSet<HostPort>,
}

/// The task that asks the nodes.
struct NodeSurvey {
    watch: Weak<WatchState>,
    credentials: Arc<Credentials>,
    connections: HashMap<HostPort, MultiplexedConnection>,
    /// Every node that is known.
    nodes: Vec<HostPort>,
    /// The place in the list of nodes from which some are asked.
    turn: usize,
}

// === impl ClusterWatch ===

impl ClusterWatch {
    /// Starts asking the nodes. Needs a tokio runtime.
    pub(super) fn start(
        address: ClusterAddress,
        credentials: Arc<Credentials>,
        term: Arc<ServerTerm>,
    ) -> Self {
        let shared = Arc::new(WatchState {
            address,
            view: Mutex::default(),
            term,
        });
        let survey = NodeSurvey {
            watch: Arc::downgrade(&shared),
            credentials,
            connections: HashMap::new(),
            nodes: Vec::new(),
            turn: 0,
        };
        let mut task = JoinSet::new();
        task.spawn(survey.run());
        Self {
            shared,
            _task: task,
        }
    }

    /// Returns the address that the URL names.
    pub(super) fn address(&self) -> &ClusterAddress {
        &self.shared.address
    }

    /// Returns the nodes to begin with: those that answered last, or else those that the URL names.
    pub(super) fn first_nodes(&self) -> Vec<ConnectionInfo> {
        let named = self.address().nodes();
        let live = self.shared.view().live.clone();
        match named.first() {
            Some(model) if !live.is_empty() => {
                live.iter().map(|node| moved_to(model, node)).collect()
            }
            _ => named.to_vec(),
        }
    }
}

// === impl WatchState ===

impl WatchState {
    /// Notes the answers of the nodes that were asked; returns every node that is known now.
    fn note(&self, answers: &[(HostPort, Option<NodeList>)]) -> Vec<HostPort> {
        let mut view = self.view();
        let lists = || answers.iter().filter_map(|(_, list)| list.as_ref());
        view.live = answers
            .iter()
            .filter(|(_, list)| list.is_some())
            .map(|(node, _)| node.clone())
            .collect();
        let votes_for = |primaries: &BTreeSet<HostPort>| {
            lists().filter(|list| list.primaries == *primaries).count()
        };
        let agreed = lists().find(|list| votes_for(&list.primaries) * 2 > lists().count());
        let Some(agreed) = agreed else {
            return Vec::new();
        };
        if view.primaries != agreed.primaries {
            let is_first = view.primaries.is_empty();
            view.primaries.clone_from(&agreed.primaries);
            if !is_first {
                info!("the primaries of the Redis Cluster have changed; connecting to them");
                self.term.end();
            }
        }
        agreed.primaries.union(&agreed.replicas).cloned().collect()
    }

    fn view(&self) -> MutexGuard<'_, ClusterView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl NodeSurvey ===

impl NodeSurvey {
    async fn run(mut self) {
        while let Some(watch) = self.watch.upgrade() {
            let named = watch.address.nodes().to_vec();
            drop(watch);
            let answers = self.ask_some(&named).await;
            let Some(watch) = self.watch.upgrade() else {
                return;
            };
            self.nodes = watch.note(&answers);
            drop(watch);
            sleep(INTERVAL).await;
        }
    }

    /// Asks some nodes, others each time if there are many.
    async fn ask_some(&mut self, named: &[ConnectionInfo]) -> Vec<(HostPort, Option<NodeList>)> {
        let Some(model) = named.first() else {
            return Vec::new();
        };
        let nodes = named.iter().filter_map(|node| name_of(node.addr()));
        let mut nodes: Vec<HostPort> = nodes.chain(self.nodes.drain(..)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        self.connections.retain(|node, _| nodes.contains(node));
        if nodes.len() > MAX_ASKED {
            self.turn = (self.turn + MAX_ASKED) % nodes.len();
            nodes.rotate_left(self.turn);
            nodes.truncate(MAX_ASKED);
        }
        let credentials = &self.credentials;
        let asked = nodes.into_iter().map(|node| {
            let connection = self.connections.remove(&node);
            async {
                let asked = ask(connection, credentials, model, &node);
                let answer = timeout(ANSWER_TIMEOUT, asked).await;
                (node, answer.ok().and_then(Result::ok))
            }
        });
        let mut answers = Vec::new();
        for (node, answer) in join_all(asked).await {
            let (connection, list) = answer.unzip();
            if let Some(connection) = connection {
                self.connections.insert(node.clone(), connection);
            }
            answers.push((node, list));
        }
        answers
    }
}

/// Asks one node for the slots; returns the connection and the answer.
async fn ask(
    connection: Option<MultiplexedConnection>,
    credentials: &Credentials,
    model: &ConnectionInfo,
    node: &HostPort,
) -> Result<(MultiplexedConnection, NodeList), CommandError> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => connect(credentials, &moved_to(model, node)).await?,
    };
    let slots = cmd("CLUSTER").arg("SLOTS").to_owned();
    let answer: Value = slots.query_async(&mut connection).await?;
    let list = node_list(answer, node).ok_or(CommandError::UnexpectedAnswer)?;
    Ok((connection, list))
}

async fn connect(
    credentials: &Credentials,
    node: &ConnectionInfo,
) -> Result<MultiplexedConnection, CommandError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT));
    let client = credentials.current().redis_client(node)?;
    let connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    Ok(connection)
}

/// Reads the answer to `CLUSTER SLOTS` of the node `asked`: for each range of slots its primary,
/// and then its replicas.
fn node_list(answer: Value, asked: &HostPort) -> Option<NodeList> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    let mut list = NodeList::default();
    for range in ranges {
        let Value::Array(fields) = range else {
            return None;
        };
        let mut nodes = fields.into_iter().skip(2);
        list.primaries.insert(node_name(nodes.next()?, asked)?);
        list.replicas
            .extend(nodes.filter_map(|node| node_name(node, asked)));
    }
    Some(list)
}

/// Reads the name of a node. An empty host is that of the node that was asked.
fn node_name(node: Value, asked: &HostPort) -> Option<HostPort> {
    let Value::Array(fields) = node else {
        return None;
    };
    let mut fields = fields.into_iter();
    let host: Option<String> = redis::from_redis_value(fields.next()?).ok()?;
    let port: u16 = redis::from_redis_value(fields.next()?).ok()?;
    let host = host.filter(|host| !host.is_empty() && host != "?");
    Some((host.unwrap_or_else(|| asked.0.clone()), port))
}

fn name_of(address: &ConnectionAddr) -> Option<HostPort> {
    match address {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some((host.clone(), *port))
        }
        ConnectionAddr::Unix(_) | _ => None,
    }
}

/// The interval at which nodes are asked for the slots.
const INTERVAL: Duration = Duration::from_secs(1);

/// The longest time to wait for the answer of a node.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(300);

/// The maximum number of nodes that are asked at a time.
const MAX_ASKED: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_of_each_range_comes_before_its_replicas() {
        let node = |host: &str, port| {
            Value::Array(vec![
                Value::BulkString(host.as_bytes().to_vec()),
                Value::Int(port),
            ])
        };
        let range = |nodes: [Value; 2]| {
            let slots = [Value::Int(0), Value::Int(9)];
            Value::Array(slots.into_iter().chain(nodes).collect())
        };
        let answer = Value::Array(vec![
            range([node("a", 1), node("b", 2)]),
            range([node("", 3), node("a", 4)]),
        ]);
        let list = node_list(answer, &("asked".into(), 9)).unwrap();
        let names = |nodes: [(&str, u16); 2]| nodes.map(|(host, port)| (host.into(), port)).into();
        assert_eq!(
            list,
            NodeList {
                primaries: names([("a", 1), ("asked", 3)]),
                replicas: names([("b", 2), ("a", 4)]),
            }
        );
        assert_eq!(node_list(Value::Nil, &("asked".into(), 9)), None);
    }

    #[test]
    fn a_term_ends_when_most_nodes_name_other_primaries() {
        let watch = WatchState {
            address: ClusterAddress::parse("redis", "a").unwrap(),
            view: Mutex::default(),
            term: Arc::default(),
        };
        let says = |node: &str, primary: &str| {
            let list = NodeList {
                primaries: [(primary.to_owned(), 1)].into(),
                ..NodeList::default()
            };
            ((node.to_owned(), 1), Some(list))
        };
        let term = watch.term.mark();
        watch.note(&[says("a", "p"), says("b", "p")]);
        watch.note(&[says("a", "q"), says("b", "p")]);
        watch.note(&[(("a".into(), 1), None)]);
        assert!(!term.has_ended());
        watch.note(&[
            says("a", "q"),
            says("b", "q"),
            says("c", "p"),
            (("p".into(), 1), None),
        ]);
        assert!(term.has_ended());
        assert_eq!(watch.view().live.len(), 3);
    }
}
