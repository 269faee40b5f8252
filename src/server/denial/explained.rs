//! What a caller may be told of why its signature did not match: only where answers tell that much, and only what does not
//! depend on a secret.

use tokio::time::{Instant, timeout_at};

use super::problem::Explained;
use crate::config::DenyDetail;
use crate::diagnostics::{Explanation, PendingExplanation};

/// What is told, where `detail` tells that much; waits for it no longer than until `latest`.
pub(crate) async fn to_caller(
    explaining: Option<PendingExplanation>,
    detail: DenyDetail,
    latest: Instant,
) -> Option<Explained> {
    let explaining = explaining.filter(|_| detail == DenyDetail::Debug)?;
    by(latest, explaining.explanation()).await
}

async fn by(
    latest: Instant,
    explaining: impl Future<Output = Option<Explanation>>,
) -> Option<Explained> {
    told(timeout_at(latest, explaining).await.ok()??)
}

/// What anybody may know of an explanation.
fn told(explanation: Explanation) -> Option<Explained> {
    let Explanation::Found(diagnosis) = explanation else {
        return None;
    };
    if diagnosis.depends_on_secret() {
        return None;
    }
    Some(Explained {
        cause: diagnosis.cause(),
        remedy: diagnosis.remedy,
    })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;
    use crate::oauth::diagnosis::{Cause, Diagnosis};

    #[tokio::test(start_paused = true)]
    async fn an_explanation_is_waited_for_no_longer_than_there_is_time() {
        let latest = Instant::now() + Duration::from_millis(100);
        assert!(by(latest, pending()).await.is_none());
        assert_eq!(Instant::now(), latest);
        assert!(
            by(latest, ready(Some(found(&[Cause::Scheme]))))
                .await
                .is_some(),
            "what is there needs no time"
        );
        assert!(by(latest, ready(None)).await.is_none());
    }

    #[test]
    fn no_cause_is_told_that_depends_on_a_secret() {
        for cause in Cause::ALL {
            let told = told(found(&[cause])).map(|explained| explained.cause);
            assert_eq!(
                told.as_deref(),
                (!cause.depends_on_secret()).then(|| cause.name())
            );
        }
        assert_eq!(
            told(found(&[Cause::Scheme, Cause::Host])).unwrap().cause,
            "scheme+host"
        );
        assert!(told(found(&[Cause::Scheme, Cause::OldSecret])).is_none());
        for nothing in [
            Explanation::NotSought,
            Explanation::Pending,
            Explanation::Skipped,
        ] {
            assert!(told(nothing).is_none());
        }
        assert!(
            told(Explanation::NotFound {
                base_string: "GET&".into()
            })
            .is_none()
        );
    }

    fn found(causes: &[Cause]) -> Explanation {
        Explanation::Found(Box::new(Diagnosis {
            causes: causes.to_vec(),
            base_string: String::new(),
            client_base_string: String::new(),
            first_difference: None,
            remedy: "sign otherwise".to_owned(),
        }))
    }
}
