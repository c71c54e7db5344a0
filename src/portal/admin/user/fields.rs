//! The fields of an account's form, of a new one's and of one that is edited: read, judged one by one, and shown again as they were
//! typed, each with what is wrong with it beside it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::authn::user::{DisplayName, Email, Group, LoginName, Method, Role, User};
use crate::authz::permission::{self, Act, Party};
use crate::portal::admin::rejection;
use crate::portal::form::Fields;
use crate::portal::person::Person;
use crate::service::users::Rejection;

const ROLES: [Role; 4] = [Role::User, Role::Viewer, Role::Manager, Role::Admin];
const METHODS: [Method; 2] = [Method::Totp, Method::Mail];

/// What was sent. A field that was not stays as it is.
#[derive(Debug, Default)]
pub struct Sent {
    login: Option<String>,
    name: Option<String>,
    email: Option<String>,
    /// Parted by commas or blanks.
    groups: Option<String>,
    role: Option<String>,
    method: Option<String>,
    second_factor: Option<String>,
}

/// What it means.
#[derive(Debug, Default)]
pub struct Wanted {
    pub login: Option<LoginName>,
    pub name: Option<DisplayName>,
    /// `Some(None)`: none any more.
    pub email: Option<Option<Email>>,
    pub groups: Option<BTreeSet<Group>>,
    pub role: Option<Role>,
    pub method: Option<Method>,
    pub second_factor: Option<bool>,
}

/// What is wrong, by field: the text's key.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Problems {
    pub login: Option<&'static str>,
    pub name: Option<&'static str>,
    pub email: Option<&'static str>,
    pub groups: Option<&'static str>,
    pub role: Option<&'static str>,
    pub method: Option<&'static str>,
    pub second_factor: Option<&'static str>,
}

/// The fields as a page shows them.
#[derive(Debug, Serialize)]
pub struct FieldsView {
    pub login: String,
    pub name: String,
    pub email: String,
    pub groups: String,
    pub roles: Vec<Choice>,
    pub methods: Vec<Choice>,
    pub switches: Vec<Choice>,
    pub problems: Problems,
    /// What the reader may not change: shown, and not sent.
    pub fixed: Fixed,
    /// The groups that the reader may give, where these are not all.
    pub own_groups: Option<String>,
}

/// One of several words; the value is the end of its text's key.
#[derive(Debug, Serialize)]
pub struct Choice {
    value: String,
    chosen: bool,
}

#[cfg(test)]
impl Choice {
    pub fn sample(value: &str, chosen: bool) -> Self {
        Self { value: value.to_owned(), chosen }
    }
}

/// Fields that are shown only.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Fixed {
    pub login: bool,
    pub email: bool,
    pub role: bool,
    pub method: bool,
    pub second_factor: bool,
}

impl Sent {
    /// Reads them.
    pub fn read(fields: &Fields) -> Self {
        let get = |name: &str| fields.get(name).map(str::to_owned);
        Self {
            login: get("login"),
            name: get("name"),
            email: get("email"),
            groups: get("groups"),
            role: get("role"),
            method: get("method"),
            second_factor: get("second-factor"),
        }
    }

    /// As if the account itself had been sent.
    pub fn of(user: &User) -> Self {
        let groups: Vec<_> = user.groups.iter().map(Group::as_str).collect();
        Self {
            login: Some(user.login.to_string()),
            name: Some(user.name.to_string()),
            email: Some(user.email.as_ref().map(ToString::to_string).unwrap_or_default()),
            groups: Some(groups.join(", ")),
            role: Some(user.role.to_string()),
            method: Some(user.second_factor.method.to_string()),
            second_factor: Some(switch(user.second_factor.switched_on).to_owned()),
        }
    }

    /// An empty form with these choices made.
    pub fn new(role: Role, method: Method, second_factor: bool) -> Self {
        Self {
            role: Some(role.to_string()),
            method: Some(method.to_string()),
            second_factor: Some(switch(second_factor).to_owned()),
            ..Self::default()
        }
    }

    /// Every field judged, not only the first that is wrong.
    pub fn judge(&self) -> Result<Wanted, Problems> {
        let mut problems = Problems::default();
        let wanted = Wanted {
            login: field(self.login.as_deref(), "problem-field-login", &mut problems.login),
            name: field(self.name.as_deref(), "problem-field-name", &mut problems.name),
            email: match self.email.as_deref().map(str::trim) {
                Some("") => Some(None),
                sent => field(sent, "problem-field-email", &mut problems.email).map(Some),
            },
            groups: self.groups.as_deref().map(|groups| {
                let groups =
                    groups.split([',', '、', ' ', '\u{3000}', '\t', '\r', '\n']).filter(|group| !group.is_empty());
                groups.filter_map(|group| field(Some(group), "problem-field-groups", &mut problems.groups)).collect()
            }),
            role: field(self.role.as_deref(), "problem-field-choice", &mut problems.role),
            method: field(self.method.as_deref(), "problem-field-choice", &mut problems.method),
            second_factor: match self.second_factor.as_deref() {
                Some("on") => Some(true),
                Some("off") => Some(false),
                None => None,
                Some(_) => {
                    problems.second_factor = Some("problem-field-choice");
                    None
                }
            },
        };
        if problems.is_empty() { Ok(wanted) } else { Err(problems) }
    }

    /// Shows them again. `subject`: whose they are, where it is somebody already.
    pub fn view(&self, person: &Person, subject: Option<&User>, problems: Problems) -> FieldsView {
        let own = person.account.role;
        let text = |sent: &Option<String>| sent.clone().unwrap_or_default();
        let choices = |all: &[String], chosen: &Option<String>| {
            let choice = |value: &String| Choice { value: value.clone(), chosen: chosen.as_ref() == Some(value) };
            all.iter().map(choice).collect()
        };
        let given =
            |role: &Role| permission::give_role(own, *role).is_ok() || subject.is_some_and(|user| user.role == *role);
        let roles: Vec<String> = ROLES.iter().filter(|role| given(role)).map(ToString::to_string).collect();
        let own_groups: Vec<_> = person.account.groups.iter().map(Group::as_str).collect();
        FieldsView {
            login: text(&self.login),
            name: text(&self.name),
            email: text(&self.email),
            groups: text(&self.groups),
            roles: choices(&roles, &self.role),
            methods: choices(&METHODS.map(|method| method.to_string()), &self.method),
            switches: choices(&["on", "off"].map(str::to_owned), &self.second_factor),
            problems,
            fixed: subject.map(|subject| Fixed::of(person, subject)).unwrap_or_default(),
            own_groups: (own < Role::Admin).then(|| own_groups.join(", ")),
        }
    }
}

/// A field in its own type; what is wrong with it is noted.
fn field<T: std::str::FromStr>(sent: Option<&str>, key: &'static str, problem: &mut Option<&'static str>) -> Option<T> {
    let parsed = sent?.parse().ok();
    if parsed.is_none() {
        *problem = Some(key);
    }
    parsed
}

const fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

impl Wanted {
    /// Without what the account is already: sending a form back as it was changes nothing.
    pub fn unlike(self, user: &User) -> Self {
        let factor = &user.second_factor;
        Self {
            login: self.login.filter(|login| *login != user.login),
            name: self.name.filter(|name| *name != user.name),
            email: self.email.filter(|email| *email != user.email),
            groups: self.groups.filter(|groups| *groups != user.groups),
            role: self.role.filter(|role| *role != user.role),
            method: self.method.filter(|method| *method != factor.method),
            second_factor: self.second_factor.filter(|on| *on != factor.switched_on),
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.login.is_none()
            && self.name.is_none()
            && self.email.is_none()
            && self.groups.is_none()
            && self.role.is_none()
            && self.method.is_none()
            && self.second_factor.is_none()
    }
}

impl Problems {
    /// What the services object to, beside the field it is about; `None`: it is about no field.
    pub fn of(rejection: &Rejection) -> Option<Self> {
        let mut problems = Self::default();
        let place = match rejection {
            Rejection::LoginTaken(_) | Rejection::LoginNamedByRoute(_) => &mut problems.login,
            Rejection::MailWithoutAddress | Rejection::AddressOutOfReach => &mut problems.email,
            Rejection::MailNotConfigured => &mut problems.method,
            Rejection::GroupNotHeld(_) => &mut problems.groups,
            Rejection::LastAdmin(_) => &mut problems.role,
            Rejection::OwnerSwitchesOn => &mut problems.second_factor,
            _ => return None,
        };
        *place = Some(rejection::key(rejection));
        Some(problems)
    }

    const fn is_empty(&self) -> bool {
        self.login.is_none()
            && self.name.is_none()
            && self.email.is_none()
            && self.groups.is_none()
            && self.role.is_none()
            && self.method.is_none()
            && self.second_factor.is_none()
    }
}

impl Fixed {
    fn of(person: &Person, subject: &User) -> Self {
        let actor = Party { id: person.account.id, role: person.account.role };
        let subject = Party { id: subject.id, role: subject.role };
        let fixed = |act| permission::judge(actor, act, subject).is_err();
        Self {
            login: fixed(Act::EditLogin),
            email: fixed(Act::EditAddress),
            role: fixed(Act::ChangeRole),
            method: fixed(Act::ChangeMethod),
            second_factor: fixed(Act::SwitchSecondFactor),
        }
    }
}
