//! Requests that the second implementation signs, and changes of them.

use std::collections::HashMap;

use arbitrary::Arbitrary;
use prost::Message as _;

use crate::check::Setup;
use crate::credentials::{CONSUMERS, KnownConsumer, KnownToken, NOW, TOKENS};
use crate::envoy::{AttributeContext, CheckRequest, HeaderMap, HeaderValue, HttpRequest, Request};
use crate::rfc5849::{Hash, PlainRequest, SharedKey, base_string, body_hash, escape, sign};

/// A request that a client signs.
#[derive(Arbitrary, Debug)]
pub struct Sketch {
    /// The service that it reaches.
    pub setup: Setup,
    method: Method,
    is_https: bool,
    host: Host,
    path: Vec<u8>,
    query: Vec<Field>,
    content: Content,
    place: Place,
    caller: Caller,
    signature: SignatureChoice,
    stamp_offset: i16,
    has_version: bool,
    has_body_hash: bool,
    realm: Option<Vec<u8>>,
    extension: Option<Vec<u8>>,
    spelling: Spelling,
    /// Envoy sends every header by itself, in bytes.
    is_raw: bool,
    route: RouteChoice,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Method {
    Get,
    Post,
    Put,
    Delete,
    LowerCase,
    Head,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Host {
    Plain,
    UpperCaseWithPort80,
    Port443,
    Port8080,
    EmptyPort,
    Ipv6,
}

/// A name and a value.
#[derive(Arbitrary, Clone, Debug)]
struct Field(Vec<u8>, Vec<u8>);

#[derive(Arbitrary, Clone, Debug)]
enum Content {
    None,
    Form(Vec<Field>),
    Json(Vec<u8>),
    Multipart(Vec<u8>),
    Untyped(Vec<u8>),
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Header,
    Query,
    Body,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Caller {
    Consumer(u8),
    Token(u8),
    EmptyToken(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum SignatureChoice {
    Hmac(Hash),
    Plaintext,
}

/// The spelling of names and values, which is the client's choice.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Spelling {
    lower_case_escapes: bool,
    escapes_everything: bool,
    plus_for_space: bool,
}

/// The settings in `context_extensions`.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum RouteChoice {
    None,
    Foreign,
    User,
    Optional,
    BodyHash,
}

/// A signed request, as Envoy forwards it.
#[derive(Clone, Debug)]
pub struct SignedSketch {
    /// The request.
    pub request: PlainRequest,
    headers: Vec<(String, Vec<u8>)>,
    content_length: Option<i64>,
    size: i64,
    is_raw: bool,
    route: RouteChoice,
    /// True if it must be allowed.
    pub is_valid: bool,
    /// True for PLAINTEXT, which signs nothing but the secrets.
    pub is_plaintext: bool,
}

impl Sketch {
    /// Signs the request with a nonce.
    pub fn sign(&self, nonce: &str) -> SignedSketch {
        let (consumer, token) = self.caller();
        let place = self.place();
        let parameters = self.protocol_parameters(consumer, token, nonce);
        let unsigned = self.with(place, &parameters);
        let key = SharedKey {
            consumer: consumer.secret.as_bytes(),
            token: token.map_or(&b""[..], |token| token.secret.as_bytes()),
        };
        let text = base_string(&self.setup.signed(&unsigned)).expect("well-formed");
        let signature = match self.signature(consumer) {
            SignatureChoice::Hmac(hash) => sign(hash, key, &text),
            SignatureChoice::Plaintext => key.text(),
        };
        let mut parameters = parameters;
        parameters.push((b"oauth_signature".to_vec(), signature.into_bytes()));
        let request = self.with(place, &parameters);
        SignedSketch {
            content_length: Some(request.body.len() as i64),
            size: 0,
            headers: Vec::new(),
            is_raw: self.is_raw,
            route: self.route,
            is_valid: self.is_permitted(token, &request),
            is_plaintext: matches!(self.signature(consumer), SignatureChoice::Plaintext),
            request,
        }
    }

    fn is_permitted(&self, token: Option<&KnownToken>, request: &PlainRequest) -> bool {
        let is_form = matches!(self.content, Content::Form(_));
        match self.route {
            RouteChoice::User => token.is_some_and(|token| token.user.is_some()),
            RouteChoice::BodyHash => self.has_body_hash() || is_form || request.body.is_empty(),
            RouteChoice::None | RouteChoice::Foreign | RouteChoice::Optional => true,
        }
    }

    fn caller(&self) -> (&'static KnownConsumer, Option<&'static KnownToken>) {
        match self.caller {
            Caller::Consumer(at) | Caller::EmptyToken(at) => {
                (&CONSUMERS[usize::from(at) % CONSUMERS.len()], None)
            }
            Caller::Token(at) => {
                let token = &TOKENS[usize::from(at) % TOKENS.len()];
                (token.consumer, Some(token))
            }
        }
    }

    fn signature(&self, consumer: &KnownConsumer) -> SignatureChoice {
        match self.signature {
            SignatureChoice::Plaintext
                if !consumer.may_use_plaintext || self.setup == Setup::Default =>
            {
                SignatureChoice::Hmac(Hash::Sha1)
            }
            choice => choice,
        }
    }

    fn place(&self) -> Place {
        match (&self.content, self.place) {
            (Content::Form(_), place) => place,
            (_, Place::Body) => Place::Query,
            (_, place) => place,
        }
    }

    fn has_body_hash(&self) -> bool {
        match &self.content {
            Content::Untyped(body) => self.has_body_hash || !body.is_empty(),
            Content::Form(_) if self.place() == Place::Body => false,
            _ => self.has_body_hash,
        }
    }

    fn protocol_parameters(
        &self,
        consumer: &KnownConsumer,
        token: Option<&KnownToken>,
        nonce: &str,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let method = match self.signature(consumer) {
            SignatureChoice::Hmac(hash) => hash.method(),
            SignatureChoice::Plaintext => "PLAINTEXT",
        };
        let timestamp = NOW.saturating_add_signed(i64::from(self.stamp_offset % 300));
        let mut all = vec![
            ("oauth_consumer_key", consumer.key.as_bytes().to_vec()),
            ("oauth_nonce", nonce.as_bytes().to_vec()),
            ("oauth_timestamp", timestamp.to_string().into_bytes()),
            ("oauth_signature_method", method.as_bytes().to_vec()),
        ];
        match (self.caller, token) {
            (_, Some(token)) => all.push(("oauth_token", token.token.as_bytes().to_vec())),
            (Caller::EmptyToken(_), None) => all.push(("oauth_token", Vec::new())),
            _ => {}
        }
        if self.has_version {
            all.push(("oauth_version", b"1.0".to_vec()));
        }
        if let Some(extension) = &self.extension {
            all.push(("oauth_extension", extension.clone()));
        }
        if self.has_body_hash() {
            let hash = match self.signature(consumer) {
                SignatureChoice::Hmac(hash) => hash,
                SignatureChoice::Plaintext => Hash::Sha1,
            };
            let (_, body) = self.content();
            all.push(("oauth_body_hash", body_hash(hash, &body).into_bytes()));
        }
        all.into_iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value))
            .collect()
    }

    /// Returns the request with these protocol parameters.
    fn with(&self, place: Place, parameters: &[(Vec<u8>, Vec<u8>)]) -> PlainRequest {
        let (content_type, mut body) = self.content();
        let mut query = self.spelling.form(&fields(&self.query));
        let written = self.spelling.form(parameters);
        let mut authorization = Vec::new();
        match place {
            Place::Header => authorization.push(self.authorization(parameters)),
            Place::Query => append(&mut query, written),
            Place::Body => append(&mut body, written),
        }
        let mut target = self.path();
        if !query.is_empty() {
            target.push(b'?');
            target.extend(query);
        }
        PlainRequest {
            method: self.method.name().into(),
            is_https: self.is_https,
            host: self.host.name().into(),
            target,
            authorization,
            content_type: content_type
                .into_iter()
                .map(|name| name.as_bytes().to_vec())
                .collect(),
            body,
        }
    }

    fn path(&self) -> Vec<u8> {
        let printable = |byte: &u8| match b'!' + byte % 94 {
            b'?' | b'#' => b'/',
            byte => byte,
        };
        [b'/']
            .into_iter()
            .chain(self.path.iter().map(printable))
            .collect()
    }

    fn content(&self) -> (Option<&'static str>, Vec<u8>) {
        match &self.content {
            Content::None => (None, Vec::new()),
            Content::Form(form) => (Some(FORM), self.spelling.form(&fields(form))),
            Content::Json(body) => (Some("application/json"), body.clone()),
            Content::Multipart(body) => (Some("multipart/form-data; boundary=x"), body.clone()),
            Content::Untyped(body) => (None, body.clone()),
        }
    }

    fn authorization(&self, parameters: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let quoted = |(name, value): &(Vec<u8>, Vec<u8>)| {
            [
                self.spelling.escaped(name),
                b"=\"".to_vec(),
                self.spelling.escaped(value),
                b"\"".to_vec(),
            ]
            .concat()
        };
        let mut pairs: Vec<Vec<u8>> = parameters.iter().map(quoted).collect();
        if let Some(realm) = &self.realm {
            let safe: Vec<u8> = realm.iter().map(|byte| b'a' + byte % 26).collect();
            pairs.insert(0, [&b"realm=\""[..], &safe, b"\""].concat());
        }
        [b"OAuth ".to_vec(), pairs.join(&b", "[..])].concat()
    }
}

/// Returns names and values; no name begins like that of a protocol parameter.
fn fields(fields: &[Field]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields
        .iter()
        .map(|Field(name, value)| ([b"n", &name[..]].concat(), value.clone()))
        .collect()
}

impl Spelling {
    fn form(self, fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let spaced = |text: Vec<u8>| match self.plus_for_space {
            true => String::from_utf8_lossy(&text)
                .replace("%20", "+")
                .into_bytes(),
            false => text,
        };
        let one = |(name, value): &(Vec<u8>, Vec<u8>)| {
            [spaced(self.escaped(name)), spaced(self.escaped(value))].join(&b'=')
        };
        fields.iter().map(one).collect::<Vec<_>>().join(&b'&')
    }

    fn escaped(self, text: &[u8]) -> Vec<u8> {
        let escaped = match self.escapes_everything {
            true => text.iter().map(|byte| format!("%{byte:02X}")).collect(),
            false => escape(text),
        };
        match self.lower_case_escapes {
            true => lower_case_escapes(escaped.as_bytes()),
            false => escaped.into_bytes(),
        }
    }
}

fn lower_case_escapes(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    let escapes: Vec<_> = (0..text.len()).filter(|&at| text[at] == b'%').collect();
    for at in escapes {
        text[at + 1..at + 3].make_ascii_lowercase();
    }
    text
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::LowerCase => "patch",
            Self::Head => "HEAD",
        }
    }
}

impl Host {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "api.example.com",
            Self::UpperCaseWithPort80 => "API.example.COM:80",
            Self::Port443 => "h:443",
            Self::Port8080 => "a_b:8080",
            Self::EmptyPort => "h:",
            Self::Ipv6 => "[::1]:443",
        }
    }
}

// === changes ===

/// A change of a signed request on its way.
#[derive(Arbitrary, Debug)]
pub enum Change {
    /// Another byte.
    Replace(Part, u16, u8),
    /// More bytes.
    Insert(Part, u16, Vec<u8>),
    /// Fewer bytes.
    Remove(Part, u16, u8),
    /// A piece once more.
    Repeat(Part, u16, u8),
    /// The parameters of the query in another order.
    ReverseQuery,
    /// The parameters of the form in another order.
    ReverseForm,
    /// The form becomes a part of the query.
    FormToQuery,
    /// The query becomes a form.
    QueryToForm,
    /// One more parameter.
    AddQuery(Vec<u8>),
    /// One more parameter.
    AddForm(Vec<u8>),
    /// Another method.
    Method(MethodName),
    /// The other scheme.
    Scheme,
    /// Another host.
    Host(HostName),
    /// Another type of body.
    ContentType(TypeName),
    /// One more type of body.
    SecondContentType(TypeName),
    /// No type of body.
    NoContentType,
    /// Another body.
    Body(Vec<u8>),
    /// One more set of credentials.
    SecondAuthorization(Vec<u8>),
    /// One more header.
    Header(HeaderName, Vec<u8>),
    /// Another or no `Content-Length`.
    ContentLength(Option<i8>),
    /// Another `size`.
    Size(i8),
}

/// A part of a request.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Part {
    /// The host.
    Host,
    /// Path and query.
    Target,
    /// The `Authorization` header.
    Authorization,
    /// The type of the body.
    ContentType,
    /// The body.
    Body,
}

/// A method.
#[derive(Arbitrary, Debug)]
pub struct MethodName(Method);

/// A host.
#[derive(Arbitrary, Debug)]
pub struct HostName(Host);

/// A type of body.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum TypeName {
    /// A form.
    Form,
    /// A form in another spelling.
    UpperCaseForm,
    /// Two types in one header.
    FormAndJson,
    /// A type that resembles a form.
    FormXml,
    /// JSON.
    Json,
    /// A form behind another type.
    JsonThenForm,
    /// Text.
    Text,
    /// Multipart without a boundary.
    MultipartWithoutBoundary,
    /// No type.
    Empty,
}

/// A header that a check reads.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum HeaderName {
    /// A disguised identity header.
    Disguised,
    /// An identity header.
    Identity,
    /// Envoy's own mark.
    PartialBody,
    /// An upgrade.
    Upgrade,
    /// The type of the answer.
    Accept,
    /// The path in bytes.
    Path,
    /// The host that a proxy reports.
    ForwardedHost,
}

impl SignedSketch {
    /// Makes a change.
    pub fn change(&mut self, change: &Change) {
        match change {
            Change::Replace(part, at, byte) => self.edit(*part, |text| {
                let at = index(*at, text.len());
                if let Some(old) = text.get_mut(at) {
                    *old = *byte;
                }
            }),
            Change::Insert(part, at, more) => self.edit(*part, |text| {
                let at = index(*at, text.len() + 1);
                text.splice(at..at, more.iter().copied());
            }),
            Change::Remove(part, at, len) => self.edit(*part, |text| {
                let at = index(*at, text.len());
                let end = text.len().min(at + usize::from(*len));
                text.drain(at..end);
            }),
            Change::Repeat(part, at, len) => self.edit(*part, |text| {
                let at = index(*at, text.len());
                let end = text.len().min(at + usize::from(*len));
                let piece = text[at..end].to_vec();
                text.splice(at..at, piece);
            }),
            Change::Scheme => self.request.is_https ^= true,
            Change::Method(MethodName(name)) => self.request.method = name.name().into(),
            Change::Host(HostName(name)) => self.request.host = name.name().into(),
            Change::Body(body) => self.request.body.clone_from(body),
            Change::Header(name, value) => {
                self.headers.push((name.name().to_owned(), value.clone()))
            }
            Change::SecondAuthorization(value) => self.request.authorization.push(value.clone()),
            Change::ContentLength(length) => {
                self.content_length =
                    length.map(|more| self.request.body.len() as i64 + i64::from(more));
            }
            Change::Size(size) => self.size = i64::from(*size),
            Change::NoContentType => self.request.content_type.clear(),
            Change::ContentType(name) => self.request.content_type = vec![name.name().into()],
            Change::SecondContentType(name) => self.request.content_type.push(name.name().into()),
            Change::ReverseQuery
            | Change::ReverseForm
            | Change::FormToQuery
            | Change::QueryToForm
            | Change::AddQuery(_)
            | Change::AddForm(_) => self.change_parameters(change),
        }
        // Envoy forwards a length that fits, unless the change is about it.
        if !matches!(change, Change::ContentLength(_)) && self.content_length.is_some() {
            self.content_length = Some(self.request.body.len() as i64);
        }
    }

    fn change_parameters(&mut self, change: &Change) {
        let path = self.request.path().to_vec();
        let mut query = self.request.query().to_vec();
        let body = &mut self.request.body;
        match change {
            Change::ReverseQuery => query = reversed(&query),
            Change::ReverseForm => *body = reversed(body),
            Change::FormToQuery => append(&mut query, std::mem::take(body)),
            Change::QueryToForm => append(body, std::mem::take(&mut query)),
            Change::AddQuery(more) => append(&mut query, more.clone()),
            Change::AddForm(more) => append(body, more.clone()),
            _ => {}
        }
        self.request.target = match &query[..] {
            b"" => path,
            query => [&path[..], query].join(&b'?'),
        };
    }

    fn edit(&mut self, part: Part, edit: impl FnOnce(&mut Vec<u8>)) {
        let request = &mut self.request;
        let text = match part {
            Part::Host => Some(&mut request.host),
            Part::Target => Some(&mut request.target),
            Part::Authorization => request.authorization.first_mut(),
            Part::ContentType => request.content_type.first_mut(),
            Part::Body => Some(&mut request.body),
        };
        if let Some(text) = text {
            edit(text);
        }
    }

    /// Returns the message that Envoy sends.
    pub fn message(&self) -> Vec<u8> {
        let request = &self.request;
        let mut headers = self.headers.clone();
        let named = |name: &str, values: &[Vec<u8>]| -> Vec<(String, Vec<u8>)> {
            values
                .iter()
                .map(|value| (name.to_owned(), value.clone()))
                .collect()
        };
        headers.extend(named("authorization", &request.authorization));
        headers.extend(named("content-type", &request.content_type));
        if let Some(length) = self.content_length {
            headers.push(("content-length".to_owned(), length.to_string().into_bytes()));
        }
        let mut http = HttpRequest {
            id: "1".to_owned(),
            method: sanitized(&request.method),
            path: sanitized(&request.target),
            host: sanitized(&request.host),
            scheme: if request.is_https { "https" } else { "http" }.to_owned(),
            size: self.size,
            raw_body: request.body.clone(),
            ..HttpRequest::default()
        };
        if self.is_raw {
            headers.push((":path".to_owned(), request.target.clone()));
            let raw = |(key, raw_value)| HeaderValue {
                key,
                raw_value,
                ..HeaderValue::default()
            };
            http.header_map = Some(HeaderMap {
                headers: headers.into_iter().map(raw).collect(),
            });
        } else {
            http.headers = joined(&headers);
        }
        let context = AttributeContext {
            request: Some(Request { http: Some(http) }),
            context_extensions: self.route.extensions(),
        };
        CheckRequest {
            attributes: Some(context),
        }
        .encode_to_vec()
    }
}

/// Envoy joins headers of one name, and replaces bytes that are not UTF-8.
fn joined(headers: &[(String, Vec<u8>)]) -> HashMap<String, String> {
    let mut all: HashMap<String, String> = HashMap::new();
    for (name, value) in headers {
        let value = sanitized(value);
        all.entry(name.clone())
            .and_modify(|text| *text = format!("{text},{value}"))
            .or_insert(value);
    }
    all
}

fn sanitized(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::REPLACEMENT_CHARACTER, "!")
}

fn reversed(form: &[u8]) -> Vec<u8> {
    let mut segments: Vec<_> = form.split(|&byte| byte == b'&').collect();
    segments.reverse();
    segments.join(&b'&')
}

fn append(form: &mut Vec<u8>, more: Vec<u8>) {
    if !form.is_empty() {
        form.push(b'&');
    }
    form.extend(more);
}

fn index(at: u16, len: usize) -> usize {
    if len == 0 { 0 } else { usize::from(at) % len }
}

impl TypeName {
    fn name(self) -> &'static str {
        match self {
            Self::Form => FORM,
            Self::UpperCaseForm => "Application/X-WWW-Form-URLencoded ; charset=UTF-8",
            Self::FormAndJson => "application/x-www-form-urlencoded, application/json",
            Self::FormXml => "application/x-www-form-urlencoded+xml",
            Self::Json => "application/json",
            Self::JsonThenForm => "application/json; application/x-www-form-urlencoded",
            Self::Text => "text/plain",
            Self::MultipartWithoutBoundary => "multipart/form-data",
            Self::Empty => "",
        }
    }
}

impl HeaderName {
    fn name(self) -> &'static str {
        match self {
            Self::Disguised => "x_consumer_id",
            Self::Identity => "x-consumer-id",
            Self::PartialBody => "x-envoy-auth-partial-body",
            Self::Upgrade => "upgrade",
            Self::Accept => "accept",
            Self::Path => ":path",
            Self::ForwardedHost => "x-forwarded-host",
        }
    }
}

impl RouteChoice {
    fn extensions(self) -> HashMap<String, String> {
        let one = |name: &str, value: &str| HashMap::from([(name.to_owned(), value.to_owned())]);
        match self {
            Self::None => HashMap::new(),
            Self::Foreign => one("tenant", "a"),
            Self::User => one("countersign.require", "user"),
            Self::Optional => one("countersign.require", "optional"),
            Self::BodyHash => one("countersign.body_hash", "require"),
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";
