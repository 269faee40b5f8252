//! The effects of a form: log in, allow, refuse, log out.
//!
//! A form has no effect unless it is genuine ([`super::browser`]) and its request can still be
//! decided.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse;

use super::notices::{LoginProblem, UserNotice, address};
use super::page::{AuthorizePage, failed};
use super::pages;
use super::response::{decision_targets, see_other};
use crate::issue::{Actor, AuthorizationRequest, Consent, DirectoryUser, IssueError, Login};
use crate::model::{Secret, Session, Token};
use crate::server::http::client_address::ClientAddress;
use crate::server::pages::{BrowserCookie, FormFields, PageResponse, is_same_origin};

/// Carries out a form.
pub(super) async fn submit(
    State(page): State<AuthorizePage>,
    ClientAddress(from): ClientAddress,
    headers: HeaderMap,
    request: Request,
) -> impl IntoResponse {
    let read = FormFields::read(&headers, request.into_body(), &page.bodies);
    let fields = match read.await {
        Ok(fields) => fields,
        Err(error) => return UserNotice::from(error).response(&page.brand, None),
    };
    let Ok(name) = Token::new(fields.text("oauth_token")) else {
        return UserNotice::Unknown.response(&page.brand, None);
    };
    let answered = match page.verified(&name, &headers, &fields).await {
        Ok(submission) => submission.act(&page, &fields, from).await,
        Err(notice) => Err(notice),
    };
    answered.unwrap_or_else(|notice| notice.response(&page.brand, Some(&name)))
}

/// A genuine form, from the browser that it was shown to.
struct FormSubmission {
    asking: AuthorizationRequest,
    cookie: BrowserCookie,
}

impl AuthorizePage {
    /// Verifies that a form is genuine.
    async fn verified(
        &self,
        name: &Token,
        headers: &HeaderMap,
        fields: &FormFields,
    ) -> Result<FormSubmission, UserNotice> {
        if !is_same_origin(headers, self.config.http.public_url.as_ref()) {
            tracing::info!("refused a form from another site");
            return Err(UserNotice::NotOurForm);
        }
        let cookie =
            BrowserCookie::sent(headers, self.cookie_kind()).ok_or(UserNotice::NoCookie)?;
        let asking = self.asking(name).await?;
        if !cookie.has_issued(fields.text("csrf_token"), &asking) {
            tracing::info!(
                consumer = asking.consumer.key.as_str(),
                "refused a form that this browser was not shown"
            );
            return Err(UserNotice::NotOurForm);
        }
        Ok(FormSubmission { asking, cookie })
    }
}

impl FormSubmission {
    async fn act(
        &self,
        page: &AuthorizePage,
        fields: &FormFields,
        from: Option<IpAddr>,
    ) -> Result<PageResponse, UserNotice> {
        match fields.text("action") {
            "log-in" => self.log_in(page, fields, from).await,
            "log-out" => self.log_out(page).await,
            action @ ("allow" | "refuse") => match page.session(&self.cookie).await? {
                Some(session) if action == "allow" => self.allow(page, &session).await,
                Some(session) => self.refuse(page, &session).await,
                None => Ok(self.log_in_again(page, "", StatusCode::FORBIDDEN, SESSION_EXPIRED)),
            },
            _ => Err(UserNotice::BadForm(StatusCode::BAD_REQUEST)),
        }
    }

    async fn log_in(
        &self,
        page: &AuthorizePage,
        fields: &FormFields,
        from: Option<IpAddr>,
    ) -> Result<PageResponse, UserNotice> {
        let (username, password) = (fields.text("username"), fields.text("password"));
        if username.is_empty() || password.is_empty() {
            return Ok(self.log_in_again(page, username, StatusCode::BAD_REQUEST, EMPTY_FIELD));
        }
        let login = Login {
            username: username.to_owned(),
            password: Secret::new(password.as_bytes()),
            consumer_key: self.asking.consumer.key.clone(),
            client_address: from,
        };
        match page.issuer.log_in(&login).await {
            Ok(user) => self.open_session(page, &user).await,
            Err(error) => self.not_logged_in(page, username, &error),
        }
    }

    /// Opens a session with a new cookie, and closes the previous one.
    async fn open_session(
        &self,
        page: &AuthorizePage,
        user: &DirectoryUser,
    ) -> Result<PageResponse, UserNotice> {
        let cookie = BrowserCookie::random(&*page.entropy);
        let opened = page.issuer.create_session(user, cookie.expose()).await;
        opened.map_err(|error| failed("open a session", &error))?;
        self.delete_session(page).await;
        Ok(page.with_cookie(&cookie, self.reload(page)))
    }

    /// Returns the form with the problem of a failed login, without the password.
    fn not_logged_in(
        &self,
        page: &AuthorizePage,
        username: &str,
        error: &IssueError,
    ) -> Result<PageResponse, UserNotice> {
        let Some(problem) = LoginProblem::of(error) else {
            return Err(failed("log in", error));
        };
        if problem.status == StatusCode::SERVICE_UNAVAILABLE {
            failed("log in", error);
        }
        let answer = self.log_in_again(page, username, problem.status, &problem.text);
        Ok(match problem.wait {
            Some(wait) => answer.retry_after(wait),
            None => answer,
        })
    }

    fn log_in_again(
        &self,
        page: &AuthorizePage,
        username: &str,
        status: StatusCode,
        problem: &str,
    ) -> PageResponse {
        pages::log_in(
            &page.brand,
            &self.asking,
            &self.cookie,
            username,
            Some((status, problem)),
        )
    }

    async fn log_out(&self, page: &AuthorizePage) -> Result<PageResponse, UserNotice> {
        page.issuer
            .delete_session(self.cookie.expose())
            .await
            .map_err(|error| failed("close a session", &error))?;
        Ok(page.without_cookie(self.reload(page)))
    }

    async fn allow(
        &self,
        page: &AuthorizePage,
        session: &Session,
    ) -> Result<PageResponse, UserNotice> {
        let consent = self.consent(session);
        let authorized = page
            .issuer
            .authorize_request_token(self.name(), &consent, &actor(session))
            .await
            .map_err(|error| failed("authorize", &error))?;
        self.delete_session(page).await;
        let answer = match authorized.redirect {
            Some(uri) => to_callback(page, &uri)?,
            None => pages::pin(
                &page.brand,
                &self.asking.consumer,
                authorized.verifier.expose(),
            ),
        };
        Ok(page.without_cookie(answer.with_forms(self.targets())))
    }

    /// Returns the consent to all requested scopes.
    fn consent(&self, session: &Session) -> Consent {
        let scopes = &self.asking.request_token.scopes;
        Consent {
            user_id: session.user_id.clone(),
            screen_name: session.screen_name.clone(),
            scopes: scopes.iter().map(str::to_owned).collect(),
        }
    }

    async fn refuse(
        &self,
        page: &AuthorizePage,
        session: &Session,
    ) -> Result<PageResponse, UserNotice> {
        let redirect = page
            .issuer
            .refuse_request_token(self.name(), &actor(session))
            .await;
        let redirect = redirect.map_err(|error| failed("refuse", &error))?;
        self.delete_session(page).await;
        let answer = match redirect {
            Some(uri) => to_callback(page, &uri)?,
            None => {
                let title = "You refused access";
                pages::notice(&page.brand, StatusCode::OK, title, REFUSED, None)
            }
        };
        Ok(page.without_cookie(answer.with_forms(self.targets())))
    }

    /// Ends the session of the submitted cookie. A failure does not revert the decision: the
    /// browser drops the cookie, and the session expires.
    async fn delete_session(&self, page: &AuthorizePage) {
        if let Err(error) = page.issuer.delete_session(self.cookie.expose()).await {
            failed("close a session", &error);
        }
    }

    fn reload(&self, page: &AuthorizePage) -> PageResponse {
        match HeaderValue::from_str(&address(self.name())) {
            Ok(location) => see_other(&page.brand, location),
            Err(_) => UserNotice::Failure.response(&page.brand, None),
        }
    }

    fn name(&self) -> &Token {
        &self.asking.request_token.token
    }

    fn targets(&self) -> String {
        decision_targets(&self.asking.request_token.callback)
    }
}

fn actor(session: &Session) -> Actor {
    Actor::User(session.user_id.clone())
}

fn to_callback(page: &AuthorizePage, uri: &str) -> Result<PageResponse, UserNotice> {
    let location = HeaderValue::from_str(uri).map_err(|_| {
        tracing::error!("cannot redirect to a callback: it is not a valid header value");
        UserNotice::Failure
    })?;
    Ok(see_other(&page.brand, location))
}

const EMPTY_FIELD: &str = "Enter your user name and your password.";
const SESSION_EXPIRED: &str = "Your session has expired. Log in again; nothing was decided yet.";
const REFUSED: &str = "Nothing was allowed, and you are logged out. You can close this page.";
