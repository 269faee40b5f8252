//! One unary call of gRPC over HTTP/2: a message comes in, and a message or a status goes out.
//!
//! tonic would box the body, the decoder and the future of every call, and copy the message. Checks
//! are small and frequent enough for that to matter. The answers to invalid calls are tonic's.
//!
//! - Compression is not offered, and a compressed message is UNIMPLEMENTED.
//! - A message over the limit is OUT_OF_RANGE, as soon as its length is known.
//! - No message, several messages, or a part of one are INTERNAL.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Buf as _, Bytes, Frame};
use tonic::Status;
use tonic::metadata::MetadataValue;

/// The length of the prefix of a message: a flag for compression, and the length in four bytes.
pub(super) const PREFIX: usize = 5;

/// Fills the [`PREFIX`] of an uncompressed message of this length.
pub(super) fn prefix(prefix: &mut [u8], length: usize) {
    // A longer message has no valid prefix, and its reader would see that it is truncated.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    prefix[1..].copy_from_slice(&length.to_be_bytes());
}

/// Reads the one message of a call, without its prefix; at most `limit` bytes.
///
/// # Errors
/// The status of an invalid call.
pub(super) async fn message<B>(
    headers: &HeaderMap,
    mut body: B,
    limit: usize,
) -> Result<Bytes, Status>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    uncompressed(headers)?;
    let mut begun = data(&mut body)
        .await?
        .ok_or_else(|| Status::internal("the call has no message"))?;
    let mut complete = is_complete(&begun, limit)?;
    // The end of the stream may come in a frame of its own, and a message in several frames.
    if let Some(more) = data(&mut body).await? {
        let mut gathered = [begun, more].concat();
        complete = is_complete(&gathered, limit)?;
        while let Some(more) = data(&mut body).await? {
            gathered.extend_from_slice(&more);
            complete = is_complete(&gathered, limit)?;
        }
        begun = gathered.into();
    }
    if !complete {
        return Err(Status::internal("the message is truncated"));
    }
    begun.advance(PREFIX);
    Ok(begun)
}

/// Reads and discards a call that is refused.
pub(super) async fn discard<B: Body + Unpin>(mut body: B) {
    while !body.is_end_stream() && matches!(body.frame().await, Some(Ok(_))) {}
}

/// Refuses a compressed message.
fn uncompressed(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get("grpc-encoding") {
        Some(encoding) if encoding != "identity" => {
            let mut status = Status::unimplemented("compressed messages are not supported");
            status.metadata_mut().insert(
                "grpc-accept-encoding",
                MetadataValue::from_static("identity"),
            );
            Err(status)
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns true for a prefix and its whole message, and false for the beginning of them.
fn is_complete(begun: &[u8], limit: usize) -> Result<bool, Status> {
    let Some(([flag, length @ ..], rest)) = begun.split_first_chunk::<PREFIX>() else {
        return Ok(false);
    };
    if *flag != 0 {
        return Err(Status::internal(
            "the message is marked as compressed, but the call has no grpc-encoding",
        ));
    }
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(Status::out_of_range(format!(
            "the message has {length} bytes; the limit is {limit}"
        )));
    }
    if rest.len() > length {
        Err(Status::internal("the call has more than one message"))
    } else {
        Ok(rest.len() == length)
    }
}

/// Reads the next bytes; `None` at the end.
async fn data<B>(body: &mut B) -> Result<Option<Bytes>, Status>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else {
            break;
        };
        let frame = frame.map_err(|error| Status::from_error(error.into()))?;
        match frame.into_data() {
            Ok(data) if !data.is_empty() => return Ok(Some(data)),
            // Empty, or trailers, which are not needed.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

/// Returns the response of a successful call; `framed` is a message after its prefix.
pub(super) fn response(framed: Bytes) -> Response<UnaryBody> {
    let mut response = Response::new(UnaryBody {
        message: Some(framed),
        is_ended: false,
    });
    // hyper adds `Date`.
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    *response.headers_mut() = headers;
    response
}

/// The body of a response: a message and the status in trailers, or nothing if the status is in the
/// headers.
#[derive(Debug)]
pub struct UnaryBody {
    message: Option<Bytes>,
    is_ended: bool,
}

impl Default for UnaryBody {
    fn default() -> Self {
        Self {
            message: None,
            is_ended: true,
        }
    }
}

impl Body for UnaryBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = match self.message.take() {
            Some(mut message) if message.len() > PIECE => {
                let piece = message.split_to(PIECE);
                self.message = Some(message);
                Some(Frame::data(piece))
            }
            Some(message) => Some(Frame::data(message)),
            None if self.is_ended => None,
            None => {
                self.is_ended = true;
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
                Some(Frame::trailers(trailers))
            }
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended
    }
}

/// The size of a data frame: h2 combines the frames of several answers into one write only if each
/// is shorter than 1 KiB.
const PIECE: usize = 1023;

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{Empty, StreamBody};
    use tonic::Code;

    use super::*;

    /// Reads a call whose body comes in these pieces.
    async fn read(pieces: &[&[u8]]) -> Result<Bytes, Status> {
        read_with(&HeaderMap::new(), pieces).await
    }

    async fn read_with(headers: &HeaderMap, pieces: &[&[u8]]) -> Result<Bytes, Status> {
        let frames = pieces
            .iter()
            .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))));
        message(
            headers,
            StreamBody::new(stream::iter(frames.collect::<Vec<_>>())),
            5,
        )
        .await
    }

    #[tokio::test]
    async fn a_message_is_read_in_whatever_pieces_it_comes() {
        let whole = b"\0\0\0\0\x03abc";
        assert_eq!(read(&[whole]).await.unwrap(), "abc");
        for at in 0..=whole.len() {
            let (one, other) = whole.split_at(at);
            assert_eq!(read(&[one, b"", other, b""]).await.unwrap(), "abc", "{at}");
        }
        let bytes: Vec<_> = whole.chunks(1).collect();
        assert_eq!(read(&bytes).await.unwrap(), "abc");
        assert_eq!(read(&[b"\0\0\0\0\0"]).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_call_without_exactly_one_message_is_internal() {
        for (pieces, what) in [
            (&[][..], "nothing"),
            (&[&b""[..]][..], "no bytes"),
            (&[b"\0\0\0"], "part of the prefix"),
            (&[b"\0\0\0\0\x03ab"], "part of the message"),
            (&[b"\0\0\0\0\x01abc"], "more than the message"),
            (&[b"\0\0\0\0\x01a", b"\0\0\0\0\x01b"], "two messages"),
            (
                &[b"\x01\0\0\0\x01a"],
                "a compressed message in an uncompressed call",
            ),
            (&[b"\x02\0\0\0\x01a"], "an invalid flag"),
        ] {
            assert_eq!(
                read(pieces).await.unwrap_err().code(),
                Code::Internal,
                "{what}"
            );
        }
        let nothing = Empty::<Bytes>::new();
        assert_eq!(
            message(&HeaderMap::new(), nothing, 5)
                .await
                .unwrap_err()
                .code(),
            Code::Internal
        );
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_out_of_range_before_it_arrives() {
        assert_eq!(read(&[b"\0\0\0\0\x05abcde"]).await.unwrap(), "abcde");
        assert_eq!(
            read(&[b"\0\0\0\0\x06"]).await.unwrap_err().code(),
            Code::OutOfRange
        );
        let endless = stream::repeat_with(|| {
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"\0\xff\xff\xff\xff")))
        });
        let refused = message(&HeaderMap::new(), StreamBody::new(endless), 5).await;
        assert_eq!(refused.unwrap_err().code(), Code::OutOfRange);
    }

    #[tokio::test]
    async fn a_compressed_call_is_unimplemented_and_the_answer_names_identity() {
        let encoded = |encoding| {
            HeaderMap::from_iter([(http::HeaderName::from_static("grpc-encoding"), encoding)])
        };
        let gzip = encoded(HeaderValue::from_static("gzip"));
        let status = read_with(&gzip, &[b"\x01\0\0\0\x01a"]).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert_eq!(
            status.metadata().get("grpc-accept-encoding").unwrap(),
            "identity"
        );
        let identity = encoded(HeaderValue::from_static("identity"));
        assert_eq!(
            read_with(&identity, &[b"\0\0\0\0\x01a"]).await.unwrap(),
            "a"
        );
    }

    #[tokio::test]
    async fn an_answer_is_a_message_and_then_a_status() {
        let response = response(Bytes::from_static(b"\0\0\0\0\x01a"));
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/grpc");
        assert!(!response.body().is_end_stream() && response.body().size_hint().exact().is_none());
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(collected.to_bytes(), &b"\0\0\0\0\x01a"[..]);
    }

    #[tokio::test]
    async fn a_long_answer_is_sent_in_pieces() {
        let long = Bytes::from(vec![7; 2 * PIECE + 1]);
        let mut body = response(long.clone()).into_body();
        let mut lengths = Vec::new();
        while let Some(Ok(piece)) = body.frame().await.map(|frame| frame.unwrap().into_data()) {
            lengths.push(piece.len());
        }
        assert_eq!(lengths, [PIECE, PIECE, 1]);
        let collected = response(long.clone()).into_body().collect().await.unwrap();
        assert_eq!(collected.to_bytes(), long);
    }

    #[tokio::test]
    async fn an_answer_of_one_piece_is_sent_without_an_empty_one() {
        let mut body = response(Bytes::from(vec![7; PIECE])).into_body();
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.len(), PIECE);
        assert!(body.frame().await.unwrap().unwrap().is_trailers());
    }

    #[test]
    fn a_status_alone_has_no_body() {
        let response = Status::unavailable("down").into_http::<UnaryBody>();
        assert_eq!(response.headers()["grpc-status"], "14");
        assert!(response.body().is_end_stream());
    }
}
