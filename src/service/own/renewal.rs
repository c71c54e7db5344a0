//! The session in which its owner changes an account goes on, under a new value. Where the change has raised the account's epoch, as every change of
//! a factor does, it is the only one that does: whoever changes a factor may do so because somebody else knows the one before.

use super::Own;
use crate::authn::session::Session;
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::secret::{Token, TokenDigest};
use crate::service::ServiceError;
use crate::service::context::Context;
use crate::service::session::Sessions;
use crate::service::visit::Visit;
use crate::store::record::Change;

/// A session's new value, which is good once the change that gives it is committed.
#[must_use]
pub(in crate::service) struct Renewal {
    token: Token,
    before: TokenDigest,
    session: Session,
    /// The account is another one by the same commit.
    altered: bool,
    ended: Vec<(TokenDigest, Session)>,
}

impl Own {
    /// A change by which this session goes on as `session`, and its account as `after` (`None`: as it is), if both are still what
    /// they were read as. [`Renewal::took_place`] follows its commit.
    pub async fn renewed(
        &self,
        context: &Context,
        visit: &Visit,
        change: Change,
        session: Session,
        after: Option<&User>,
    ) -> Result<(Change, Renewal), ServiceError> {
        let (user, before) = (&self.account.user, self.token.digest());
        let name = user.id.to_string();
        let mut change =
            change.unchanged::<Session>(&before.to_string(), self.seen).unchanged::<User>(&name, self.account.seen);
        let mut ended = Vec::new();
        if let Some(after) = after {
            change = change.put(&name, after);
            if after.epoch != user.epoch {
                ended = self.others(context, visit).await?;
                change = context.sessions.without_all(change, &ended).await?;
            }
        }
        let session = Session {
            epoch: after.map_or(user.epoch, |after| after.epoch),
            last_seen: session.last_seen.max(visit.now),
            ..session
        };
        let token = Token::generate()?;
        let change = Sessions::renewed(change, (&before, &self.session), (&token.digest(), &session));
        Ok((change, Renewal { token, before, session, altered: after.is_some(), ended }))
    }

    /// The account's other sessions.
    async fn others(&self, context: &Context, visit: &Visit) -> Result<Vec<(TokenDigest, Session)>, ServiceError> {
        let mut others = context.sessions.of_user(self.session.user, visit.now).await?;
        others.retain(|(_, session)| session.id != self.session.id);
        Ok(others)
    }
}

impl Renewal {
    /// From now on the value before is nobody's. What is open in this session stays open, as it lives on. Returns its value.
    pub async fn took_place(self, context: &Context, now: Timestamp) -> Token {
        let Self { token, before, session, altered, ended } = self;
        let sessions = &context.sessions;
        if altered {
            sessions.refresh(session.user, now).await;
        }
        ended.iter().for_each(|(digest, ended)| sessions.forget(digest, Some(ended.id)));
        sessions.rotated(&before, token.digest(), session.id);
        token
    }
}
