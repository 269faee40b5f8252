//! The choice of a request in a capture of several.

use std::fmt;

use super::format::CaptureFormat;
use super::request::CapturedRequest;
use crate::cli::exit::Usage;

/// The place of the chosen request in its capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestChoice {
    /// The number of the request, counted from 1.
    pub(crate) number: usize,
    /// The number of requests in the capture.
    pub(crate) of: usize,
    /// True if the request was chosen because no other has OAuth parameters.
    is_only_signed: bool,
}

impl fmt::Display for RequestChoice {
    /// Writes nothing for the only request of a capture.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of > 1 {
            write!(f, ", request {} of {}", self.number, self.of)?;
        }
        if self.is_only_signed {
            f.write_str(", the only one with OAuth parameters")?;
        }
        Ok(())
    }
}

/// Returns the request with the number `entry`; without one, the only request, or the only request
/// with OAuth parameters.
///
/// # Errors
/// When there is no such request, or no only one; the error lists the requests.
pub(super) fn choose(
    format: CaptureFormat,
    mut requests: Vec<CapturedRequest>,
    entry: Option<usize>,
) -> Result<(CapturedRequest, RequestChoice), Usage> {
    let of = requests.len();
    let signed: Vec<usize> = (0..of).filter(|&at| requests[at].has_oauth()).collect();
    let at = match (entry, &signed[..]) {
        (Some(number), _) if (1..=of).contains(&number) => number - 1,
        (None, _) if of == 1 => 0,
        (None, &[only]) => only,
        _ => return Err(unclear(format, &requests, &signed, entry)),
    };
    let choice = RequestChoice {
        number: at + 1,
        of,
        is_only_signed: entry.is_none() && of > 1,
    };
    Ok((requests.swap_remove(at), choice))
}

fn unclear(
    format: CaptureFormat,
    requests: &[CapturedRequest],
    signed: &[usize],
    entry: Option<usize>,
) -> Usage {
    let of = requests.len();
    let problem = match (entry, of) {
        (_, 0) => return Usage(format!("the {format} has no request")),
        (Some(_), 1) => return Usage(format!("the {format} has one request; omit --entry")),
        (Some(number), _) => {
            format!("the {format} has no request {number}: choose from 1 to {of} with --entry")
        }
        (None, _) => format!(
            "the {format} has {of} requests, {} of them with OAuth parameters: choose one with \
             --entry NUMBER",
            signed.len()
        ),
    };
    let all: Vec<usize> = (0..of).collect();
    let listed = if signed.is_empty() { &all } else { signed };
    let lines = listed
        .iter()
        .take(MAX_LISTED)
        .map(|&at| format!("\n  {}: {}", at + 1, requests[at].summary()));
    let more = listed.len().saturating_sub(MAX_LISTED);
    let more = (more > 0).then(|| format!("\n  and {more} more"));
    Usage(problem + &lines.chain(more).collect::<String>())
}

/// The number of requests that an error lists.
const MAX_LISTED: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_request_and_the_only_signed_request_are_chosen() {
        let (_, choice) = choose(CaptureFormat::Har, vec![request(false)], None).unwrap();
        assert_eq!((choice.number, choice.to_string().as_str()), (1, ""));
        let requests = || vec![request(false), request(true), request(false)];
        let (chosen, choice) = choose(CaptureFormat::Har, requests(), None).unwrap();
        assert!(chosen.has_oauth());
        assert_eq!(
            choice.to_string(),
            ", request 2 of 3, the only one with OAuth parameters"
        );
        let (_, choice) = choose(CaptureFormat::Har, requests(), Some(3)).unwrap();
        assert_eq!(choice.to_string(), ", request 3 of 3");
    }

    #[test]
    fn an_unclear_choice_lists_the_signed_requests() {
        let requests = || vec![request(true), request(false), request(true)];
        let refused = |entry| choose(CaptureFormat::Har, requests(), entry).unwrap_err();
        assert_eq!(
            refused(None).to_string(),
            "the HAR has 3 requests, 2 of them with OAuth parameters: choose one with --entry \
             NUMBER\n  1: GET /a (401)\n  3: GET /a (401)"
        );
        let beyond = refused(Some(4)).to_string();
        assert!(
            beyond.starts_with("the HAR has no request 4: choose from 1 to 3 with --entry\n"),
            "{beyond}"
        );
        assert!(refused(Some(0)).to_string().contains("no request 0"));
        let one = choose(CaptureFormat::Har, vec![request(true)], Some(2)).unwrap_err();
        assert_eq!(one.to_string(), "the HAR has one request; omit --entry");
        let none = choose(CaptureFormat::Har, vec![], None).unwrap_err();
        assert_eq!(none.to_string(), "the HAR has no request");
    }

    #[test]
    fn a_long_list_is_cut() {
        let refused = choose(CaptureFormat::Har, vec![request(true); 30], None).unwrap_err();
        assert!(refused.to_string().ends_with("and 10 more"), "{refused}");
    }

    fn request(is_signed: bool) -> CapturedRequest {
        let mut request = CapturedRequest {
            method: b"GET".to_vec(),
            target: b"/a".to_vec(),
            status: Some(401),
            ..CapturedRequest::default()
        };
        if is_signed {
            request.push("Authorization", "OAuth oauth_nonce=\"n\"");
        }
        request
    }
}
