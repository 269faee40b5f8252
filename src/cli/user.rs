//! `countersign user`: the users whom Countersign knows by itself.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Subcommand};
use countersign::v1;
use countersign::v1::user_service_client::UserServiceClient;

use super::client::{AdminArgs, AdminChannel, refused};
use super::output::{self, Field, Format, List};
use super::paging::Paging;
use super::secret_input;

/// The arguments of `countersign user`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates a user
    Create(Create),
    /// Shows a user
    Get(Named),
    /// Lists all users
    List(Paging),
    /// Gives a user a new password, and ends the user's log-ins; tokens stay as they are
    SetPassword {
        #[command(flatten)]
        user: Id,
        /// A file with the new password; - is standard input
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
    /// Refuses a user's tokens and log-in
    Disable(Id),
    /// Lets a disabled user's tokens and log-in be used again
    Enable(Id),
    /// Deletes a user and revokes the user's tokens for good
    Delete {
        #[command(flatten)]
        user: Id,
        /// Refuses if the user was changed since it had this etag
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The name that the user logs in with
    #[arg(long, value_name = "NAME")]
    username: String,
    /// The id, which upstreams read as x-authenticated-userid [default: a new one]
    #[arg(
        long,
        value_name = "USER",
        default_value = "",
        hide_default_value = true
    )]
    user_id: String,
    /// A file with the password; - is standard input [default: none, so that the user can not log in]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// A user, named by id.
#[derive(Debug, clap::Args)]
struct Id {
    /// The user's id
    user_id: String,
}

/// A user, named by id or username.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("name").required(true)))]
struct Named {
    /// The user's id
    #[arg(group = "name")]
    user_id: Option<String>,
    /// The name that the user logs in with
    #[arg(long, value_name = "NAME", group = "name")]
    username: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { admin, command } = args;
    let output = admin.output;
    match command {
        Command::Create(create) => {
            let request = create.into_request()?;
            show(output, connect(&admin).await?.create_user(request).await)?;
        }
        Command::Get(named) => {
            let request = named.into_request();
            show(output, connect(&admin).await?.get_user(request).await)?;
        }
        Command::List(paging) => list(connect(&admin).await?, &paging, output).await?,
        Command::SetPassword {
            user,
            password_file,
        } => {
            let password = password(Some(&password_file))?;
            let request = v1::SetPasswordRequest {
                user_id: user.user_id,
                password,
            };
            show(output, connect(&admin).await?.set_password(request).await)?;
        }
        Command::Disable(user) => {
            let request = v1::DisableUserRequest {
                user_id: user.user_id,
            };
            show(output, connect(&admin).await?.disable_user(request).await)?;
        }
        Command::Enable(user) => {
            let request = v1::EnableUserRequest {
                user_id: user.user_id,
            };
            show(output, connect(&admin).await?.enable_user(request).await)?;
        }
        Command::Delete { user, etag } => {
            let request = v1::DeleteUserRequest {
                user_id: user.user_id,
                etag,
            };
            connect(&admin)
                .await?
                .delete_user(request)
                .await
                .map_err(refused)?;
            output::done(output, "deleted")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn connect(admin: &AdminArgs) -> anyhow::Result<UserServiceClient<AdminChannel>> {
    Ok(UserServiceClient::new(admin.connect().await?))
}

async fn list(
    client: UserServiceClient<AdminChannel>,
    paging: &Paging,
    output: Format,
) -> anyhow::Result<()> {
    let page = async |page_size, page_token| {
        let request = v1::ListUsersRequest {
            page_size,
            page_token,
        };
        let page = client
            .clone()
            .list_users(request)
            .await
            .map_err(refused)?
            .into_inner();
        Ok((page.users, page.next_page_token))
    };
    paging
        .print(List::new(output, &COLUMNS, io::stdout()), page, row)
        .await
}

fn show(
    output: Format,
    answer: Result<tonic::Response<v1::User>, tonic::Status>,
) -> anyhow::Result<()> {
    let user = answer.map_err(refused)?.into_inner();
    output::record(output, &user, &fields(&user))
}

fn fields(user: &v1::User) -> Vec<Field> {
    vec![
        ("user id", user.user_id.clone()),
        ("username", user.username.clone()),
        ("status", status(user).to_owned()),
        ("password", password_word(user).to_owned()),
        ("created", output::time(user.create_time)),
        ("changed", output::time(user.update_time)),
    ]
}

fn row(user: &v1::User) -> Vec<String> {
    vec![
        user.user_id.clone(),
        user.username.clone(),
        status(user).to_owned(),
        password_word(user).to_owned(),
        output::time(user.create_time),
    ]
}

fn status(user: &v1::User) -> &'static str {
    match user.status() {
        v1::UserStatus::Unspecified => "unknown",
        v1::UserStatus::Active => "active",
        v1::UserStatus::Disabled => "disabled",
    }
}

const fn password_word(user: &v1::User) -> &'static str {
    if user.has_password { "yes" } else { "no" }
}

/// The password in a file, or the empty one where there is no file.
fn password(file: Option<&Path>) -> anyhow::Result<String> {
    secret_input::text(secret_input::read(None, file, "--password-file")?.as_ref())
}

// === impl Create ===

impl Create {
    fn into_request(self) -> anyhow::Result<v1::CreateUserRequest> {
        let password = password(self.password_file.as_deref())?;
        let user = v1::User {
            user_id: self.user_id,
            username: self.username,
            ..v1::User::default()
        };
        Ok(v1::CreateUserRequest {
            user: Some(user),
            password,
        })
    }
}

// === impl Named ===

impl Named {
    fn into_request(self) -> v1::GetUserRequest {
        use v1::get_user_request::Name;
        let name = self
            .user_id
            .map(Name::UserId)
            .or_else(|| self.username.map(Name::Username));
        v1::GetUserRequest { name }
    }
}

const COLUMNS: [&str; 5] = ["USER ID", "USERNAME", "STATUS", "PASSWORD", "CREATED"];
