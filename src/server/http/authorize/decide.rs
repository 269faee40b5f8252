//! What a form that was posted does: log in, allow, refuse, log out.
//!
//! Nothing happens before the form has been found to be one of ours ([`super::browser`]), and it is still time to decide.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;

use super::answer::{forms_of_decision, see_other};
use super::notices::{LogInProblem, Notice, address};
use super::{Page, failed, pages};
use crate::issue::{Actor, AuthorizationRequest, Consent, IssueError, Login};
use crate::model::{Secret, Session, Token};
use crate::server::http::client_address::ClientAddress;
use crate::server::pages::{Answer, Cookie, Fields, comes_from_here};

/// Answers a form.
pub(super) async fn posted(
    State(page): State<Page>,
    ClientAddress(from): ClientAddress,
    headers: HeaderMap,
    request: Request,
) -> impl IntoResponse {
    let fields = match Fields::posted(&headers, request.into_body()).await {
        Ok(fields) => fields,
        Err(bad) => return Notice::from(bad).answer(None),
    };
    let Ok(name) = Token::new(fields.text("oauth_token")) else {
        return Notice::Unknown.answer(None);
    };
    let answered = match page.genuine(&name, &headers, &fields).await {
        Ok(visit) => visit.act(&page, &fields, from).await,
        Err(notice) => Err(notice),
    };
    answered.unwrap_or_else(|notice| notice.answer(Some(&name)))
}

/// A form of ours, come back from the browser that it was shown to.
struct Visit {
    asking: AuthorizationRequest,
    cookie: Cookie,
}

impl Page {
    /// Whether a form is one of ours.
    async fn genuine(
        &self,
        name: &Token,
        headers: &HeaderMap,
        fields: &Fields,
    ) -> Result<Visit, Notice> {
        if !comes_from_here(headers, self.config.http.public_url.as_ref()) {
            tracing::info!("a form of another site was refused");
            return Err(Notice::NotOurForm);
        }
        let cookie = Cookie::sent(headers, self.cookie_kind()).ok_or(Notice::NoCookie)?;
        let asking = self.asking(name).await?;
        if !cookie.is_genuine(fields.text("csrf_token"), &asking) {
            tracing::info!(
                consumer = asking.consumer.key.as_str(),
                "a form was refused that this browser was not shown"
            );
            return Err(Notice::NotOurForm);
        }
        Ok(Visit { asking, cookie })
    }
}

impl Visit {
    async fn act(
        &self,
        page: &Page,
        fields: &Fields,
        from: Option<IpAddr>,
    ) -> Result<Answer, Notice> {
        match fields.text("action") {
            "log-in" => self.log_in(page, fields, from).await,
            "log-out" => self.log_out(page).await,
            action @ ("allow" | "refuse") => match page.session(&self.cookie).await? {
                Some(session) if action == "allow" => self.allow(page, &session).await,
                Some(session) => self.refuse(page, &session).await,
                None => Ok(self.log_in_again("", StatusCode::FORBIDDEN, SESSION_OVER)),
            },
            _ => Err(Notice::BadForm(StatusCode::BAD_REQUEST)),
        }
    }

    async fn log_in(
        &self,
        page: &Page,
        fields: &Fields,
        from: Option<IpAddr>,
    ) -> Result<Answer, Notice> {
        let (username, password) = (fields.text("username"), fields.text("password"));
        if username.is_empty() || password.is_empty() {
            return Ok(self.log_in_again(username, StatusCode::BAD_REQUEST, NOTHING_TYPED));
        }
        let login = Login {
            username: username.to_owned(),
            password: Secret::new(password.as_bytes()),
            consumer_key: self.asking.consumer.key.clone(),
            client_address: from,
        };
        let user = match page.issuer.log_in(&login).await {
            Ok(user) => user,
            Err(error) => return self.not_logged_in(username, &error),
        };
        let cookie = Cookie::draw(&*page.entropy);
        let opened = page.issuer.create_session(&user, cookie.expose()).await;
        opened.map_err(|error| failed("open a session", &error))?;
        self.close_session(page).await;
        Ok(page.keeping(&cookie, self.reload()))
    }

    /// The form again, with what was wrong; the password is not in it.
    fn not_logged_in(&self, username: &str, error: &IssueError) -> Result<Answer, Notice> {
        let Some(problem) = LogInProblem::of(error) else {
            return Err(failed("log in", error));
        };
        if problem.status == StatusCode::SERVICE_UNAVAILABLE {
            failed("log in", error);
        }
        let answer = self.log_in_again(username, problem.status, &problem.text);
        Ok(match problem.wait {
            Some(wait) => answer.retry_after(wait),
            None => answer,
        })
    }

    fn log_in_again(&self, username: &str, status: StatusCode, problem: &str) -> Answer {
        pages::log_in(
            &self.asking,
            &self.cookie,
            username,
            Some((status, problem)),
        )
    }

    async fn log_out(&self, page: &Page) -> Result<Answer, Notice> {
        page.issuer
            .delete_session(self.cookie.expose())
            .await
            .map_err(|error| failed("close a session", &error))?;
        Ok(forgetting(page, self.reload()))
    }

    async fn allow(&self, page: &Page, session: &Session) -> Result<Answer, Notice> {
        let consent = Consent {
            user_id: session.user_id.clone(),
            screen_name: session.screen_name.clone(),
            scopes: self
                .asking
                .request_token
                .scopes
                .iter()
                .map(str::to_owned)
                .collect(),
        };
        let authorized = page
            .issuer
            .authorize_request_token(self.name(), &consent, &actor(session))
            .await;
        let authorized = authorized.map_err(|error| failed("authorize", &error))?;
        self.close_session(page).await;
        let answer = match authorized.redirect {
            Some(uri) => to_callback(&uri)?,
            None => pages::pin(&self.asking.consumer, authorized.verifier.expose()),
        };
        Ok(forgetting(page, answer.with_forms(self.forms())))
    }

    async fn refuse(&self, page: &Page, session: &Session) -> Result<Answer, Notice> {
        let redirect = page
            .issuer
            .refuse_request_token(self.name(), &actor(session))
            .await;
        let redirect = redirect.map_err(|error| failed("refuse", &error))?;
        self.close_session(page).await;
        let answer = match redirect {
            Some(uri) => to_callback(&uri)?,
            None => pages::notice(StatusCode::OK, "You refused", REFUSED, None),
        };
        Ok(forgetting(page, answer.with_forms(self.forms())))
    }

    /// Ends the session of the cookie that came with the form. What was decided stands, whatever becomes of this: the
    /// browser forgets the cookie, and the session ends by itself.
    async fn close_session(&self, page: &Page) {
        if let Err(error) = page.issuer.delete_session(self.cookie.expose()).await {
            failed("close a session", &error);
        }
    }

    fn reload(&self) -> Answer {
        match HeaderValue::from_str(&address(self.name())) {
            Ok(location) => see_other(location),
            Err(_) => Notice::Failure.answer(None),
        }
    }

    fn name(&self) -> &Token {
        &self.asking.request_token.token
    }

    fn forms(&self) -> String {
        forms_of_decision(&self.asking.request_token.callback)
    }
}

fn actor(session: &Session) -> Actor {
    Actor::User(session.user_id.clone())
}

fn forgetting(page: &Page, answer: Answer) -> Answer {
    answer.with(header::SET_COOKIE, page.cookie_kind().forget())
}

fn to_callback(uri: &str) -> Result<Answer, Notice> {
    let location = HeaderValue::from_str(uri).map_err(|_| {
        tracing::error!("a callback is no header value");
        Notice::Failure
    })?;
    Ok(see_other(location))
}

const NOTHING_TYPED: &str = "Type your user name and your password.";
const SESSION_OVER: &str =
    "You have been logged out, since some time passed. Log in again; nothing was decided yet.";
const REFUSED: &str = "Nothing was allowed, and you are logged out. You can close this page.";
