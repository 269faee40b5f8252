//! The ages at which the connections of a listener end (`max_connection_age`).
//!
//! Each connection gets an age of its own, up to 10 % below or above the limit, as in gRPC:
//! connections that began together, after a restart of this process or of a proxy, must not be
//! opened again together.

use crate::clock::Entropy;
use crate::config::ConnectionAge;

use super::ending::AgeLimit;

/// Draws the age of a connection.
pub(super) fn draw(age: ConnectionAge, entropy: &dyn Entropy) -> AgeLimit {
    let mut random = [0; 4];
    entropy.fill(&mut random);
    let position = f64::from(u32::from_ne_bytes(random)) / f64::from(u32::MAX);
    AgeLimit {
        after: age.limit.mul_f64(1.0 + JITTER * (2.0 * position - 1.0)),
        grace: age.grace,
    }
}

/// The largest deviation from the limit.
const JITTER: f64 = 0.1;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::SystemEntropy;

    #[test]
    fn an_age_is_at_most_a_tenth_below_or_above_the_limit() {
        let least = draw(TEN_MINUTES, &Constant(0)).after;
        let most = draw(TEN_MINUTES, &Constant(0xff)).after;
        assert_eq!(
            (least, most),
            (Duration::from_mins(9), Duration::from_mins(11))
        );
    }

    #[test]
    fn connections_that_began_together_end_apart() {
        let mut ages: Vec<_> = (0..1024)
            .map(|_| draw(TEN_MINUTES, &SystemEntropy).after)
            .collect();
        ages.sort_unstable();
        for nth in 0..12 {
            let ten_seconds =
                Duration::from_secs(540 + 10 * nth)..Duration::from_secs(550 + 10 * nth);
            let ending = ages.iter().filter(|age| ten_seconds.contains(*age)).count();
            assert!(
                (30..150).contains(&ending),
                "{ending} end within {ten_seconds:?}"
            );
        }
    }

    #[derive(Debug)]
    struct Constant(u8);

    impl Entropy for Constant {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    const TEN_MINUTES: ConnectionAge = ConnectionAge {
        limit: Duration::from_mins(10),
        grace: Duration::ZERO,
    };
}
