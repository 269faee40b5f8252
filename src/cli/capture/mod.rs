//! Captures: the forms in which people have a request, for `countersign explain`.
//!
//! [`read`] detects the format, reads every request of the capture, and chooses one: the only one
//! with OAuth parameters, or the one that the caller names by its number.
//!
//! - `format`: the names of the formats; `detect`: the format of a text.
//! - `request`: a request as a capture shows it; `choice`: the choice among several.
//! - `lines`, `encoding`, `times`, `form`, `json`, `json_request`, `javascript`, `shell_words`,
//!   `cmd_words`: the syntaxes below the formats; `json_documents`: the formats in JSON.
//! - `access_log`, `axios`, `curl_command` with `curl_options`, `curl_trace`, `curl_verbose`,
//!   `envoy_tap`, `fetch_call`, `har`, `http_message`, `http2_headers`, `json_log`, `postman`: the
//!   formats.
//!
//! The signed parts of a request are preserved byte by byte, as far as the format has them. A part
//! that the format lacks is listed as unknown, or the capture is refused if the signature depends on
//! that part. Only two parts are ever assumed, both by `explain`: the scheme is https, and the time
//! is now.

mod access_log;
mod axios;
mod choice;
mod cmd_words;
mod curl_command;
mod curl_options;
mod curl_trace;
mod curl_verbose;
mod detect;
mod encoding;
mod envoy_tap;
mod fetch_call;
mod form;
mod format;
mod har;
mod http2_headers;
mod http_message;
mod javascript;
mod json;
mod json_documents;
mod json_log;
mod json_request;
mod lines;
mod postman;
mod request;
mod shell_words;
mod times;

pub(crate) use self::choice::RequestChoice;
pub(crate) use self::format::CaptureFormat;
pub(crate) use self::request::CapturedRequest;
use crate::cli::exit::Usage;

/// A request with the facts about the capture that it was read from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Capture {
    /// The request.
    pub(crate) request: CapturedRequest,
    /// The format of the capture.
    pub(crate) format: CaptureFormat,
    /// The place of the request among those of the capture.
    pub(crate) choice: RequestChoice,
}

/// The facts that the caller adds to a capture.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CaptureHints<'a> {
    /// The number of the request in a capture of several, counted from 1.
    pub(crate) entry: Option<usize>,
    /// The `Host` header of a capture that lacks it.
    pub(crate) host: Option<&'a str>,
}

/// Reads a capture.
///
/// # Errors
/// When the format is unknown or malformed, the capture has several requests and none is chosen, or
/// it lacks the host or a form's body, which the signature covers.
pub(crate) fn read(capture: &[u8], hints: CaptureHints<'_>) -> Result<Capture, Usage> {
    let text = encoding::decoded(capture)?;
    let (format, requests) = detect::requests(&text)?;
    let (mut request, choice) = choice::choose(format, requests, hints.entry)?;
    if let Some(host) = hints.host {
        request.replace_host(host);
    }
    require_signed_parts(format, &request)?;
    Ok(Capture {
        request,
        format,
        choice,
    })
}

/// Refuses a capture without a part that every signature covers.
fn require_signed_parts(format: CaptureFormat, request: &CapturedRequest) -> Result<(), Usage> {
    if request.values("host").is_empty() {
        return Err(Usage(format!(
            "the {format} has no host, which is signed: pass it with --host, for example \
             --host api.example.com"
        )));
    }
    if request.body.is_none() && request.is_form() {
        let remedy = format.body_remedy();
        return Err(Usage(format!(
            "the {format} has no body, and the signature of a form covers it: {remedy}"
        )));
    }
    Ok(())
}

/// The largest capture, in bytes: room for the HAR of a long session.
pub(crate) const MAX_BYTES: u64 = 32 * 1024 * 1024;
