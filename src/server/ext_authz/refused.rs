//! What diagnostics are told of a refused request, and what the caller is told of them.

use std::pin::{Pin, pin};

use tokio::time::Instant;

use super::check::{Check, SignedHeaders};
use super::deadline;
use super::headers::{self, Values};
use crate::config::{DenyDetail, Mode};
use crate::diagnostics::{Explaining, Explanation, Refused, Sent};
use crate::oauth::diagnosis::{Forwarded, Received};
use crate::server::respond::Explained;
use crate::verify::Denial;

impl Check<'_> {
    /// Counts and keeps what is refused, or would be, and has it explained.
    pub(super) fn keep(&self, reason: &'static str, denial: Option<&Denial>) -> Option<Explaining> {
        // Only of a consumer who is known it can be found out what it signed.
        let headers =
            denial.and_then(|denial| denial.named.as_ref()).map(|_| SignedHeaders::of(&self.attributes.headers));
        let sent = headers.as_ref().and_then(|headers| self.sent(headers));
        self.service.diagnostics.refused(&Refused {
            decision_id: self.asked.id.hex().as_str(),
            reason,
            denial,
            method: self.attributes.method.as_bytes(),
            host: self.attributes.host.as_bytes(),
            target: self.attributes.target,
            mode: if self.policy.is_shadow() { Mode::Shadow } else { Mode::Enforce },
            sent: sent.as_ref(),
        })
    }

    /// The request as it was verified, and what proxies say of it.
    fn sent<'r>(&'r self, signed: &'r SignedHeaders<'r>) -> Option<Sent<'r>> {
        let headers::Forwarded { host, proto, port, prefix, original_path } = &self.attributes.headers.forwarded;
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
        Some(Sent { request, limits: *self.service.verifier.limits(), forwarded, received })
    }

    /// What the caller may be told of why its signature did not match: only where answers tell that much, and only what
    /// does not depend on a secret.
    pub(super) async fn explained(&self, explaining: Option<Explaining>, detail: DenyDetail) -> Option<Explained> {
        let explaining = explaining.filter(|_| detail == DenyDetail::Debug)?;
        told(waited_for(pin!(explaining.explanation()), self.asked.deadline).await??)
    }
}

/// Waits for half of what is left until `deadline`, so that there is time to answer.
async fn waited_for<T>(explaining: Pin<&mut impl Future<Output = T>>, deadline: Instant) -> Option<T> {
    let left = deadline.duration_since(Instant::now());
    deadline::by(deadline - left / 2, explaining).await
}

/// What anybody may know of an explanation.
fn told(explanation: Explanation) -> Option<Explained> {
    let Explanation::Found(diagnosis) = explanation else { return None };
    if diagnosis.depends_on_secret() {
        return None;
    }
    Some(Explained { cause: diagnosis.cause(), remedy: diagnosis.remedy })
}

/// Of a header that came several times, the first: what proxies add comes after it, as in a list joined with commas.
fn first<'a>(values: &Values<'a>) -> Option<&'a [u8]> {
    values.first().copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::oauth::diagnosis::{Cause, Diagnosis};

    #[tokio::test(start_paused = true)]
    async fn an_explanation_is_waited_for_no_longer_than_leaves_time_to_answer() {
        let deadline = Instant::now() + Duration::from_millis(100);
        assert_eq!(waited_for(pin!(std::future::pending::<()>()), deadline).await, None);
        assert_eq!(Instant::now(), deadline - Duration::from_millis(50));
        assert_eq!(waited_for(pin!(std::future::ready(1)), deadline).await, Some(1));
        assert_eq!(waited_for(pin!(std::future::pending::<()>()), Instant::now()).await, None, "nothing is left");
    }

    #[test]
    fn no_cause_is_told_that_depends_on_a_secret() {
        let found = |causes: &[Cause]| {
            told(Explanation::Found(Box::new(Diagnosis {
                causes: causes.to_vec(),
                base_string: String::new(),
                client_base_string: String::new(),
                first_difference: None,
                remedy: "sign otherwise".to_owned(),
            })))
        };
        for cause in Cause::ALL {
            let told = found(&[cause]).map(|explained| explained.cause);
            assert_eq!(told.as_deref(), (!cause.depends_on_secret()).then(|| cause.name()));
        }
        assert_eq!(found(&[Cause::Scheme, Cause::Scheme]).unwrap().cause, "scheme+scheme");
        assert!(found(&[Cause::Scheme, Cause::OldSecret]).is_none());
        for nothing in [Explanation::NotSought, Explanation::Pending, Explanation::Skipped] {
            assert!(told(nothing).is_none());
        }
        assert!(told(Explanation::NotFound { base_string: "GET&".into() }).is_none());
    }
}
