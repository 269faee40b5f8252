//! `countersign.v1.UserService`.

use tonic::{Request, Response, Status};

use super::convert::{given, secret, user_draft, user_message};
use super::fields::Fields;
use super::page::{Page, PageRequest};
use super::{errors, gate};
use crate::issue::{IssueError, Issuer};
use crate::model::{User, UserId, Username};
use crate::v1;
use crate::v1::get_user_request::Name;
use crate::v1::user_service_server::UserService;

/// The user service: messages in, calls of the [`Issuer`], messages out.
#[derive(Clone, Debug)]
pub(super) struct UserApi {
    issuer: Issuer,
}

#[tonic::async_trait]
impl UserService for UserApi {
    async fn create_user(
        &self,
        request: Request<v1::CreateUserRequest>,
    ) -> Result<Response<v1::User>, Status> {
        let actor = gate::actor(request.extensions())?;
        let draft = user_draft(request.into_inner()).map_err(|wrong| errors::invalid(&wrong))?;
        match self.issuer.create_user(&draft, &actor).await {
            Err(IssueError::UserExists) => {
                let name = draft.user_id.as_deref().unwrap_or(&draft.username);
                Err(errors::user_exists(name))
            }
            created => {
                response(created.map_err(|error| errors::of_draft(error, "user", &["password"])))
            }
        }
    }

    async fn get_user(
        &self,
        request: Request<v1::GetUserRequest>,
    ) -> Result<Response<v1::User>, Status> {
        let mut fields = Fields::default();
        let found = match request.into_inner().name {
            Some(Name::UserId(id)) => {
                let id = fields.take("user_id", UserId::new(id));
                self.issuer.user(&fields.all(id)?).await
            }
            Some(Name::Username(name)) => {
                let name = fields.take("username", Username::new(name));
                self.issuer.user_named(&fields.all(name)?).await
            }
            None => {
                fields.wrong("name", "is required: user_id or username");
                return fields.all(None);
            }
        };
        response(found.map_err(errors::status))
    }

    async fn list_users(
        &self,
        request: Request<v1::ListUsersRequest>,
    ) -> Result<Response<v1::ListUsersResponse>, Status> {
        let v1::ListUsersRequest {
            page_size,
            page_token,
        } = request.get_ref();
        let mut fields = Fields::default();
        let asked = PageRequest {
            size: *page_size,
            token: page_token,
        };
        let page = Page::parse(&mut fields, asked, "users", UserId::new);
        let page = fields.all(page)?;
        let found = self
            .issuer
            .users(page.after.as_ref(), page.limit())
            .await
            .map_err(errors::status)?;
        let (users, next_page_token) = page.cut(found, |last| last.id.as_str());
        Ok(Response::new(v1::ListUsersResponse {
            users: users.iter().map(user_message).collect(),
            next_page_token,
        }))
    }

    async fn set_password(
        &self,
        request: Request<v1::SetPasswordRequest>,
    ) -> Result<Response<v1::User>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::SetPasswordRequest { user_id, password } = request.into_inner();
        let mut fields = Fields::default();
        let id = fields.take("user_id", UserId::new(user_id));
        let password = fields.take("password", secret(password).ok_or("must not be empty"));
        let (id, password) = fields.all(id.zip(password))?;
        response(
            self.issuer
                .set_password(&id, &password, &actor)
                .await
                .map_err(errors::status),
        )
    }

    async fn disable_user(
        &self,
        request: Request<v1::DisableUserRequest>,
    ) -> Result<Response<v1::User>, Status> {
        let actor = gate::actor(request.extensions())?;
        let id = user_id_of(&request.get_ref().user_id)?;
        let disabled = self.issuer.disable_user(&id, &actor).await;
        response(disabled.map_err(errors::status))
    }

    async fn enable_user(
        &self,
        request: Request<v1::EnableUserRequest>,
    ) -> Result<Response<v1::User>, Status> {
        let actor = gate::actor(request.extensions())?;
        let id = user_id_of(&request.get_ref().user_id)?;
        let enabled = self.issuer.enable_user(&id, &actor).await;
        response(enabled.map_err(errors::status))
    }

    async fn delete_user(
        &self,
        request: Request<v1::DeleteUserRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::DeleteUserRequest { user_id, etag } = request.into_inner();
        let id = user_id_of(&user_id)?;
        let deleted = self
            .issuer
            .delete_user(&id, given(etag).as_deref(), &actor)
            .await;
        deleted.map(Response::new).map_err(errors::status)
    }
}

impl UserApi {
    pub(super) const fn new(issuer: Issuer) -> Self {
        Self { issuer }
    }
}

fn user_id_of(text: &str) -> Result<UserId, Status> {
    let mut fields = Fields::default();
    let id = fields.take("user_id", UserId::new(text));
    fields.all(id)
}

fn response(user: Result<User, Status>) -> Result<Response<v1::User>, Status> {
    user.map(|user| Response::new(user_message(&user)))
}
