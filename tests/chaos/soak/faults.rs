//! The faults, and the order in which they happen.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::driver::Numbers;
use crate::proxy::Network;
use crate::soak::stack::Stack;
use crate::soak::windows::Windows;

/// A fault.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The name in the files.
    pub(crate) name: &'static str,
    /// The letter in the picture.
    pub(crate) letter: char,
    /// The fault, as the table shows it.
    pub(crate) text: &'static str,
    /// True if valid requests may fail.
    pub(crate) interrupts: bool,
    /// True if the Sentinels choose another primary.
    pub(crate) switches: bool,
    /// The time after the end in which requests may fail.
    pub(crate) recovers: Duration,
    run: Run,
}

type Run = for<'a> fn(&'a mut Stack, Times<'a>) -> Running<'a>;

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// The times of a fault, to note a switch, and its number.
#[derive(Clone, Copy)]
pub(crate) struct Times<'a> {
    windows: &'a Mutex<Windows>,
    turn: usize,
}

/// The faults in an order of chance, each once before any is repeated.
pub(crate) struct Deck {
    numbers: Numbers,
    left: Vec<&'static Fault>,
}

impl Deck {
    /// Returns the deck of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self {
            numbers: Numbers::of(seed),
            left: Vec::new(),
        }
    }

    /// Runs faults with calm times between them until shortly before the end.
    pub(crate) async fn deal_until(
        &mut self,
        end: Instant,
        stack: &mut Stack,
        windows: &Arc<Mutex<Windows>>,
    ) {
        for turn in 0.. {
            let calm = CALM + Duration::from_millis(self.numbers.below(MORE_CALM) as u64);
            sleep(calm).await;
            if Instant::now() + LAST_CALM > end {
                break;
            }
            let fault = self.next();
            eprintln!("{}", fault.text);
            windows.lock().unwrap().begin(fault);
            let outcome = (fault.run)(stack, Times { windows, turn }).await;
            windows.lock().unwrap().end(outcome);
            if let Err(problem) = stack.store.settle().await {
                windows.lock().unwrap().unsettled(problem);
            }
        }
        tokio::time::sleep_until(end).await;
    }

    fn next(&mut self) -> &'static Fault {
        if self.left.is_empty() {
            self.left = FAULTS.iter().collect();
        }
        let chosen = self.numbers.below(self.left.len());
        self.left.swap_remove(chosen)
    }
}

impl Times<'_> {
    fn switch(&self) {
        self.windows.lock().unwrap().switch();
    }
}

fn kill_primary<'a>(stack: &'a mut Stack, times: Times<'a>) -> Running<'a> {
    Box::pin(async move {
        let primary = stack.store.primary();
        stack.store.kill(primary);
        stack.store.switched(primary).await?;
        times.switch();
        stack.store.restart(primary);
        Ok(())
    })
}

fn freeze_primary<'a>(stack: &'a mut Stack, times: Times<'a>) -> Running<'a> {
    Box::pin(async move {
        let primary = stack.store.primary();
        stack.store.signal(primary, "STOP");
        let switched = stack.store.switched(primary).await;
        times.switch();
        sleep(Duration::from_secs(2)).await;
        stack.store.signal(primary, "CONT");
        switched
    })
}

fn cut_primary<'a>(stack: &'a mut Stack, times: Times<'a>) -> Running<'a> {
    Box::pin(async move {
        let primary = stack.store.primary();
        stack.store.network(primary, Network::Silent);
        let switched = stack.store.switched(primary).await;
        times.switch();
        sleep(Duration::from_secs(2)).await;
        stack.store.network(primary, Network::Sound);
        switched
    })
}

fn fail_over<'a>(stack: &'a mut Stack, times: Times<'a>) -> Running<'a> {
    Box::pin(async move {
        let primary = stack.store.primary();
        stack.store.fail_over();
        stack.store.switched(primary).await?;
        times.switch();
        Ok(())
    })
}

fn stall_primary<'a>(stack: &'a mut Stack, _: Times<'a>) -> Running<'a> {
    Box::pin(async move {
        let primary = stack.store.primary();
        stack.store.signal(primary, "STOP");
        sleep(Duration::from_millis(250)).await;
        stack.store.signal(primary, "CONT");
        Ok(())
    })
}

fn restart_follower<'a>(stack: &'a mut Stack, _: Times<'a>) -> Running<'a> {
    Box::pin(async move {
        let follower = stack.store.follower();
        stack.store.kill(follower);
        sleep(Duration::from_secs(1)).await;
        stack.store.restart(follower);
        Ok(())
    })
}

fn slow_network<'a>(stack: &'a mut Stack, _: Times<'a>) -> Running<'a> {
    Box::pin(async move {
        let primary = stack.store.primary();
        stack.store.network(primary, SLOW);
        sleep(Duration::from_secs(5)).await;
        stack.store.network(primary, Network::Sound);
        Ok(())
    })
}

fn reset_network<'a>(stack: &'a mut Stack, _: Times<'a>) -> Running<'a> {
    Box::pin(async move {
        let primary = stack.store.primary();
        stack.store.network(primary, Network::Resetting);
        sleep(Duration::from_millis(200)).await;
        stack.store.network(primary, Network::Sound);
        Ok(())
    })
}

fn end_connections<'a>(stack: &'a mut Stack, _: Times<'a>) -> Running<'a> {
    Box::pin(async move {
        for _ in 0..5 {
            stack.store.disconnect(stack.store.primary());
            sleep(Duration::from_millis(300)).await;
        }
        Ok(())
    })
}

fn set_clock<'a>(stack: &'a mut Stack, _: Times<'a>) -> Running<'a> {
    Box::pin(async move {
        stack.clock.set(600);
        sleep(Duration::from_secs(3)).await;
        stack.clock.set(0);
        Ok(())
    })
}

fn replace_replica<'a>(stack: &'a mut Stack, _: Times<'a>) -> Running<'a> {
    Box::pin(stack.replace())
}

fn reload<'a>(stack: &'a mut Stack, times: Times<'a>) -> Running<'a> {
    Box::pin(stack.reload(times.turn))
}

const SECOND: Duration = Duration::from_secs(1);

/// Every fault.
pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "kill-primary",
        letter: 'K',
        text: "the primary of Redis is killed, and comes back as a replica",
        interrupts: true,
        switches: true,
        recovers: SECOND,
        run: kill_primary,
    },
    Fault {
        name: "freeze-primary",
        letter: 'F',
        text: "the primary is frozen until 2 s after the failover",
        interrupts: true,
        switches: true,
        recovers: SECOND,
        run: freeze_primary,
    },
    Fault {
        name: "cut-primary",
        letter: 'C',
        text: "nothing reaches the primary until 2 s after the failover",
        interrupts: true,
        switches: true,
        recovers: SECOND,
        run: cut_primary,
    },
    Fault {
        name: "failover",
        letter: 'P',
        text: "`SENTINEL FAILOVER`",
        interrupts: true,
        switches: true,
        recovers: SECOND,
        run: fail_over,
    },
    Fault {
        name: "stall-primary",
        letter: 'S',
        text: "the primary stalls for 250 ms",
        interrupts: true,
        switches: false,
        recovers: SECOND,
        run: stall_primary,
    },
    Fault {
        name: "restart-follower",
        letter: 'R',
        text: "a replica of Redis is killed, and back after 1 s",
        interrupts: false,
        switches: false,
        recovers: SECOND,
        run: restart_follower,
    },
    Fault {
        name: "slow-network",
        letter: 'N',
        text: "5 to 15 ms in each direction to the primary for 5 s",
        interrupts: true,
        switches: false,
        recovers: SECOND,
        run: slow_network,
    },
    Fault {
        name: "reset-network",
        letter: 'X',
        text: "every connection to the primary is reset for 200 ms",
        interrupts: true,
        switches: false,
        recovers: SECOND,
        run: reset_network,
    },
    Fault {
        name: "end-connections",
        letter: 'E',
        text: "`CLIENT KILL` five times",
        interrupts: false,
        switches: false,
        recovers: SECOND,
        run: end_connections,
    },
    Fault {
        name: "clock",
        letter: 'T',
        text: "the clock of the second replica is ten minutes ahead for 3 s",
        interrupts: true,
        switches: false,
        recovers: Duration::from_secs(3),
        run: set_clock,
    },
    Fault {
        name: "replace-replica",
        letter: 'U',
        text: "the second replica gets SIGTERM, and is replaced",
        interrupts: false,
        switches: false,
        recovers: SECOND,
        run: replace_replica,
    },
    Fault {
        name: "reload",
        letter: 'L',
        text: "both replicas reload a changed configuration",
        interrupts: false,
        switches: false,
        recovers: SECOND,
        run: reload,
    },
];

const SLOW: Network = Network::Slow(Duration::from_millis(5), Duration::from_millis(15));

/// The time between two faults, at least, and the milliseconds that chance adds.
const CALM: Duration = Duration::from_secs(6);
const MORE_CALM: usize = 8_000;

/// The time before the end without a fault.
const LAST_CALM: Duration = Duration::from_secs(20);
