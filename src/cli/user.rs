//! `countersign user`: the users in Countersign's own store.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Subcommand};
use countersign::v1;
use countersign::v1::user_service_client::UserServiceClient;

use super::client::{AdminArgs, AdminChannel, refused};
use super::confirm::Confirmation;
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
    /// Create a user
    Create(CreateArgs),
    /// Show a user
    Get(UserSelector),
    /// List all users
    List(Paging),
    /// Set a new password and end the user's sessions; tokens stay valid
    SetPassword(SetPasswordArgs),
    /// Disable a user: deny logins of the user and requests with the user's tokens
    Disable(UserIdArg),
    /// Enable a disabled user
    Enable(UserIdArg),
    /// Delete a user and revoke the user's tokens permanently
    Delete(DeleteArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Name that the user logs in with
    #[arg(long, value_name = "NAME")]
    username: String,
    /// Id, which upstreams read as x-authenticated-userid [default: a random id]
    #[arg(
        long,
        value_name = "USER",
        default_value = "",
        hide_default_value = true
    )]
    user_id: String,
    /// File with the password, - for standard input [default: none, the user cannot log in]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct SetPasswordArgs {
    #[command(flatten)]
    user: UserIdArg,
    /// File with the new password, - for standard input
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    #[command(flatten)]
    user: UserIdArg,
    /// Fail unless the user still has this etag [default: delete any state]
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Show the user, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Debug, clap::Args)]
struct UserIdArg {
    /// Id of the user
    user_id: String,
}

/// A user by id or by username.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("name").required(true)))]
struct UserSelector {
    /// Id of the user
    #[arg(group = "name")]
    user_id: Option<String>,
    /// Name that the user logs in with, instead of the id
    #[arg(long, value_name = "NAME", group = "name")]
    username: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { admin, command } = args;
    match command {
        Command::Create(args) => create(&admin, args).await?,
        Command::Get(user) => get(&admin, user).await?,
        Command::List(paging) => list(&admin, &paging).await?,
        Command::SetPassword(args) => set_password(&admin, args).await?,
        Command::Disable(user) => disable(&admin, user).await?,
        Command::Enable(user) => enable(&admin, user).await?,
        Command::Delete(args) => delete(&admin, args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(admin: &AdminArgs, args: CreateArgs) -> anyhow::Result<()> {
    let request = args.into_request()?;
    let answer = connect(admin).await?.create_user(request).await;
    show(admin.output, answer)
}

async fn get(admin: &AdminArgs, user: UserSelector) -> anyhow::Result<()> {
    let request = user.into_request();
    let answer = connect(admin).await?.get_user(request).await;
    show(admin.output, answer)
}

async fn list(admin: &AdminArgs, paging: &Paging) -> anyhow::Result<()> {
    let client = connect(admin).await?;
    let page = async |page_size, page_token| {
        let request = v1::ListUsersRequest {
            page_size,
            page_token,
        };
        let answer = client.clone().list_users(request).await;
        let page = answer.map_err(refused)?.into_inner();
        Ok((page.users, page.next_page_token))
    };
    let users = List::new(admin.output, &COLUMNS, output::stdout());
    paging.print(users, page, row).await
}

async fn set_password(admin: &AdminArgs, args: SetPasswordArgs) -> anyhow::Result<()> {
    let request = v1::SetPasswordRequest {
        user_id: args.user.user_id,
        password: password(Some(&args.password_file))?,
    };
    let answer = connect(admin).await?.set_password(request).await;
    show(admin.output, answer)
}

async fn disable(admin: &AdminArgs, user: UserIdArg) -> anyhow::Result<()> {
    let request = v1::DisableUserRequest {
        user_id: user.user_id,
    };
    let answer = connect(admin).await?.disable_user(request).await;
    show(admin.output, answer)
}

async fn enable(admin: &AdminArgs, user: UserIdArg) -> anyhow::Result<()> {
    let request = v1::EnableUserRequest {
        user_id: user.user_id,
    };
    let answer = connect(admin).await?.enable_user(request).await;
    show(admin.output, answer)
}

async fn delete(admin: &AdminArgs, args: DeleteArgs) -> anyhow::Result<()> {
    let must_show = args.dry_run || args.confirmation.must_ask(DELETION)?;
    let mut client = connect(admin).await?;
    let user_id = args.user.user_id;
    if must_show {
        let name = v1::get_user_request::Name::UserId(user_id.clone());
        let found = client
            .get_user(v1::GetUserRequest { name: Some(name) })
            .await;
        if args.dry_run {
            output::note("dry run: would delete this user; nothing was changed");
            return show(admin.output, found);
        }
        let username = found.map_err(refused)?.into_inner().username;
        let question = format!(
            "Delete the user {user_id} ({username}) and revoke the user's tokens permanently?"
        );
        args.confirmation.ask(DELETION, &question)?;
    }
    let etag = args.etag;
    let request = v1::DeleteUserRequest { user_id, etag };
    client.delete_user(request).await.map_err(refused)?;
    output::done(admin.output, "deleted")
}

async fn connect(admin: &AdminArgs) -> anyhow::Result<UserServiceClient<AdminChannel>> {
    Ok(UserServiceClient::new(admin.connect().await?))
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

/// Reads the password in a file; without a file it is empty.
fn password(file: Option<&Path>) -> anyhow::Result<String> {
    let password = secret_input::read(None, file, "--password")?;
    secret_input::text(password.as_ref())
}

// === impl CreateArgs ===

impl CreateArgs {
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

// === impl UserSelector ===

impl UserSelector {
    fn into_request(self) -> v1::GetUserRequest {
        use v1::get_user_request::Name;
        let user_id = self.user_id.map(Name::UserId);
        let name = user_id.or_else(|| self.username.map(Name::Username));
        v1::GetUserRequest { name }
    }
}

const COLUMNS: [&str; 5] = ["USER ID", "USERNAME", "STATUS", "PASSWORD", "CREATED"];

/// The change that `delete` confirms.
const DELETION: &str = "the deletion of a user";
