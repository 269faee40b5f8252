//! The cause of a signature mismatch, if the caller may know it: only with `deny_detail = "debug"`,
//! and only if the cause does not depend on a secret.

use tokio::time::{Instant, timeout_at};

use super::problem::PublicCause;
use crate::diagnostics::{Explanation, PendingExplanation};

/// Waits until `latest` for an explanation, and returns the part that the caller may know.
pub(super) async fn public_cause(
    explaining: Option<PendingExplanation>,
    latest: Instant,
) -> Option<PublicCause> {
    by(latest, explaining?.explanation()).await
}

async fn by(
    latest: Instant,
    explaining: impl Future<Output = Option<Explanation>>,
) -> Option<PublicCause> {
    public(timeout_at(latest, explaining).await.ok()??)
}

/// Returns the part of an explanation that does not depend on a secret.
fn public(explanation: Explanation) -> Option<PublicCause> {
    let Explanation::Found(diagnosis) = explanation else {
        return None;
    };
    if diagnosis.depends_on_secret() {
        return None;
    }
    Some(PublicCause {
        cause: diagnosis.cause(),
        remedy: diagnosis.remedy,
    })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;
    use crate::oauth::diagnosis::{Diagnosis, MismatchCause};

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_an_explanation_ends_in_time() {
        let latest = Instant::now() + Duration::from_millis(100);
        assert!(by(latest, pending()).await.is_none());
        assert_eq!(Instant::now(), latest);
        let ready_now = ready(Some(found(&[MismatchCause::Scheme])));
        assert!(by(latest, ready_now).await.is_some());
        assert!(by(latest, ready(None)).await.is_none());
    }

    #[test]
    fn a_cause_that_depends_on_a_secret_is_not_public() {
        for cause in MismatchCause::ALL {
            let public = public(found(&[cause])).map(|public| public.cause);
            assert_eq!(
                public.as_deref(),
                (!cause.depends_on_secret()).then(|| cause.name())
            );
        }
        assert_eq!(
            public(found(&[MismatchCause::Scheme, MismatchCause::Host]))
                .unwrap()
                .cause,
            "scheme+host"
        );
        assert!(public(found(&[MismatchCause::Scheme, MismatchCause::OldSecret])).is_none());
        for nothing in [
            Explanation::NotSought,
            Explanation::Pending,
            Explanation::Skipped,
        ] {
            assert!(public(nothing).is_none());
        }
        assert!(
            public(Explanation::NotFound {
                base_string: "GET&".into()
            })
            .is_none()
        );
    }

    fn found(causes: &[MismatchCause]) -> Explanation {
        Explanation::Found(Box::new(Diagnosis {
            causes: causes.to_vec(),
            base_string: String::new(),
            client_base_string: String::new(),
            first_difference: None,
            remedy: "sign otherwise".to_owned(),
        }))
    }
}
