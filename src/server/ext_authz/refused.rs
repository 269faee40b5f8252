//! What diagnostics are told of a refused request, and what the caller is told of them.

use tokio::time::Instant;

use super::check::{Check, SignedHeaders};
use super::headers::{self, Values};
use crate::config::{DenyDetail, Mode};
use crate::diagnostics::{PendingExplanation, RefusedRequest, SentRequest};
use crate::oauth::diagnosis::{Forwarded, Received, Setting};
use crate::server::denial::explained;
use crate::server::denial::problem::Explained;
use crate::verify::Denial;

impl Check<'_> {
    /// Counts and keeps what is refused, or would be, and has it explained.
    pub(super) fn keep(
        &self,
        reason: &'static str,
        denial: Option<&Denial>,
    ) -> Option<PendingExplanation> {
        // Only of a consumer who is known it can be found out what it signed.
        let headers = denial
            .and_then(|denial| denial.named.as_ref())
            .map(|_| SignedHeaders::of(&self.attributes.headers));
        let sent = headers.as_ref().and_then(|headers| self.sent(headers));
        self.service.diagnostics.record_refused(&RefusedRequest {
            decision_id: self.asked.id.hex().as_str(),
            reason,
            denial,
            method: self.attributes.method.as_bytes(),
            host: self.attributes.host.as_bytes(),
            target: self.attributes.target,
            mode: if self.policy.is_shadow() {
                Mode::Shadow
            } else {
                Mode::Enforce
            },
            sent: sent.as_ref(),
        })
    }

    /// The request as it was verified, and what proxies say of it.
    fn sent<'r>(&'r self, signed: &'r SignedHeaders<'r>) -> Option<SentRequest<'r>> {
        let headers::Forwarded {
            host,
            proto,
            port,
            prefix,
            original_path,
        } = &self.attributes.headers.forwarded;
        let forwarded = Forwarded {
            host: first(host),
            proto: first(proto),
            port: first(port),
            prefix: first(prefix),
            original_path: first(original_path),
        };
        let authority = self.attributes.host.as_bytes();
        let received = self.policy.origin().and_then(|_| self.received_scheme());
        let received = received.map(|scheme| Received { scheme, authority });
        let request = self.request(self.scheme()?, self.body(), signed);
        let limits = *self.service.verifier.limits();
        Some(SentRequest {
            request,
            limits,
            forwarded,
            received,
            setting: Setting::Origin,
        })
    }

    /// What the caller may be told of why its signature did not match.
    pub(super) async fn explained(
        &self,
        explaining: Option<PendingExplanation>,
        detail: DenyDetail,
    ) -> Option<Explained> {
        explained::to_caller(explaining, detail, half_way(self.asked.deadline)).await
    }
}

/// Leaves time to answer until `deadline`.
fn half_way(deadline: Instant) -> Instant {
    deadline - deadline.duration_since(Instant::now()) / 2
}

/// Of a header that came several times, the first: what proxies add comes after it, as in a list joined with commas.
fn first<'a>(values: &Values<'a>) -> Option<&'a [u8]> {
    values.first().copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn half_of_what_is_left_is_for_the_answer() {
        let now = Instant::now();
        assert_eq!(
            half_way(now + Duration::from_millis(100)),
            now + Duration::from_millis(50)
        );
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(half_way(now), now, "nothing is left");
    }
}
