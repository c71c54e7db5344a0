//! A step-up: somebody signed in goes where the second factor is asked for again. No password while the session lives.

use super::mailed::Prepared;
use super::{Browser, Destination, Refusal, Step, flows, mailed};
use crate::authn::login::{self, CodeDue, State, StepUp};
use crate::authn::user::User;
use crate::secret::Token;
use crate::service::ServiceError;
use crate::service::context::{Context, TRIES};
use crate::service::own::Own;
use crate::service::records;
use crate::service::visit::Visit;
use crate::store::record::Change;

pub async fn begin(context: &Context, visit: &Visit, destination: Destination) -> Result<Step, ServiceError> {
    let Some(own) = Own::load(context, visit).await? else { return Ok(Step::Refused(Refusal::RestartLogin)) };
    let step_up = login::step_up(&own.session, &own.account.user, destination.demand, visit.now);
    lead(context, visit, own, step_up, &destination.return_to).await
}

/// The same to confirm a change.
pub async fn confirm(context: &Context, visit: &Visit, return_to: &str) -> Result<Step, ServiceError> {
    let Some(own) = Own::load(context, visit).await? else { return Ok(Step::Refused(Refusal::RestartLogin)) };
    let step_up = login::confirm(&own.session, &own.account.user, visit.now);
    lead(context, visit, own, step_up, return_to).await
}

async fn lead(
    context: &Context,
    visit: &Visit,
    own: Own,
    step_up: Result<StepUp, login::Stale>,
    return_to: &str,
) -> Result<Step, ServiceError> {
    let restart = Ok(Step::Refused(Refusal::RestartLogin));
    match step_up {
        Ok(StepUp::Nothing) => {
            let (account, return_to) = (own.account.user.id, return_to.to_owned());
            Ok(Step::SignedIn { account, session: own.token, device: None, return_to, welcome: false })
        }
        Ok(StepUp::Code(due)) => {
            let flow = match resume(context, visit, &due, return_to).await? {
                Some(flow) => flow,
                None => fresh(context, visit, &own.account.user, due, return_to).await?,
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
    return_to: &str,
) -> Result<Option<Token>, ServiceError> {
    let Some(token) = &visit.cookies.flow else { return Ok(None) };
    let Some(found) = flows::load(context, visit, token).await? else { return Ok(None) };
    let same = matches!(&found.flow.state, State::CodeDue(begun) if begun.is_same_attempt(due));
    if !same {
        return Ok(None);
    }
    let flow = found.leading_to(&visit.config, return_to)?;
    let moved = context.commit(found.advance(Change::new(), &flow), &[]).await?;
    Ok(moved.map(|_| token.clone()))
}

async fn fresh(
    context: &Context,
    visit: &Visit,
    user: &User,
    due: CodeDue,
    return_to: &str,
) -> Result<Token, ServiceError> {
    let flow = Token::generate()?;
    let browser = Browser { visit, user_agent: None };
    let _turn = context.turn(&records::account_throttle(user.id)).await;
    for _ in 0..TRIES {
        let Prepared { due, code, change } =
            mailed::prepare(context, browser, &flow.digest(), user, due.clone(), Change::new()).await?;
        let change = flows::begin(change, visit, &flow, State::CodeDue(due), return_to)?;
        if context.commit(change, &[]).await?.is_some() {
            mailed::post(context, visit, &flow.digest(), user, code);
            return Ok(flow);
        }
    }
    Err(ServiceError::Contended)
}
