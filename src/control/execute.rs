//! Carries out a command: the same function for the socket's server and for a command line that has the store to itself.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::protocol::{
    AccountFilter, AccountRow, AccountState, Changes, Command, DeviceRow, ForeignAccount, NewAccount, PasswordText,
    Reply, SecondFactorRow, SessionRow, Taken, TokenRow, ToolLoginRow,
};
use crate::authn::machine_token::MachineToken;
use crate::authn::password::{ForeignHash, Unusable};
use crate::authn::recovery_code::RecoverySet;
use crate::authn::tool_login::Part;
use crate::authn::user::{Email, LoginName};
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::secret::ExposeSecret;
use crate::service::actor::Actor;
use crate::service::care::{Listener, Piece};
use crate::service::devices::{DeviceView, Forgotten};
use crate::service::directory::{Filter, Query, Sort, State};
use crate::service::history::EventRow;
use crate::service::import::foreign;
use crate::service::session::SessionView;
use crate::service::tokens::{self, NewToken};
use crate::service::tool_logins::{self, StoredView};
use crate::service::users::{NewUser, Rejection, UserChange, UserView};
use crate::service::{ServiceError, Services};

/// Who acts.
const ACTOR: &Actor = &Actor::CommandLine;

/// How many events come at once; so many of the longest fit into a frame.
const EVENTS: usize = 200;
/// How long somebody who follows waits for an answer without news.
const FOLLOWED_FOR: Duration = Duration::from_secs(20);

/// Where what comes before a reply goes.
pub type Pieces = mpsc::Sender<Reply>;

/// Does what `command` asks. Reads the clock once.
pub async fn execute(services: &Services, command: Command, pieces: &Pieces) -> Reply {
    let now = services.clock.now();
    let reply = match care(services, &command, &Sent(pieces)).await {
        Some(reply) => reply,
        None => carry_out(services, command, now).await,
    };
    reply.unwrap_or_else(|error| Reply::Failed { reason: error.to_string() })
}

/// What takes long, and is told of on the way; `None`: it is none of that.
async fn care(services: &Services, command: &Command, to: &Sent<'_>) -> Option<Result<Reply, ServiceError>> {
    let care = &services.care;
    Some(match command {
        Command::StoreExport => care.export(to).await.map(Reply::Exported),
        Command::StoreVerify => care.verify(to).await.map(Reply::Verified),
        Command::StoreSweep => care.sweep().await.map(Reply::Swept),
        Command::StoreNodes => care.nodes().await.map(Reply::Nodes),
        Command::KeysTake => Ok(match care.take_keys(true) {
            Ok(()) => Reply::Done,
            Err(rule) => Reply::Refused { reason: rule, hint: None },
        }),
        Command::KeysSealAnew => match care.take_keys(false) {
            Ok(()) => care.seal_anew(to).await.map(Reply::SealedAnew),
            Err(rule) => Ok(Reply::Refused { reason: rule, hint: None }),
        },
        _ => return None,
    })
}

/// Sends on what it hears.
struct Sent<'p>(&'p Pieces);

#[async_trait]
impl Listener for Sent<'_> {
    async fn hear(&self, piece: Piece) {
        let piece = match piece {
            Piece::Progress { done, total } => Reply::Progress { done, total },
            Piece::Lines(lines) => Reply::Lines(lines),
            Piece::Problems(problems) => Reply::Problems(problems),
        };
        // Where nobody takes it any more, the whole command is soon given up.
        let _ = self.0.send(piece).await;
    }
}

async fn carry_out(services: &Services, command: Command, now: Timestamp) -> Result<Reply, ServiceError> {
    let users = &services.users;
    Ok(match command {
        Command::UserAdd(new) => account(users.add(new_user(new), ACTOR, now).await?),
        Command::UserList(filter) => {
            let ids = services.directory.ids(&everybody(filter), now).await?;
            Reply::Accounts(users.these(&ids, now).await?.iter().map(account_row).collect())
        }
        Command::UserShow { who } => account(users.show(&who, now).await?),
        Command::UserSet { who, changes } => match user_change(changes) {
            Ok(change) => account(users.set(&who, change, ACTOR, now).await?),
            Err(refusal) => refusal,
        },
        Command::UserDisable { who } => account(users.set_disabled(&who, true, ACTOR, now).await?),
        Command::UserEnable { who } => account(users.set_disabled(&who, false, ACTOR, now).await?),
        Command::UserUnlock { who } => account(users.unlock(&who, ACTOR, now).await?),
        Command::UserResetSecondFactor { who } => account(users.reset_second_factor(&who, ACTOR, now).await?),
        Command::UserDelete { who } => match users.delete(&who, ACTOR, now).await? {
            Ok(()) => Reply::Done,
            Err(rejection) => refused(&rejection),
        },
        Command::UserImport { accounts, rehearsal } => {
            match accounts.into_iter().map(foreign_user).collect::<Result<Vec<_>, _>>() {
                Ok(accounts) => {
                    let taken = services.imports.take_over(accounts, rehearsal, ACTOR, now).await?;
                    Reply::Taken(taken.into_iter().map(taken_row).collect())
                }
                Err(reason) => Reply::Refused { reason: reason.to_string(), hint: None },
            }
        }
        Command::SessionList { who: None } => sessions(&services.sessions.list(None, now).await?),
        Command::SessionList { who: Some(who) } => match users.show(&who, now).await? {
            Ok(view) => sessions(&services.sessions.list(Some(view.user.id), now).await?),
            Err(rejection) => refused(&rejection),
        },
        Command::SessionEnd { id } => match services.sessions.end_by_id(id, ACTOR, now).await? {
            Ok(true) => Reply::Ended(1),
            Ok(false) => Reply::Refused {
                reason: format!("there is no session {id}"),
                hint: Some("`sekisho session list` shows the ids of those that live".into()),
            },
            Err(rejection) => refused(&rejection),
        },
        Command::AuditSearch { filter, seek } => {
            let page = services.history.search(&filter, &seek, EVENTS, now).await?;
            Reply::Events { rows: page.events.iter().map(EventRow::from).collect(), next: page.next }
        }
        Command::AuditFollow { filter, place } => {
            let place = place.unwrap_or_else(|| services.history.place());
            let followed = services.history.follow(place, FOLLOWED_FOR).await;
            let rows = followed.events.iter().filter(|event| filter.wants_now(event)).map(EventRow::from).collect();
            Reply::Followed { rows, place: followed.place, missed: followed.missed }
        }
        Command::SessionEndAll { who } => match users.show(&who, now).await? {
            Ok(view) => match services.sessions.end_all_of(view.user.id, ACTOR, now).await? {
                Ok(ended) => Reply::Ended(ended),
                Err(rejection) => refused(&rejection),
            },
            Err(rejection) => refused(&rejection),
        },
        Command::DeviceList { who: None } => devices(&services.devices.list_all(now).await?),
        Command::DeviceList { who: Some(who) } => match users.show(&who, now).await? {
            Ok(view) => devices(&services.devices.list(view.user.id, now).await?),
            Err(rejection) => refused(&rejection),
        },
        Command::DeviceForget { id } => match services.devices.forget(id, ACTOR, now).await? {
            Ok(Some(forgotten)) => self::forgotten(forgotten),
            Ok(None) => Reply::Refused {
                reason: format!("there is no device {id}"),
                hint: Some("`sekisho device list` shows the ids of those that are known".into()),
            },
            Err(rejection) => refused(&rejection),
        },
        Command::TokenAdd { name, routes, lifetime_s } => {
            let lifetime = Duration::from_secs(lifetime_s);
            let new = NewToken { name, routes: routes.into_iter().collect(), lifetime };
            match services.tokens.add(new, now).await? {
                Ok(added) => Reply::Token { row: Box::new(token_row(&added.token)), value: PasswordText(added.value) },
                Err(rejection) => {
                    let hint = matches!(rejection, tokens::Rejection::UnknownRoute(_));
                    let hint = hint.then(|| format!("the routes are: {}", route_names(services)));
                    Reply::Refused { reason: rejection.to_string(), hint }
                }
            }
        }
        Command::TokenList => Reply::Tokens(services.tokens.list(now).await?.iter().map(token_row).collect()),
        Command::TokenRevoke { id } => match services.tokens.revoke(id, now).await? {
            true => Reply::Done,
            false => Reply::Refused {
                reason: format!("there is no token {id}"),
                hint: Some("`sekisho token list` shows the ids of those that are good".into()),
            },
        },
        Command::ToolLoginList { who } => {
            let views = match who {
                None => users.list(now).await?,
                Some(who) => match users.show(&who, now).await? {
                    Ok(view) => vec![view],
                    Err(rejection) => return Ok(refused(&rejection)),
                },
            };
            let logins: BTreeMap<UserId, &LoginName> =
                views.iter().map(|view| (view.user.id, &view.user.login)).collect();
            let ids: Vec<UserId> = views.iter().map(|view| view.user.id).collect();
            let stored = services.tool_logins.stored(&ids, now).await?;
            let row = |stored: &StoredView| Some(tool_login_row(logins.get(&stored.user)?, stored));
            Reply::ToolLogins(stored.iter().filter_map(row).collect())
        }
        Command::ToolLoginSet { who, route, username, secret } => match users.show(&who, now).await? {
            Ok(view) => {
                let tools = &services.tool_logins;
                tool_login(tools.set(view.user.id, &route, &username, secret.0, ACTOR, now).await?, &route)
            }
            Err(rejection) => refused(&rejection),
        },
        Command::ToolLoginForget { who, route } => match users.show(&who, now).await? {
            Ok(view) => match services.tool_logins.forget(view.user.id, &route, ACTOR, now).await? {
                Err(tool_logins::Refused::NoSuchTool) => Reply::Refused {
                    reason: format!("nothing is stored for {} and the route {route}", view.user.login),
                    hint: Some("`sekisho tool-login list` shows what is".into()),
                },
                outcome => tool_login(outcome, &route),
            },
            Err(rejection) => refused(&rejection),
        },
        // Done already, in `care`.
        Command::StoreExport
        | Command::StoreVerify
        | Command::StoreSweep
        | Command::StoreNodes
        | Command::KeysTake
        | Command::KeysSealAnew => Reply::Done,
        Command::Operate(_) => Reply::Refused {
            reason: "no gateway runs with this configuration".into(),
            hint: Some("`sekisho serve` starts one".into()),
        },
        Command::DeviceForgetAll { who } => match users.show(&who, now).await? {
            Ok(view) => match services.devices.forget_all(view.user.id, ACTOR, now).await? {
                Ok(forgotten) => self::forgotten(forgotten),
                Err(rejection) => refused(&rejection),
            },
            Err(rejection) => refused(&rejection),
        },
    })
}

fn tool_login(outcome: Result<(), tool_logins::Refused>, route: &str) -> Reply {
    let (reason, hint) = match outcome {
        Ok(()) => return Reply::Done,
        Err(tool_logins::Refused::Rejection(rejection)) => return refused(&rejection),
        Err(tool_logins::Refused::NoSuchTool) => (
            format!("no route {route} asks each account for its own"),
            Some("in the configuration, `upstream_auth` with `per_account: true` does".into()),
        ),
        Err(tool_logins::Refused::Unusable(Part::Name, why)) => {
            (format!("the name {why}"), Some("--username NAME".into()))
        }
        Err(tool_logins::Refused::Unusable(Part::Secret, why)) => (format!("the password or token {why}"), None),
    };
    Reply::Refused { reason, hint }
}

fn tool_login_row(login: &LoginName, stored: &StoredView) -> ToolLoginRow {
    ToolLoginRow {
        user_id: stored.user.to_string(),
        login: login.to_string(),
        route: stored.route.clone(),
        changed_at: stored.changed_at.to_string(),
    }
}

fn new_user(new: NewAccount) -> NewUser {
    NewUser {
        login: new.login,
        name: new.name,
        email: new.email,
        groups: new.groups.into_iter().collect(),
        role: new.role,
        method: new.method,
        second_factor: new.second_factor,
        password: new.password.map(|text| text.0),
        must_change: new.must_change,
        hash: None,
        disabled: false,
    }
}

fn foreign_user(account: ForeignAccount) -> Result<NewUser, Unusable> {
    Ok(NewUser {
        login: account.login,
        name: account.name,
        email: account.email,
        groups: account.groups.into_iter().collect(),
        role: account.role,
        method: account.method,
        second_factor: None,
        password: None,
        hash: Some(ForeignHash::parse(account.hash.0.expose_secret())?),
        must_change: false,
        disabled: account.disabled,
    })
}

fn taken_row(taken: foreign::Taken) -> Taken {
    match taken {
        foreign::Taken::Added => Taken::Added,
        foreign::Taken::Exists => Taken::Exists,
        foreign::Taken::Refused(reason) => Taken::Refused(reason),
    }
}

fn user_change(changes: Changes) -> Result<UserChange, Reply> {
    let email = match changes.email.as_deref() {
        None => None,
        Some("") => Some(None),
        Some(text) => match text.parse::<Email>() {
            Ok(email) => Some(Some(email)),
            Err(rule) => return Err(Reply::Refused { reason: format!("the mail address {rule}"), hint: None }),
        },
    };
    Ok(UserChange {
        login: None,
        made_from: None,
        name: changes.name,
        email,
        groups: changes.groups.map(|groups| groups.into_iter().collect()),
        role: changes.role,
        method: changes.method,
        second_factor: changes.second_factor,
        password: changes.password.map(|text| text.0),
        must_change: changes.must_change,
    })
}

fn account(outcome: Result<UserView, Rejection>) -> Reply {
    match outcome {
        Ok(view) => Reply::Account(Box::new(account_row(&view))),
        Err(rejection) => refused(&rejection),
    }
}

fn refused(rejection: &Rejection) -> Reply {
    let hint = match rejection {
        Rejection::LoginTaken(login) => Some(format!("`sekisho user set {login}` changes it")),
        Rejection::NoSuchUser(_) => Some("`sekisho user list` shows those there are".into()),
        Rejection::MailWithoutAddress => Some("give one with --email".into()),
        Rejection::WeakPassword(_) => Some("`password` in the configuration says what is asked for".into()),
        Rejection::LastAdmin(_) => Some("`sekisho user set LOGIN --role admin` makes another one".into()),
        Rejection::MailNotConfigured => Some("`config/example.yaml` shows `mail`; or use --method totp".into()),
        Rejection::NoAddress(login) => Some(format!("`sekisho user set {login} --email ADDRESS` gives it one")),
        Rejection::Disabled(login) => Some(format!("`sekisho user enable {login}` lets it in again")),
        Rejection::TooManyMails(_) => None,
        Rejection::OwnerSwitchesOn => Some("leave --second-factor out, or change the setting".into()),
        // What the command line never meets: it is bound by no role, and fills in no form.
        Rejection::Forbidden
        | Rejection::Oneself
        | Rejection::GroupNotHeld(_)
        | Rejection::LoginNamedByRoute(_)
        | Rejection::AddressOutOfReach
        | Rejection::ChangedMeanwhile => None,
    };
    Reply::Refused { reason: rejection.to_string(), hint }
}

/// All who match, by login.
fn everybody(filter: AccountFilter) -> Query {
    let state = filter.state.map(|state| match state {
        AccountState::Active => State::Active,
        AccountState::Locked => State::Locked,
        AccountState::Disabled => State::Disabled,
    });
    let filter = Filter {
        text: filter.search,
        role: filter.role,
        group: filter.group,
        switched_on: filter.second_factor,
        state,
        ..Filter::default()
    };
    Query { filter, sort: Sort::default(), page: 0, per_page: usize::MAX }
}

fn account_row(view: &UserView) -> AccountRow {
    let user = &view.user;
    AccountRow {
        id: user.id.to_string(),
        login: user.login.to_string(),
        name: user.name.to_string(),
        email: user.email.as_ref().map(ToString::to_string),
        role: user.role,
        groups: user.groups.iter().map(ToString::to_string).collect(),
        second_factor: SecondFactorRow {
            switched_on: user.second_factor.switched_on,
            method: user.second_factor.method,
            enrolled: user.second_factor.totp.is_some(),
            recovery_codes_left: user.second_factor.recovery.as_ref().map(RecoverySet::left),
        },
        last_login: user.last_login.map(|at| at.to_string()),
        registered_at: user.registered_at.to_string(),
        disabled: user.disabled,
        locked_until: view.locked_until.map(|at| at.to_string()),
        password_set: user.password.is_some(),
        must_change_password: user.password.as_ref().is_some_and(|password| password.must_change),
    }
}

fn sessions(views: &[SessionView]) -> Reply {
    let row = |SessionView { session, login, .. }: &SessionView| SessionRow {
        id: session.id.to_string(),
        user_id: session.user.to_string(),
        login: login.clone(),
        address: session.client.address.clone(),
        user_agent: session.client.user_agent.clone(),
        created_at: session.created_at.to_string(),
        last_seen: session.last_seen.to_string(),
        expires_at: session.expires_at.to_string(),
        second_factor_at: session.second_factor_at.map(|at| at.to_string()),
        hosts: session.elsewhere.hosts.iter().map(|seat| seat.host.clone()).collect(),
    };
    Reply::Sessions(views.iter().map(row).collect())
}

fn devices(views: &[DeviceView]) -> Reply {
    let row = |DeviceView { device, login }: &DeviceView| DeviceRow {
        id: device.id.to_string(),
        user_id: device.user.to_string(),
        login: login.clone(),
        address: device.client.address.clone(),
        user_agent: device.client.user_agent.clone(),
        first_seen: device.first_seen.to_string(),
        last_seen: device.last_seen.to_string(),
        second_factor_at: device.second_factor_at.to_string(),
        remembered: device.spares,
    };
    Reply::Devices(views.iter().map(row).collect())
}

fn token_row(token: &MachineToken) -> TokenRow {
    TokenRow {
        id: token.id.to_string(),
        name: token.name.to_string(),
        routes: token.routes.iter().cloned().collect(),
        created_at: token.created_at.to_string(),
        expires_at: token.expires_at.to_string(),
        last_used: token.last_used.map(|at| at.to_string()),
        last_address: token.last_address.clone(),
    }
}

fn route_names(services: &Services) -> String {
    services.config.load().routes.iter().map(|(_, route)| route.name.clone()).collect::<Vec<_>>().join(", ")
}

const fn forgotten(forgotten: Forgotten) -> Reply {
    Reply::Forgotten { devices: forgotten.devices, sessions: forgotten.sessions }
}
