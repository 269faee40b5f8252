//! The route of the page, and its GET handlers.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::notices::UserNotice;
use super::page::AuthorizePage;
use super::{pages, response, submission};
use crate::model::Token;
use crate::server::http::parts::HttpParts;
use crate::server::pages::{BrowserCookie, FormFields, PageResponse};

/// Returns the route of the page.
pub(in crate::server::http) fn routes(parts: HttpParts) -> Router {
    let page = AuthorizePage::new(parts);
    let methods = match page.config.authorize.external_url {
        Some(_) => only(get(redirect_to_external), "GET, HEAD"),
        None => only(get(show).post(submission::submit), "GET, HEAD, POST"),
    };
    Router::new().route(PATH, methods.with_state(page))
}

fn only(
    methods: MethodRouter<AuthorizePage>,
    allowed: &'static str,
) -> MethodRouter<AuthorizePage> {
    let refuse = async move |State(page): State<AuthorizePage>| {
        UserNotice::Method(allowed).response(&page.brand, None)
    };
    methods.fallback(refuse)
}

/// Sends the user to the operator's own page.
async fn redirect_to_external(State(page): State<AuthorizePage>, uri: Uri) -> impl IntoResponse {
    let Ok(name) = requested_token(&uri) else {
        return pages::token_form(&page.brand, Some(INVALID_TOKEN));
    };
    let external = page.config.authorize.external_url.as_deref();
    let location = external_address(external.unwrap_or_default(), name.as_ref());
    match HeaderValue::from_str(&location) {
        Ok(location) => response::see_other(&page.brand, location),
        Err(_) => UserNotice::Failure.response(&page.brand, None),
    }
}

/// Shows the login form, or the question to a logged-in user.
async fn show(
    State(page): State<AuthorizePage>,
    uri: Uri,
    headers: HeaderMap,
) -> impl IntoResponse {
    match requested_token(&uri) {
        Ok(Some(name)) => shown(&page, &name, &headers)
            .await
            .unwrap_or_else(|notice| notice.response(&page.brand, Some(&name))),
        Ok(None) => pages::token_form(&page.brand, None),
        Err(InvalidToken) => pages::token_form(&page.brand, Some(INVALID_TOKEN)),
    }
}

async fn shown(
    page: &AuthorizePage,
    name: &Token,
    headers: &HeaderMap,
) -> Result<PageResponse, UserNotice> {
    let (asking, brand) = (page.asking(name).await?, &page.brand);
    let Some(cookie) = BrowserCookie::sent(headers, page.cookie_kind()) else {
        let cookie = BrowserCookie::random(&*page.entropy);
        let form = pages::log_in(brand, &asking, &cookie, "", None);
        return Ok(page.with_cookie(&cookie, form));
    };
    Ok(match page.session(&cookie).await? {
        Some(session) => pages::consent(brand, &asking, &cookie, &session, &page.config.scopes),
        None => pages::log_in(brand, &asking, &cookie, "", None),
    })
}

/// An `oauth_token` that is not a valid token.
struct InvalidToken;

/// Returns the `oauth_token` of the query, if there is one.
fn requested_token(uri: &Uri) -> Result<Option<Token>, InvalidToken> {
    let query = uri.query().unwrap_or_default();
    let fields = FormFields::parse(query.as_bytes()).map_err(|_| InvalidToken)?;
    let token = fields.get("oauth_token");
    token
        .map(|text| Token::new(text.trim()).map_err(|_| InvalidToken))
        .transpose()
}

/// Returns the address of the operator's page, with the temporary credentials at the end of its
/// query.
pub(super) fn external_address(external: &str, name: Option<&Token>) -> String {
    let Some(name) = name else {
        return external.to_owned();
    };
    let separator = match external.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let name = utf8_percent_encode(name.as_str(), NON_ALPHANUMERIC);
    format!("{external}{separator}oauth_token={name}")
}

/// The path of the page.
const PATH: &str = "/oauth/authorize";

const INVALID_TOKEN: &str = "This code is not valid. Enter it exactly as the application shows it.";
