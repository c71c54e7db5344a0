//! The password that a login asks for before it lets anybody in (F22): the last step, behind every code.

use super::{Browser, Refusal, Step, device_keys, flows, sign_in};
use crate::audit::Kind;
use crate::authn::login::State;
use crate::authn::password::Weakness;
use crate::secret::{SecretString, Token};
use crate::service::ServiceError;
use crate::service::context::{Context, TRIES};
use crate::service::events::{self, By};
use crate::service::mailer::Notice;
use crate::service::{passwords, records};
use crate::store::record::Change;

pub async fn step(
    context: &Context,
    browser: Browser<'_>,
    token: &Token,
    new: SecretString,
) -> Result<Result<Step, Weakness>, ServiceError> {
    let (visit, now, config) = (browser.visit, browser.visit.now, &browser.visit.config);
    let restart = Ok(Ok(Step::Refused(Refusal::RestartLogin)));
    let Some(flow) = flows::load(context, visit, token).await? else { return restart };
    let Some(account) = context.user(flow.flow.state.user(), now).await? else { return restart };
    if !matches!(flow.flow.state, State::PasswordChangeDue(_)) || !flow.flow.state.stands(&account.user) {
        return Ok(Ok(Step::at(&flow.flow.state, token.clone())));
    }
    // It takes a while, and holds for as long as the account's epoch does: with another password that has risen.
    let stored = match passwords::replace(context, config, &account.user, new, now).await? {
        Ok(stored) => stored,
        Err(weakness) => return Ok(Err(weakness)),
    };
    let _turn = context.turn(&records::account_throttle(account.user.id)).await;
    for _ in 0..TRIES {
        let Some(flow) = flows::load(context, visit, token).await? else { return restart };
        let due = match flow.flow.state.clone() {
            State::PasswordChangeDue(due) => due,
            other => return Ok(Ok(Step::at(&other, token.clone()))),
        };
        let Some(mut account) = context.user(flow.flow.state.user(), now).await? else { return restart };
        let key = device_keys::find(context, browser, &account.user).await?;
        let (along, return_to) = (due.along(), flow.return_to(config)?);
        let Ok(signed_in) = due.changed(&mut account.user, stored.clone(), now) else {
            flow.drop(context).await?;
            return Ok(Ok(Step::Refused(Refusal::Locked)));
        };
        let mut change = flow.spend(Change::new());
        // A login that gave a code gets a new key with it; one that was spared keeps the key that spared it.
        let key = key.filter(|_| !signed_in.gave_second_factor());
        let device = key.as_ref().map(|key| key.device.id);
        if let Some(key) = key {
            change = key.carried_over(change, browser, &account.user);
        }
        let user = account.user.clone();
        let by = By::Oneself(visit.origin(browser.user_agent));
        let event = events::success(Kind::PasswordChanged, now, Some(user.id), user.login.as_str(), by)?;
        let events = vec![events::detailed(event, "asked for by the login")];
        let entry = sign_in::Entry { signed_in, account, along, device, return_to: &return_to, change, events };
        if let Some(step) = sign_in::complete(context, browser, entry).await? {
            let notice = Notice::PasswordChanged { address: visit.client };
            context.mailer.notice(config, visit.language, &user, notice, now);
            return Ok(Ok(step));
        }
    }
    Err(ServiceError::Contended)
}
