//! What can be asked over the control socket, what comes back, and how both stand in a frame.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{MAX_FRAME, Operation, VERSION};
use crate::authn::machine_token::TokenName;
use crate::authn::user::{DisplayName, Email, Group, LoginName, Method, Role};
use crate::config::Diagnostic;
use crate::id::{DeviceId, SessionId, TokenId};
use crate::secret::{ExposeSecret, SecretString};
use crate::service::care::{NodeView, Problem, SealedAnew, Verified};
use crate::service::history::{Cursor, EventRow, Filter, Seek};

/// What is asked. `who` is a login or an account's id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    UserAdd(NewAccount),
    /// Those whom the filter means.
    UserList(AccountFilter),
    UserShow {
        who: String,
    },
    UserSet {
        who: String,
        changes: Changes,
    },
    UserDisable {
        who: String,
    },
    UserEnable {
        who: String,
    },
    UserUnlock {
        who: String,
    },
    UserResetSecondFactor {
        who: String,
    },
    UserDelete {
        who: String,
    },
    /// Accounts of another gate's list; the reply has a row for each, in the same order.
    UserImport {
        accounts: Vec<ForeignAccount>,
        rehearsal: bool,
    },
    SessionList {
        who: Option<String>,
    },
    SessionEnd {
        id: SessionId,
    },
    SessionEndAll {
        who: String,
    },
    AuditSearch {
        filter: Filter,
        seek: Seek,
    },
    /// What was committed after `place`, as soon as there is something; `None`: from now on.
    AuditFollow {
        filter: Filter,
        place: Option<u64>,
    },
    DeviceList {
        who: Option<String>,
    },
    DeviceForget {
        id: DeviceId,
    },
    DeviceForgetAll {
        who: String,
    },
    /// A machine token for these routes, good for so many seconds.
    TokenAdd {
        name: TokenName,
        routes: Vec<String>,
        lifetime_s: u64,
    },
    TokenList,
    TokenRevoke {
        id: TokenId,
    },
    ToolLoginList {
        who: Option<String>,
    },
    ToolLoginSet {
        who: String,
        route: String,
        /// Empty where the tool takes a token.
        username: String,
        secret: PasswordText,
    },
    ToolLoginForget {
        who: String,
        route: String,
    },
    Operate(Operation),
    /// All that a new store needs, as the lines of an export; they come before the reply.
    StoreExport,
    /// Everything is read and compared; what is wrong comes before the reply.
    StoreVerify,
    /// What has expired goes now.
    StoreSweep,
    /// Which nodes share the store.
    StoreNodes,
    /// The key file is read again.
    KeysTake,
    /// The newest key seals what older ones have sealed.
    KeysSealAnew,
}

/// Which accounts are meant: whoever matches each that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountFilter {
    pub search: String,
    pub role: Option<Role>,
    pub group: Option<Group>,
    pub second_factor: Option<bool>,
    pub state: Option<AccountState>,
}

/// Whether one can sign in as an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    Active,
    Locked,
    Disabled,
}

/// An account to be added.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    pub login: LoginName,
    pub name: DisplayName,
    pub email: Option<Email>,
    pub groups: Vec<Group>,
    pub role: Role,
    pub method: Option<Method>,
    pub second_factor: Option<bool>,
    pub password: Option<PasswordText>,
    pub must_change: bool,
}

/// An account as another gate had it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignAccount {
    pub login: LoginName,
    pub name: DisplayName,
    pub email: Option<Email>,
    pub groups: Vec<Group>,
    pub role: Role,
    pub method: Option<Method>,
    /// What that gate kept of the password.
    pub hash: PasswordText,
    pub disabled: bool,
}

/// What became of an account of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    Added,
    Exists,
    Refused(String),
}

/// Fields to be changed; an absent one stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    pub name: Option<DisplayName>,
    /// An empty text removes the address.
    pub email: Option<String>,
    pub groups: Option<Vec<Group>>,
    pub role: Option<Role>,
    pub method: Option<Method>,
    pub second_factor: Option<bool>,
    pub password: Option<PasswordText>,
    pub must_change: Option<bool>,
}

/// A password, its hash or a new token on its way through the socket: the secrets that the protocol carries.
#[derive(Clone)]
pub struct PasswordText(pub SecretString);

impl PartialEq for PasswordText {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for PasswordText {}

impl fmt::Debug for PasswordText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordText(…)")
    }
}

impl Serialize for PasswordText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for PasswordText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Done,
    Account(Box<AccountRow>),
    Accounts(Vec<AccountRow>),
    Taken(Vec<Taken>),
    Sessions(Vec<SessionRow>),
    /// Some of the events that a search finds, and where it goes on.
    Events {
        rows: Vec<EventRow>,
        next: Option<Cursor>,
    },
    /// What has just happened; where to go on; how many were not kept for so long.
    Followed {
        rows: Vec<EventRow>,
        place: u64,
        missed: u64,
    },
    /// So many sessions were ended.
    Ended(u64),
    Devices(Vec<DeviceRow>),
    /// So many browsers were forgotten, and so many sessions ended with them.
    Forgotten {
        devices: u64,
        sessions: u64,
    },
    /// A new token, and its value.
    Token {
        row: Box<TokenRow>,
        value: PasswordText,
    },
    Tokens(Vec<TokenRow>),
    ToolLogins(Vec<ToolLoginRow>),
    /// How far it is; `total` is 0 while that is not known. More frames follow.
    Progress {
        done: u64,
        total: u64,
    },
    /// Lines of an export. More frames follow.
    Lines(Vec<String>),
    /// What is wrong with the store. More frames follow.
    Problems(Vec<Problem>),
    /// The export is complete: so many records of each kind are in it.
    Exported(BTreeMap<String, u64>),
    Verified(Verified),
    /// So many records of each kind were removed.
    Swept(BTreeMap<String, u64>),
    /// `None`: the store is this machine's alone.
    Nodes(Option<Vec<NodeView>>),
    SealedAnew(SealedAnew),
    /// Another process serves from now on.
    HandedOver {
        pid: u32,
        version: String,
        /// The process that served before, which ends what is in flight.
        former: u32,
        /// How long whoever needed the store had to wait, in milliseconds.
        pause_ms: u64,
    },
    /// What is to be said about a configuration that was taken, or why it was not.
    Configuration {
        outcome: ReloadOutcome,
        problems: Vec<Diagnostic>,
    },
    /// It was not done: the caller's mistake, or the state of things. Nothing was changed.
    Refused {
        reason: String,
        hint: Option<String>,
    },
    /// It could not be done.
    Failed {
        reason: String,
    },
}

/// What became of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadOutcome {
    /// It is in force.
    Taken,
    /// It is no valid configuration.
    Invalid,
    /// It is one, but the gateway that runs cannot take it now.
    Refused,
}

/// An account as a list shows it (F24): also the form of `--json`. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    pub id: String,
    pub login: String,
    pub name: String,
    pub email: Option<String>,
    pub role: Role,
    pub groups: Vec<String>,
    pub second_factor: SecondFactorRow,
    /// Absent until the first one.
    pub last_login: Option<String>,
    pub registered_at: String,
    pub disabled: bool,
    /// Until when wrong passwords have locked it.
    pub locked_until: Option<String>,
    pub password_set: bool,
    pub must_change_password: bool,
}

/// The account's side of the second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactorRow {
    pub switched_on: bool,
    pub method: Method,
    pub enrolled: bool,
    /// How many recovery codes are left; absent where none were ever made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_codes_left: Option<usize>,
}

/// A living session as a list shows it: also the form of `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    pub id: String,
    pub user_id: String,
    pub login: String,
    pub address: String,
    pub user_agent: String,
    pub created_at: String,
    pub last_seen: String,
    pub expires_at: String,
    pub second_factor_at: Option<String>,
    /// Where it is signed in beside the portal host.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// A browser that an account is known on: also the form of `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    pub id: String,
    pub user_id: String,
    pub login: String,
    pub address: String,
    pub user_agent: String,
    pub first_seen: String,
    pub last_seen: String,
    pub second_factor_at: String,
    /// Whether it is spared the code until the re-check interval has passed.
    pub remembered: bool,
}

/// A machine token as a list shows it: also the form of `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    pub id: String,
    pub name: String,
    pub routes: Vec<String>,
    pub created_at: String,
    pub expires_at: String,
    /// Absent until the first use.
    pub last_used: Option<String>,
    pub last_address: Option<String>,
}

/// For which account and route something is stored that a tool is shown: also the form of `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolLoginRow {
    pub user_id: String,
    pub login: String,
    pub route: String,
    pub changed_at: String,
}

/// A request's frame.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub version: u32,
    pub command: Command,
}

/// A response's frame. `more`: the list goes on in the next one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    pub version: u32,
    pub more: bool,
    pub reply: Reply,
}

/// Why a frame was not understood. Never quotes the frame: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("what came over the control socket is no sekisho message")]
    NotAMessage,
    #[error("the other side speaks version {0} of the control protocol, this one speaks version {VERSION}")]
    OtherVersion(u32),
    #[error("this command is unknown to the gateway that runs, or its arguments are")]
    UnknownCommand,
    #[error("the message is too large for the control socket")]
    TooLarge,
}

#[derive(Deserialize)]
struct VersionAlone {
    version: u32,
}

impl Request {
    /// The frame of `command`, wiped from memory when it is dropped.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`].
    pub fn encode(command: &Command) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        #[derive(Serialize)]
        struct Borrowed<'a> {
            version: u32,
            command: &'a Command,
        }
        let frame = serde_json::to_vec(&Borrowed { version: VERSION, command }).map(Zeroizing::new);
        frame.ok().filter(|frame| frame.len() <= MAX_FRAME).ok_or(Malformed::TooLarge)
    }

    /// Reads a frame: first its version, and only then the command.
    ///
    /// # Errors
    /// [`Malformed`], whatever the bytes are.
    pub fn decode(frame: &[u8]) -> Result<Command, Malformed> {
        check_version(frame)?;
        serde_json::from_slice::<Self>(frame).map(|request| request.command).map_err(|_| Malformed::UnknownCommand)
    }
}

impl Response {
    /// The frames of `reply`: one, or as many as a long list needs. `more`: others follow.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`] where a single row fits no frame.
    pub fn encode(reply: Reply, more: bool) -> Result<Vec<Vec<u8>>, Malformed> {
        let mut frames = Vec::new();
        encode_parts(reply, more, &mut frames)?;
        Ok(frames)
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// [`Malformed`], whatever the bytes are.
    pub fn decode(frame: &[u8]) -> Result<Self, Malformed> {
        check_version(frame)?;
        serde_json::from_slice(frame).map_err(|_| Malformed::NotAMessage)
    }
}

fn check_version(frame: &[u8]) -> Result<(), Malformed> {
    match serde_json::from_slice::<VersionAlone>(frame) {
        Ok(VersionAlone { version: VERSION }) => Ok(()),
        Ok(VersionAlone { version }) => Err(Malformed::OtherVersion(version)),
        Err(_) => Err(Malformed::NotAMessage),
    }
}

fn encode_parts(reply: Reply, more: bool, frames: &mut Vec<Vec<u8>>) -> Result<(), Malformed> {
    let response = Response { version: VERSION, more, reply };
    let frame = serde_json::to_vec(&response).map_err(|_| Malformed::NotAMessage)?;
    if frame.len() <= MAX_FRAME {
        frames.push(frame);
        return Ok(());
    }
    let (first, second) = response.reply.halves().ok_or(Malformed::TooLarge)?;
    encode_parts(first, true, frames)?;
    encode_parts(second, more, frames)
}

impl Reply {
    /// A list of more than one row, cut in two.
    fn halves(self) -> Option<(Self, Self)> {
        fn cut<T>(mut rows: Vec<T>) -> Option<(Vec<T>, Vec<T>)> {
            let second = rows.split_off(rows.len() / 2);
            (!rows.is_empty()).then_some((rows, second))
        }
        match self {
            Self::Accounts(rows) => cut(rows).map(|(a, b)| (Self::Accounts(a), Self::Accounts(b))),
            Self::Sessions(rows) => cut(rows).map(|(a, b)| (Self::Sessions(a), Self::Sessions(b))),
            Self::Devices(rows) => cut(rows).map(|(a, b)| (Self::Devices(a), Self::Devices(b))),
            Self::Tokens(rows) => cut(rows).map(|(a, b)| (Self::Tokens(a), Self::Tokens(b))),
            Self::ToolLogins(rows) => cut(rows).map(|(a, b)| (Self::ToolLogins(a), Self::ToolLogins(b))),
            _ => None,
        }
    }

    /// Puts the next frame's part of the same list behind this one.
    ///
    /// # Errors
    /// Where the parts are not of one list.
    pub fn append(&mut self, part: Self) -> Result<(), Malformed> {
        match (self, part) {
            (Self::Accounts(rows), Self::Accounts(more)) => rows.extend(more),
            (Self::Sessions(rows), Self::Sessions(more)) => rows.extend(more),
            (Self::Devices(rows), Self::Devices(more)) => rows.extend(more),
            (Self::Tokens(rows), Self::Tokens(more)) => rows.extend(more),
            (Self::ToolLogins(rows), Self::ToolLogins(more)) => rows.extend(more),
            _ => return Err(Malformed::NotAMessage),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
