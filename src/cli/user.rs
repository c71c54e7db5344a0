//! `sekisho user`: the accounts that may pass.

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use clap::{Args, Subcommand, ValueEnum};

use super::backend::Backend;
use super::import::Import;
use super::output::{self, Table, moment, moment_or_dash};
use super::{ConfigFile, Failure, Format, password};
use crate::authn::user::{DisplayName, Email, Group, LoginName, Method, Role};
use crate::control::{AccountFilter, AccountRow, AccountState, Changes, Command, NewAccount, PasswordText, Reply};

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add an account; asks for its password. The first one makes the store
    Add(Add),
    /// List accounts: all, or those that match every filter given
    List(List),
    /// Show one account
    Show(One),
    /// Change an account
    Set(Set),
    /// Give an account a new password; its sessions end
    Passwd(Passwd),
    /// Let an account in no longer; its sessions end at once
    Disable(One),
    /// Let a disabled account in again
    Enable(One),
    /// Lift the lock after too many wrong passwords or codes
    Unlock(One),
    /// Forget an account's second factor, devices and sessions; the next login sets it up anew
    ResetSecondFactor(One),
    /// Delete an account with everything that belongs to it
    Delete(One),
    /// Take over another gate's accounts with their passwords: from htpasswd, or Authelia's users file. The first ones make the store
    Import(Import),
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
struct Filter {
    /// An id or its beginning, or words that all stand in login, name or mail address
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// With this role
    #[arg(long, value_parser = role())]
    role: Option<Role>,
    /// In this group
    #[arg(long)]
    group: Option<Group>,
    /// With the account's own switch on, or off
    #[arg(long, value_name = "on|off")]
    second_factor: Option<Switch>,
    /// Whether one can sign in as them
    #[arg(long)]
    state: Option<State>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Active,
    Locked,
    Disabled,
}

impl From<Filter> for AccountFilter {
    fn from(filter: Filter) -> Self {
        let state = filter.state.map(|state| match state {
            State::Active => AccountState::Active,
            State::Locked => AccountState::Locked,
            State::Disabled => AccountState::Disabled,
        });
        Self {
            search: filter.search.unwrap_or_default(),
            role: filter.role,
            group: filter.group,
            second_factor: filter.second_factor.map(Switch::is_on),
            state,
        }
    }
}

#[derive(Debug, Args)]
pub struct Add {
    /// What the person types to sign in: letters, digits and . _ - @ +
    login: LoginName,
    #[command(flatten)]
    fields: Fields,
    /// Its role in sekisho itself
    #[arg(long, value_parser = role(), default_value = "user")]
    role: Role,
    /// The mail address
    #[arg(long)]
    email: Option<Email>,
    /// The password must be changed at the first login
    #[arg(long)]
    must_change: bool,
}

#[derive(Debug, Args)]
pub struct Set {
    /// The account's login or id
    #[arg(value_name = "LOGIN")]
    who: String,
    #[command(flatten)]
    fields: Fields,
    /// In no group any more
    #[arg(long, conflicts_with = "group")]
    no_groups: bool,
    /// Its role in sekisho itself
    #[arg(long, value_parser = role())]
    role: Option<Role>,
    /// The mail address; an empty one removes it
    #[arg(long, value_parser = email_or_nothing)]
    email: Option<String>,
    /// The password must be changed at the next login, or must not
    #[arg(long, value_name = "on|off", num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    must_change: Option<Switch>,
}

/// What `add` and `set` have in common.
#[derive(Debug, Args)]
struct Fields {
    /// The person's name, as pages show it and the tool is told it
    #[arg(long)]
    name: Option<DisplayName>,
    /// A group, as routes allow them; may be given several times (`set`: replaces all)
    #[arg(long, value_name = "GROUP")]
    group: Vec<Group>,
    /// By what the second factor is given: an authenticator app, or a code by mail
    #[arg(long, value_parser = method())]
    method: Option<Method>,
    /// The account's own switch; it counts where the policy is per_user
    #[arg(long, value_name = "on|off")]
    second_factor: Option<Switch>,
    /// Read the password from standard input instead of the terminal
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub struct Passwd {
    #[command(flatten)]
    one: One,
    /// Read the password from standard input instead of the terminal
    #[arg(long)]
    password_stdin: bool,
    /// It must be changed at the next login
    #[arg(long)]
    must_change: bool,
}

#[derive(Debug, Args)]
pub struct One {
    /// The account's login or id
    #[arg(value_name = "LOGIN")]
    who: String,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Switch {
    const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

pub(super) fn role() -> impl clap::builder::TypedValueParser<Value = Role> {
    PossibleValuesParser::new(["user", "viewer", "manager", "admin"]).try_map(|word| word.parse::<Role>())
}

pub(super) fn method() -> impl clap::builder::TypedValueParser<Value = Method> {
    PossibleValuesParser::new(["totp", "mail"]).try_map(|word| word.parse::<Method>())
}

fn email_or_nothing(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Ok(String::new()),
        text => text.parse::<Email>().map(String::from).map_err(|rule| rule.to_string()),
    }
}

pub fn run(command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add(add) => self::add(add),
        UserCommand::List(list) => self::list(list),
        UserCommand::Show(One { who, config, format }) => match Backend::ask(&config, Command::UserShow { who })? {
            Reply::Account(row) if format.json => output::json(&row),
            Reply::Account(row) => show(&row),
            other => Err(Backend::unexpected(&other)),
        },
        UserCommand::Set(set) => self::set(set),
        UserCommand::Passwd(passwd) => self::passwd(passwd),
        UserCommand::Disable(one) => act(&one, |who| Command::UserDisable { who }, "disabled"),
        UserCommand::Enable(one) => act(&one, |who| Command::UserEnable { who }, "enabled"),
        UserCommand::Unlock(one) => act(&one, |who| Command::UserUnlock { who }, "unlocked"),
        UserCommand::ResetSecondFactor(one) => {
            act(&one, |who| Command::UserResetSecondFactor { who }, "has to set up the second factor anew")
        }
        UserCommand::Import(import) => import.run(),
        UserCommand::Delete(one) => act(&one, |who| Command::UserDelete { who }, "deleted"),
    }
}

fn add(Add { login, fields, role, email, must_change }: Add) -> Result<(), Failure> {
    let backend = Backend::open_or_create(&fields.config)?;
    let password = password::read(login.as_str(), fields.password_stdin)?;
    let new = NewAccount {
        login,
        name: fields.name.unwrap_or_default(),
        email,
        groups: fields.group,
        role,
        method: fields.method,
        second_factor: fields.second_factor.map(Switch::is_on),
        password: Some(PasswordText(password)),
        must_change,
    };
    done(backend.reply(Command::UserAdd(new))?, "", fields.format, "added")
}

fn set(Set { who, fields, no_groups, role, email, must_change }: Set) -> Result<(), Failure> {
    let backend = Backend::open(&fields.config)?;
    let password = match fields.password_stdin {
        true => Some(PasswordText(password::read(&who, true)?)),
        false => None,
    };
    let changes = Changes {
        name: fields.name,
        email,
        groups: (no_groups || !fields.group.is_empty()).then_some(fields.group),
        role,
        method: fields.method,
        second_factor: fields.second_factor.map(Switch::is_on),
        password,
        must_change: must_change.map(Switch::is_on),
    };
    let reply = backend.reply(Command::UserSet { who: who.clone(), changes })?;
    done(reply, &who, fields.format, "changed")
}

fn passwd(Passwd { one: One { who, config, format }, password_stdin, must_change }: Passwd) -> Result<(), Failure> {
    let backend = Backend::open(&config)?;
    // A mistyped login is told before anybody types a password twice.
    backend.reply(Command::UserShow { who: who.clone() })?;
    let password = Some(PasswordText(password::read(&who, password_stdin)?));
    let changes = Changes { password, must_change: Some(must_change), ..Changes::default() };
    let reply = backend.reply(Command::UserSet { who: who.clone(), changes })?;
    done(reply, &who, format, "has a new password")
}

fn act(one: &One, command: impl FnOnce(String) -> Command, deed: &str) -> Result<(), Failure> {
    let reply = Backend::ask(&one.config, command(one.who.clone()))?;
    done(reply, &one.who, one.format, deed)
}

fn done(reply: Reply, who: &str, format: Format, deed: &str) -> Result<(), Failure> {
    match reply {
        Reply::Account(row) if format.json => output::json(&row),
        Reply::Account(row) => output::line(format_args!("{} {deed}", row.login)),
        Reply::Done if format.json => output::json(&serde_json::json!({ "login": who })),
        Reply::Done => output::line(format_args!("{who} {deed}")),
        other => Err(Backend::unexpected(&other)),
    }
}

fn list(List { filter, config, format }: List) -> Result<(), Failure> {
    let filter = AccountFilter::from(filter);
    let whole = filter == AccountFilter::default();
    match Backend::ask(&config, Command::UserList(filter))? {
        Reply::Accounts(rows) if format.json => output::json(&rows),
        Reply::Accounts(rows) => table(rows, whole),
        other => Err(Backend::unexpected(&other)),
    }
}

/// `whole`: these are all accounts there are.
fn table(rows: Vec<AccountRow>, whole: bool) -> Result<(), Failure> {
    let can_sign_in = |row: &&AccountRow| row.role == Role::Admin && !row.disabled && row.password_set;
    let admins = rows.iter().filter(can_sign_in).count();
    let mut table =
        Table::new(&["ID", "LOGIN", "NAME", "MAIL", "ROLE", "GROUPS", "SECOND FACTOR", "LAST LOGIN (UTC)", "STATE"]);
    for row in rows {
        let (factor, state) = (second_factor(&row), state(&row));
        table.row([
            row.id,
            row.login,
            row.name,
            row.email.unwrap_or_else(|| "-".into()),
            row.role.to_string(),
            row.groups.join(","),
            factor,
            moment_or_dash(row.last_login.as_deref()),
            state,
        ]);
    }
    table.print()?;
    // F28, on standard error: the list itself stays a list.
    match admins {
        _ if !whole => {}
        0 => output::complain("no administrator can sign in; `sekisho user set LOGIN --role admin` makes one\n"),
        1 => output::complain(
            "only one administrator can sign in; `sekisho user set LOGIN --role admin` makes a second one\n",
        ),
        _ => {}
    }
    Ok(())
}

fn show(row: &AccountRow) -> Result<(), Failure> {
    let password = match (row.password_set, row.must_change_password) {
        (false, _) => "none: nobody can sign in",
        (true, false) => "set",
        (true, true) => "set, must be changed at the next login",
    };
    output::print(&output::fields(&[
        ("id", row.id.clone()),
        ("login", row.login.clone()),
        ("name", row.name.clone()),
        ("mail", row.email.clone().unwrap_or_else(|| "-".into())),
        ("role", row.role.to_string()),
        ("groups", if row.groups.is_empty() { "-".into() } else { row.groups.join(", ") }),
        ("second factor", second_factor(row)),
        ("recovery codes", recovery_codes(row)),
        ("password", password.into()),
        ("state", state(row)),
        ("last login (UTC)", moment_or_dash(row.last_login.as_deref())),
        ("registered (UTC)", moment(&row.registered_at)),
    ]))
}

fn second_factor(row: &AccountRow) -> String {
    let factor = &row.second_factor;
    let switch = if factor.switched_on { "on" } else { "off" };
    let enrolled = match factor.method {
        Method::Totp if factor.enrolled => ", enrolled",
        Method::Totp => ", not enrolled",
        Method::Mail => "",
    };
    format!("{switch}, {}{enrolled}", factor.method)
}

fn recovery_codes(row: &AccountRow) -> String {
    row.second_factor.recovery_codes_left.map_or_else(|| "-".into(), |left| format!("{left} left"))
}

fn state(row: &AccountRow) -> String {
    match (row.disabled, row.locked_until.as_deref()) {
        (true, _) => "disabled".into(),
        (false, Some(until)) => format!("locked until {}", moment(until)),
        (false, None) => "active".into(),
    }
}
