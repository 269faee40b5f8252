//! Certificates that expire: the metric of every listener, and a warning once a day.

use std::time::{Duration, UNIX_EPOCH};

use crate::clock::UnixTime;
use crate::server::transport::ListenerCertificate;
use crate::telemetry::Metrics;

/// The warnings about certificates that expire soon.
#[derive(Debug, Default)]
pub(super) struct ExpiryWarnings {
    last: Option<UnixTime>,
}

impl ExpiryWarnings {
    /// Exports when each certificate expires, and logs a warning for each that expires within
    /// [`SOON`], once a day.
    pub(super) fn look(
        &mut self,
        listeners: &[ListenerCertificate; 4],
        metrics: &Metrics,
        now: UnixTime,
    ) {
        let is_due = self.is_due(now);
        for listener in listeners {
            let Some(at) = listener.tls.as_ref().and_then(|tls| tls.expires_at()) else {
                continue;
            };
            metrics.certificate_expiry(listener.listener, at.as_secs());
            if is_due && at < now.plus(SOON) {
                self.last = Some(now);
                warn(listener.listener, at, now);
            }
        }
    }

    /// Returns true if no warning was logged within a day. A clock that was set back must not
    /// silence warnings.
    fn is_due(&self, now: UnixTime) -> bool {
        self.last
            .is_none_or(|last| now >= last.plus(DAY) || now < last)
    }

    /// Warns again at the next look, for new certificates.
    pub(super) const fn reset(&mut self) {
        self.last = None;
    }
}

fn warn(listener: &'static str, at: UnixTime, now: UnixTime) {
    let end = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at.as_secs()));
    if at <= now {
        tracing::warn!(
            listener,
            expired = %end,
            "the certificate has expired: clients refuse it; replace {listener}.tls.certificate_file"
        );
    } else {
        tracing::warn!(
            listener,
            expires = %end,
            "the certificate expires within 7 days; replace {listener}.tls.certificate_file"
        );
    }
}

/// The time before its end at which a certificate should have been replaced.
const SOON: Duration = Duration::from_hours(7 * 24);

const DAY: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_due_once_a_day() {
        let start = UnixTime::from_secs(1_700_000_000);
        let mut warnings = ExpiryWarnings::default();
        assert!(warnings.is_due(start));
        warnings.last = Some(start);
        assert!(!warnings.is_due(start.plus(Duration::from_hours(23))));
        assert!(warnings.is_due(start.plus(DAY)));
        assert!(warnings.is_due(UnixTime::from_secs(0)), "a clock set back");
        warnings.reset();
        assert!(warnings.is_due(start));
    }
}
