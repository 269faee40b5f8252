//! The reader agrees with two others: `envoy-types`, which has every field, and prost with a
//! message of the fields that a check reads.

use std::collections::BTreeMap;

use envoy_types::ext_authz::v3::pb::{Address, CheckRequest as Theirs, HeaderValue};
use envoy_types::pb::envoy::config::core::v3::{self as core, HeaderMap};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{
    self, HttpRequest as TheirHttp, Peer,
};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use prost::Message as _;

use super::*;

/// The part of a request that a check reads, for comparison.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    source: String,
    context_extensions: BTreeMap<String, String>,
    http: Option<SeenHttp>,
}

#[derive(Debug, PartialEq, Eq)]
struct SeenHttp {
    texts: [String; 6],
    raw_body: Vec<u8>,
    size: i64,
    /// The values of [`KNOWN`]; `None` if they came in both forms.
    headers: Option<[Vec<Vec<u8>>; 6]>,
    exact_path: Option<Vec<u8>>,
}

const KNOWN: [&str; 6] = [
    "accept",
    "authorization",
    "content-length",
    "content-type",
    "x-envoy-auth-partial-body",
    "upgrade",
];

impl Seen {
    fn by_us(read: CheckRequest<'_>) -> Self {
        let extensions = read.context_extensions.iter();
        Self {
            source: read.source.to_owned(),
            context_extensions: extensions
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            http: read.http.map(SeenHttp::by_us),
        }
    }

    fn by_them(read: &Theirs) -> Self {
        let attributes = read.attributes.clone().unwrap_or_default();
        let address = attributes
            .source
            .and_then(|source| source.address)
            .and_then(|address| address.address);
        Self {
            source: match address {
                Some(Address::SocketAddress(socket)) => socket.address,
                Some(Address::Pipe(_) | Address::EnvoyInternalAddress(_)) | None => String::new(),
            },
            context_extensions: attributes.context_extensions.into_iter().collect(),
            http: attributes
                .request
                .and_then(|request| request.http)
                .as_ref()
                .map(SeenHttp::by_them),
        }
    }
}

impl SeenHttp {
    fn by_us(read: HttpRequest<'_>) -> Self {
        let HttpRequest {
            id,
            method,
            path,
            host,
            scheme,
            size,
            body,
            raw_body,
            headers,
            message: _,
        } = read;
        let values = [
            &headers.accept,
            &headers.authorization,
            &headers.content_length,
            &headers.content_type,
            &headers.partial_body,
            &headers.upgrade,
        ];
        Self {
            texts: [id, method, path, host, scheme, body].map(str::to_owned),
            raw_body: raw_body.to_vec(),
            size,
            headers: (!headers.are_ambiguous())
                .then(|| values.map(|values| values.iter().map(|value| value.to_vec()).collect())),
            exact_path: headers
                .exact_path()
                .filter(|_| !headers.are_ambiguous())
                .map(<[u8]>::to_vec),
        }
    }

    fn by_them(read: &TheirHttp) -> Self {
        let TheirHttp {
            id,
            method,
            path,
            host,
            scheme,
            body,
            ..
        } = read;
        let raw: &[HeaderValue] = read.header_map.as_ref().map_or(&[], |map| &map.headers);
        let ambiguous = !raw.is_empty() && !read.headers.is_empty();
        let values = |name: &str| -> Vec<Vec<u8>> {
            let joined = read
                .headers
                .get(name)
                .map(|value| value.clone().into_bytes());
            let raw = raw
                .iter()
                .filter(|header| header.key.eq_ignore_ascii_case(name))
                .map(|header| {
                    if header.raw_value.is_empty() {
                        header.value.clone().into_bytes()
                    } else {
                        header.raw_value.clone()
                    }
                });
            joined.into_iter().chain(raw).collect()
        };
        let paths = if raw.is_empty() {
            Vec::new()
        } else {
            values(":path")
        };
        Self {
            texts: [id, method, path, host, scheme, body].map(String::clone),
            raw_body: read.raw_body.clone(),
            size: read.size,
            headers: (!ambiguous).then(|| KNOWN.map(values)),
            exact_path: paths
                .first()
                .filter(|_| paths.len() == 1 && !ambiguous)
                .cloned(),
        }
    }
}

/// The fields that a check reads, as prost reads them.
mod used {
    use std::collections::HashMap;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(message, optional, tag = "1")]
        attributes: Option<Attributes>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Attributes {
        #[prost(message, optional, tag = "1")]
        source: Option<Peer>,
        #[prost(message, optional, tag = "4")]
        request: Option<Inner>,
        #[prost(map = "string, string", tag = "10")]
        context_extensions: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Peer {
        #[prost(message, optional, tag = "1")]
        address: Option<Address>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Address {
        #[prost(message, optional, tag = "1")]
        socket: Option<Socket>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Socket {
        #[prost(string, tag = "2")]
        address: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Inner {
        #[prost(message, optional, tag = "2")]
        http: Option<Http>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Http {
        #[prost(string, tag = "1")]
        id: String,
        #[prost(string, tag = "2")]
        method: String,
        #[prost(map = "string, string", tag = "3")]
        headers: HashMap<String, String>,
        #[prost(string, tag = "4")]
        path: String,
        #[prost(string, tag = "5")]
        host: String,
        #[prost(string, tag = "6")]
        scheme: String,
        #[prost(int64, tag = "9")]
        size: i64,
        #[prost(string, tag = "11")]
        body: String,
        #[prost(bytes = "vec", tag = "12")]
        raw_body: Vec<u8>,
        #[prost(message, optional, tag = "13")]
        header_map: Option<Headers>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Headers {
        #[prost(message, repeated, tag = "1")]
        headers: Vec<Header>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Header {
        #[prost(string, tag = "1")]
        key: String,
        #[prost(string, tag = "2")]
        value: String,
        #[prost(bytes = "vec", tag = "3")]
        raw_value: Vec<u8>,
    }
}

proptest! {
    #[test]
    fn a_request_is_read_as_others_read_it(request in request()) {
        let bytes = request.encode_to_vec();
        let read = CheckRequest::read(&bytes);
        prop_assert_eq!(read.map(Seen::by_us), Ok(Seen::by_them(&request)));
    }

    #[test]
    fn a_message_that_others_refuse_is_refused(request in request(), damages in vec(damage(), 1..4)) {
        let mut bytes = request.encode_to_vec();
        damages.into_iter().for_each(|damage| damage.done_to(&mut bytes));
        let Ok(read) = CheckRequest::read(&bytes).map(Seen::by_us) else { return Ok(()) };
        prop_assert!(used::Request::decode(&*bytes).is_ok());
        if let Ok(theirs) = Theirs::decode(&*bytes) {
            prop_assert_eq!(read, Seen::by_them(&theirs));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        if CheckRequest::read(&bytes).is_ok() {
            prop_assert!(used::Request::decode(&*bytes).is_ok());
        }
    }
}

/// Generates requests of any kind.
fn request() -> impl Strategy<Value = Theirs> {
    let peer = proptest::option::of((address(), text()));
    let http = proptest::option::of(http());
    (peer, http, hash_map(text(), text(), 0..3)).prop_map(|(peer, http, context_extensions)| {
        let peer = peer.map(|(address, service)| Peer {
            address: Some(core::Address { address }),
            service,
            ..Peer::default()
        });
        let request = Some(attribute_context::Request {
            http,
            ..attribute_context::Request::default()
        });
        let attributes = AttributeContext {
            source: peer.clone(),
            destination: peer,
            request,
            context_extensions,
            ..AttributeContext::default()
        };
        Theirs {
            attributes: Some(attributes),
        }
    })
}

fn address() -> impl Strategy<Value = Option<Address>> {
    prop_oneof![
        Just(None),
        text().prop_map(|address| Some(Address::SocketAddress(core::SocketAddress {
            address,
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(443)),
            ..core::SocketAddress::default()
        }))),
        text().prop_map(|path| Some(Address::Pipe(core::Pipe { path, mode: 7 }))),
    ]
}

fn http() -> impl Strategy<Value = TheirHttp> {
    let joined = hash_map(name(), text(), 0..4);
    let raw = vec((name(), text(), bytes()), 0..4);
    let texts = [
        text(),
        text(),
        text(),
        text(),
        text(),
        text(),
        text(),
        text(),
    ];
    (texts, joined, raw, bytes(), any::<i64>()).prop_map(|(texts, headers, raw, raw_body, size)| {
        let [id, method, path, host, scheme, body, query, protocol] = texts;
        let header = |(key, value, raw_value)| HeaderValue {
            key,
            value,
            raw_value,
        };
        let header_map = Some(HeaderMap {
            headers: raw.into_iter().map(header).collect(),
        });
        let fragment = String::new();
        TheirHttp {
            id,
            method,
            headers,
            header_map,
            path,
            host,
            scheme,
            query,
            fragment,
            size,
            protocol,
            body,
            raw_body,
        }
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&KNOWN[..]).prop_map(str::to_owned),
        select(&KNOWN[..]).prop_map(str::to_ascii_uppercase),
        Just(":path".to_owned()),
        text(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-zé/]{1,9}", "[a-z]{127,130}"]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), 1..9)]
}

/// A change that a broken writer or an attacker makes to a message.
#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        any::<(Index, Index)>().prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

impl Damage {
    fn done_to(self, bytes: &mut Vec<u8>) {
        let positions = bytes.len() + 1;
        match self {
            Self::Cut(at) => bytes.truncate(at.index(positions)),
            Self::Set(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            Self::Set(..) => {}
            Self::Insert(at, more) => {
                let at = at.index(positions);
                bytes.splice(at..at, more);
            }
            Self::Repeat(one, other) => {
                let (one, other) = (one.index(positions), other.index(positions));
                let repeated = bytes[one.min(other)..one.max(other)].to_vec();
                bytes.extend(repeated);
            }
        }
    }
}

/// Writes a message with this one field.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut writer = Writer::after(0);
    writer.text(number, value);
    writer.finish(|_, _| {})
}

/// Writes a `CheckRequest` with this `HttpRequest`.
fn with_http(http: &[u8]) -> Vec<u8> {
    field(1, &field(4, &field(2, http)))
}

#[test]
fn the_last_of_a_repeated_text_counts() {
    let bytes = with_http(&[field(2, b"GET"), field(2, b"POST")].concat());
    assert_eq!(
        CheckRequest::read(&bytes).unwrap().http.unwrap().method,
        "POST"
    );
}

#[test]
fn a_repeated_singular_message_is_refused() {
    let twice = |message: &[u8]| [message, message].concat();
    let socket = field(1, &field(2, b"10.0.0.1"));
    for (bytes, what) in [
        (twice(&with_http(&[])), "attributes"),
        (field(1, &twice(&field(4, &field(2, &[])))), "request"),
        (field(1, &field(4, &twice(&field(2, &[])))), "http"),
        (with_http(&twice(&field(13, &[]))), "header_map"),
        (field(1, &twice(&field(1, &[]))), "source"),
        (field(1, &field(1, &twice(&field(1, &socket)))), "address"),
        (
            field(1, &field(1, &field(1, &twice(&socket)))),
            "socket_address",
        ),
        (
            field(
                1,
                &field(1, &field(1, &[socket.clone(), field(2, &[])].concat())),
            ),
            "socket_address and pipe",
        ),
    ] {
        assert_eq!(
            CheckRequest::read(&bytes).err(),
            Some(InvalidMessage),
            "{what}"
        );
    }
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let entry = |number| field(number, b"\xff");
    for bytes in [
        with_http(&field(2, b"\xff")),
        with_http(&field(4, b"/\xff")),
        with_http(&field(11, b"\xff")),
        with_http(&field(3, &entry(1))),
        with_http(&field(3, &entry(2))),
        with_http(&field(13, &field(1, &entry(1)))),
        with_http(&field(13, &field(1, &entry(2)))),
        field(1, &field(10, &entry(2))),
        field(1, &field(1, &field(1, &field(1, &entry(2))))),
    ] {
        assert_eq!(CheckRequest::read(&bytes).err(), Some(InvalidMessage));
    }
    let raw = with_http(&[field(12, b"\xff"), field(13, &field(1, &entry(3)))].concat());
    assert_eq!(
        CheckRequest::read(&raw).unwrap().http.unwrap().raw_body,
        b"\xff"
    );
}

#[test]
fn unknown_fields_are_skipped() {
    let unknown = [
        &[0x78, 1][..],
        &[0x79, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x7d, 0, 0, 0, 0],
        &field(15, b"\xff"),
    ]
    .concat();
    let http = [unknown.clone(), field(2, b"GET"), unknown.clone()].concat();
    let bytes = [
        unknown.clone(),
        field(1, &[unknown, field(4, &field(2, &http))].concat()),
    ]
    .concat();
    assert_eq!(
        CheckRequest::read(&bytes).unwrap().http.unwrap().method,
        "GET"
    );
}

#[test]
fn an_empty_message_is_a_request_without_http() {
    let read = CheckRequest::read(&[]).unwrap();
    assert!(read.http.is_none() && read.source.is_empty() && read.context_extensions.is_empty());
    assert_eq!(Seen::by_them(&Theirs::default()), Seen::by_us(read));
}
