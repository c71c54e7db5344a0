//! What the roles may do to accounts (F27). Pure: the roles and ids come in as they stand in the store at the moment of the act.
//!
//! - `admin` does everything, to everybody.
//! - `manager` adds and edits accounts whose role is below their own, and makes nobody a manager or an admin.
//! - `viewer` sees, `user` does not even that.
//!
//! Nobody raises anybody above their own rights. Groups open routes, so a manager gives and takes only groups that they have.
//! What would lock oneself out, or make a stolen session worth an account, nobody does to themselves here: `/account` asks for
//! the password and the second factor again, or another admin does it. One's own sessions and devices are everybody's to end.

use std::collections::BTreeSet;

use crate::authn::user::{Group, Role};
use crate::id::UserId;

/// What is done without an account that it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Seeing all accounts, their sessions and events.
    See,
    /// Taking the list away as a file: it says what the pages say.
    Export,
    Add,
    /// Adding many; each is judged as one that is added.
    Import,
}

/// What is done to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    View,
    EditName,
    EditLogin,
    EditAddress,
    EditGroups,
    ChangeRole,
    /// Enabling too.
    Disable,
    Unlock,
    SwitchSecondFactor,
    ResetSecondFactor,
    ChangeMethod,
    /// Choosing it for somebody: nobody's on a page, only the command line's.
    SetPassword,
    /// Having the owner choose another one at the next login.
    ForcePasswordChange,
    /// A link by mail with which the owner chooses one.
    SendLink,
    EndSessions,
    ForgetDevices,
    /// What a tool is shown for it. One's own is everybody's to set.
    SetToolLogin,
    Delete,
}

/// One side of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    pub id: UserId,
    pub role: Role,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The role does not reach as far.
    Role,
    /// Not to one's own account, not here.
    Oneself,
}

impl Task {
    /// The lowest role that does it.
    #[must_use]
    pub const fn least(self) -> Role {
        match self {
            Self::See | Self::Export => Role::Viewer,
            Self::Add | Self::Import => Role::Manager,
        }
    }
}

impl Act {
    pub const ALL: [Self; 18] = [
        Self::View,
        Self::EditName,
        Self::EditLogin,
        Self::EditAddress,
        Self::EditGroups,
        Self::ChangeRole,
        Self::Disable,
        Self::Unlock,
        Self::SwitchSecondFactor,
        Self::ResetSecondFactor,
        Self::ChangeMethod,
        Self::SetPassword,
        Self::ForcePasswordChange,
        Self::SendLink,
        Self::EndSessions,
        Self::ForgetDevices,
        Self::SetToolLogin,
        Self::Delete,
    ];

    /// Whether an admin does it to their own account too.
    const fn to_oneself(self) -> bool {
        matches!(
            self,
            Self::View
                | Self::EditName
                | Self::EditGroups
                | Self::Unlock
                | Self::EndSessions
                | Self::ForgetDevices
                | Self::SetToolLogin
        )
    }
}

/// May `actor` do this to `subject`?
///
/// # Errors
/// Why not.
pub fn judge(actor: Party, act: Act, subject: Party) -> Result<(), Refusal> {
    let oneself = actor.id == subject.id;
    let reaches = match act {
        Act::View => actor.role >= Task::See.least(),
        Act::EndSessions | Act::ForgetDevices | Act::SetToolLogin if oneself => true,
        Act::SetPassword => false,
        _ => reaches(actor.role, subject.role),
    };
    match reaches {
        false => Err(Refusal::Role),
        true if oneself && !act.to_oneself() => Err(Refusal::Oneself),
        true => Ok(()),
    }
}

/// May somebody with the role `actor` give the role `given`, to whomever they may edit or add?
///
/// # Errors
/// Why not.
pub fn give_role(actor: Role, given: Role) -> Result<(), Refusal> {
    if reaches(actor, given) { Ok(()) } else { Err(Refusal::Role) }
}

/// The first group that somebody with this role and these groups of their own may neither give nor take.
#[must_use]
pub fn group_out_of_reach<'a>(
    actor: Role,
    own: &BTreeSet<Group>,
    before: &'a BTreeSet<Group>,
    after: &'a BTreeSet<Group>,
) -> Option<&'a Group> {
    if actor == Role::Admin {
        return None;
    }
    before.symmetric_difference(after).find(|group| !own.contains(*group))
}

/// Whose accounts a role handles: an admin everybody's, a manager those below.
fn reaches(actor: Role, subject: Role) -> bool {
    match actor {
        Role::Admin => true,
        Role::Manager => subject < Role::Manager,
        Role::Viewer | Role::User => false,
    }
}

#[cfg(test)]
mod tests;
