//! `CheckRequest`, borrowed from the message.

use super::InvalidMessage;
use super::field::{FieldReader, FieldValue};
use crate::server::ext_authz::headers::CheckHeaders;

/// A request of Envoy.
pub(in super::super) struct CheckRequest<'a> {
    /// The address of Envoy's peer; empty if the peer is not a socket.
    pub(in super::super) source: &'a str,
    /// The HTTP request; `None` if the network filter asks.
    pub(in super::super) http: Option<HttpRequest<'a>>,
    /// The route's `context_extensions` in the order in which they arrived; the last of a name
    /// counts.
    pub(in super::super) context_extensions: Vec<(&'a str, &'a str)>,
}

/// The HTTP request that a check is about.
#[derive(Default)]
pub(in super::super) struct HttpRequest<'a> {
    pub(in super::super) id: &'a str,
    pub(in super::super) method: &'a str,
    pub(in super::super) path: &'a str,
    pub(in super::super) host: &'a str,
    pub(in super::super) scheme: &'a str,
    pub(in super::super) size: i64,
    pub(in super::super) body: &'a str,
    pub(in super::super) raw_body: &'a [u8],
    /// `headers` and `header_map`.
    pub(in super::super) headers: CheckHeaders<'a>,
    /// The whole message, for the headers that only a denial reads.
    pub(in super::super) message: &'a [u8],
}

impl<'a> CheckRequest<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`InvalidMessage`], if the message is invalid or has a singular message twice.
    pub(in super::super) fn read(message: &'a [u8]) -> Result<Self, InvalidMessage> {
        let mut attributes = None;
        let mut fields = FieldReader::of(message);
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                once(&mut attributes, value)?;
            }
        }
        let mut read = Self {
            source: "",
            http: None,
            context_extensions: Vec::new(),
        };
        read.attributes(attributes.unwrap_or_default())?;
        Ok(read)
    }

    /// Reads an `AttributeContext`.
    fn attributes(&mut self, message: &'a [u8]) -> Result<(), InvalidMessage> {
        let (mut source, mut request) = (None, None);
        let mut fields = FieldReader::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => once(&mut source, value)?,
                4 => once(&mut request, value)?,
                10 => self.context_extensions.push(map_entry(value)?),
                _ => {}
            }
        }
        self.source = source.map_or(Ok(""), source_address)?;
        self.http = http_of(request.unwrap_or_default())?;
        Ok(())
    }
}

/// Reads an `AttributeContext.Request`.
fn http_of(request: &[u8]) -> Result<Option<HttpRequest<'_>>, InvalidMessage> {
    let mut http = None;
    let mut fields = FieldReader::of(request);
    while let Some((number, value)) = fields.next()? {
        if number == 2 {
            once(&mut http, value)?;
        }
    }
    http.map(HttpRequest::read).transpose()
}

impl<'a> HttpRequest<'a> {
    fn read(message: &'a [u8]) -> Result<Self, InvalidMessage> {
        let mut read = Self {
            message,
            ..Self::default()
        };
        let mut header_map = None;
        let mut fields = FieldReader::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => read.id = value.text()?,
                2 => read.method = value.text()?,
                3 => {
                    let (name, text) = map_entry(value)?;
                    read.headers.add_joined(name, text);
                }
                4 => read.path = value.text()?,
                5 => read.host = value.text()?,
                6 => read.scheme = value.text()?,
                // An int64 of protobuf is its two's complement.
                9 => read.size = value.number()?.cast_signed(),
                11 => read.body = value.text()?,
                12 => read.raw_body = value.bytes()?,
                13 => once(&mut header_map, value)?,
                _ => {}
            }
        }
        read.header_map(header_map.unwrap_or_default())?;
        Ok(read)
    }

    /// Passes every header of a message that was read before to `add`, in either form.
    pub(in super::super) fn each_header(
        message: &'a [u8],
        mut add: impl FnMut(&'a str, &'a [u8]),
    ) -> Result<(), InvalidMessage> {
        let mut fields = FieldReader::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                3 => {
                    let (name, text) = map_entry(value)?;
                    add(name, text.as_bytes());
                }
                13 => {
                    let mut headers = FieldReader::of(value.bytes()?);
                    while let Some((1, value)) = headers.next()? {
                        let (name, text) = header(value)?;
                        add(name, text);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads an `envoy.config.core.v3.HeaderMap`.
    fn header_map(&mut self, message: &'a [u8]) -> Result<(), InvalidMessage> {
        let mut fields = FieldReader::of(message);
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                let (name, text) = header(value)?;
                self.headers.add_raw(name, text);
            }
        }
        Ok(())
    }
}

/// Reads an `envoy.config.core.v3.HeaderValue`: its bytes if it has any, else its text.
fn header<'a>(value: FieldValue<'a>) -> Result<(&'a str, &'a [u8]), InvalidMessage> {
    let (mut key, mut text, mut raw) = ("", "", &[][..]);
    let mut fields = FieldReader::of(value.bytes()?);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => key = value.text()?,
            2 => text = value.text()?,
            3 => raw = value.bytes()?,
            _ => {}
        }
    }
    Ok((key, if raw.is_empty() { text.as_bytes() } else { raw }))
}

/// Reads an entry of a `map<string, string>`.
fn map_entry<'a>(value: FieldValue<'a>) -> Result<(&'a str, &'a str), InvalidMessage> {
    let (mut key, mut text) = ("", "");
    let mut fields = FieldReader::of(value.bytes()?);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => key = value.text()?,
            2 => text = value.text()?,
            _ => {}
        }
    }
    Ok((key, text))
}

/// Reads the socket address of an `AttributeContext.Peer`; empty if it has none.
fn source_address(peer: &[u8]) -> Result<&str, InvalidMessage> {
    let mut address = None;
    let mut fields = FieldReader::of(peer);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            once(&mut address, value)?;
        }
    }
    // `envoy.config.core.v3.Address` is one of three; a pipe and an internal address are not used.
    let (mut socket, mut other) = (None, None);
    let mut fields = FieldReader::of(address.unwrap_or_default());
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => once(&mut socket, value)?,
            2 | 3 => once(&mut other, value)?,
            _ => {}
        }
    }
    match (socket, other) {
        (Some(_), Some(_)) => Err(InvalidMessage),
        (socket, _) => socket_address(socket.unwrap_or_default()),
    }
}

/// Reads `envoy.config.core.v3.SocketAddress.address`.
fn socket_address(message: &[u8]) -> Result<&str, InvalidMessage> {
    let mut address = "";
    let mut fields = FieldReader::of(message);
    while let Some((number, value)) = fields.next()? {
        if number == 2 {
            address = value.text()?;
        }
    }
    Ok(address)
}

/// Stores a singular message, and refuses a second one.
fn once<'a>(kept: &mut Option<&'a [u8]>, value: FieldValue<'a>) -> Result<(), InvalidMessage> {
    match kept.replace(value.bytes()?) {
        None => Ok(()),
        Some(_) => Err(InvalidMessage),
    }
}
