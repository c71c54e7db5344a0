//! A step-up: somebody signed in goes where the second factor is asked for again. No password while the session lives.

use super::{Destination, Refusal, Step, flows, mailed};
use crate::authn::login::{self, CodeDue, State, StepUp};
use crate::authn::session::Session;
use crate::authn::user::User;
use crate::secret::Token;
use crate::service::ServiceError;
use crate::service::context::Context;
use crate::service::visit::Visit;
use crate::store::record::Change;

pub async fn begin(context: &Context, visit: &Visit, destination: Destination) -> Result<Step, ServiceError> {
    let restart = Ok(Step::Refused(Refusal::RestartLogin));
    let (Some(live), Some(token)) = (&visit.session, &visit.cookies.session) else { return restart };
    if !live.is_alive(visit.now) {
        return restart;
    }
    let record = context.store.get::<Session>(&token.digest().to_string(), visit.now).await?.record;
    let Some(session) = record.filter(|session| session.id == live.id()) else { return restart };
    let Some(account) = context.user(session.user, visit.now).await? else { return restart };
    match login::step_up(&session, &account.user, destination.demand, visit.now) {
        Ok(StepUp::Nothing) => Ok(Step::SignedIn {
            session: token.clone(),
            device: None,
            return_to: destination.return_to,
            welcome: false,
        }),
        Ok(StepUp::Code(due)) => {
            let flow = match resume(context, visit, &due, &destination).await? {
                Some(flow) => flow,
                None => fresh(context, visit, &account.user, due, &destination).await?,
            };
            Ok(Step::Code { flow })
        }
        Ok(StepUp::PasswordDue) | Err(login::Stale) => restart,
    }
}

/// The flow that the browser has begun for this session already, now leading where it wants to go: a reload makes no new one,
/// and gives no new tries.
async fn resume(
    context: &Context,
    visit: &Visit,
    due: &CodeDue,
    destination: &Destination,
) -> Result<Option<Token>, ServiceError> {
    let Some(token) = &visit.cookies.flow else { return Ok(None) };
    let Some(found) = flows::load(context, visit, token).await? else { return Ok(None) };
    let same = matches!(&found.flow.state, State::CodeDue(begun) if begun.is_same_attempt(due));
    if !same {
        return Ok(None);
    }
    let flow = found.leading_to(&visit.config, &destination.return_to)?;
    let moved = context.commit(found.advance(Change::new(), &flow), &[]).await?;
    Ok(moved.map(|_| token.clone()))
}

async fn fresh(
    context: &Context,
    visit: &Visit,
    user: &User,
    due: CodeDue,
    destination: &Destination,
) -> Result<Token, ServiceError> {
    let flow = Token::generate()?;
    let (due, letter) = mailed::prepare(visit, &flow.digest(), user, due)?;
    let change = flows::begin(Change::new(), visit, &flow, State::CodeDue(due), &destination.return_to)?;
    if context.commit(change, &[]).await?.is_none() {
        return Err(ServiceError::Contended);
    }
    mailed::post(context, visit, &flow.digest(), user, letter);
    Ok(flow)
}
