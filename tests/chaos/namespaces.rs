//! Two network namespaces beside this one, and a partition between them. Needs root.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::redis_group::Place;

/// Two hosts on one bridge, removed when dropped. The driver has an address on both sides of a
/// partition; the third place is this namespace.
pub(crate) struct Namespaces {
    id: u32,
}

impl Namespaces {
    /// Creates them; `None` without the permission.
    pub(crate) fn create() -> Option<Self> {
        // A namespace of an earlier row may take a moment to disappear.
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let created = Self {
            id: (std::process::id() % 10_000) * 100 + number,
        };
        created.configure().then_some(created)
    }

    /// Returns the host that a partition leaves alone.
    pub(crate) fn left(&self) -> Place {
        self.host("l", LEFT)
    }

    /// Returns the host that stays with this namespace.
    pub(crate) fn right(&self) -> Place {
        self.host("r", RIGHT)
    }

    /// Returns this namespace, as the other hosts see it.
    pub(crate) fn here(&self) -> Place {
        Place {
            ip: HERE.into(),
            wrapper: Vec::new(),
        }
    }

    /// Cuts the left host from the others, but not from the driver.
    pub(crate) fn part(&self) {
        self.routes("add");
    }

    /// Connects the left host again.
    pub(crate) fn join(&self) {
        self.routes("del");
    }

    fn routes(&self, change: &str) {
        for ip in [HERE, RIGHT] {
            let name = self.name("l");
            let changed = run(&format!("ip -n {name} route {change} blackhole {ip}/32"));
            assert!(changed, "cannot change the routes of {name}");
        }
    }

    fn host(&self, side: &str, ip: Ipv4Addr) -> Place {
        let wrapper = ["ip", "netns", "exec", &self.name(side)].map(str::to_owned);
        Place {
            ip: ip.into(),
            wrapper: wrapper.into(),
        }
    }

    fn name(&self, part: &str) -> String {
        format!("cs{}{part}", self.id)
    }

    fn configure(&self) -> bool {
        let bridge = self.name("b");
        let mut commands = vec![
            format!("ip link add {bridge} type bridge"),
            format!("ip addr add {DRIVER}/24 dev {bridge}"),
            format!("ip addr add {HERE}/24 dev {bridge}"),
            format!("ip link set {bridge} up"),
        ];
        for (side, ip) in [("l", LEFT), ("r", RIGHT)] {
            let (name, outside) = (self.name(side), self.name(&format!("{side}0")));
            commands.extend([
                format!("ip netns add {name}"),
                format!("ip link add {outside} type veth peer name eth0 netns {name}"),
                format!("ip link set {outside} master {bridge} up"),
                format!("ip -n {name} addr add {ip}/24 dev eth0"),
                format!("ip -n {name} link set eth0 up"),
                format!("ip -n {name} link set lo up"),
            ]);
        }
        commands.iter().all(|command| run(command))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for side in ["l", "r"] {
            run(&format!("ip netns del {}", self.name(side)));
        }
        run(&format!("ip link del {}", self.name("b")));
    }
}

fn run(command: &str) -> bool {
    let mut words = command.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    let ran = command.args(words).stderr(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}

/// The address of this namespace for the driver, which a partition does not cut.
const DRIVER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
/// The address of this namespace for the servers.
const HERE: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 10);
const LEFT: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 3);
