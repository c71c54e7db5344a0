//! What one request knows of the session at the tool: which cookies it shows there, and what becomes of those that the answer sets.
//!
//! A request has to do with the generation that it went out with, and with no later one. When the tool is signed in to is `form`'s.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use pingora::http::ResponseHeader;
use tokio::time::Instant;

use super::plan::{FormPlan, path_of};
use super::{HELD_OFF, Slot};
use crate::gateway::context::Request;

/// What one request knows of the session at the tool.
#[derive(Debug, Clone)]
pub struct ToolSession {
    pub(super) slot: Arc<Slot>,
    pub(super) generation: u64,
    /// Signed in anew for this request, which is sent for the second time.
    pub renewed: bool,
    /// The tool has answered that its session is over, and it is signed in anew before the next try.
    pub again: bool,
    /// Whatever the tool answers is passed on.
    pub(super) left_alone: bool,
}

impl ToolSession {
    /// Has the tool see the cookies of this session.
    pub fn show(&self, plan: &FormPlan, fields: &mut HeaderMap, request: &Request) {
        let path = path_of(request.arrival.target.path_and_query());
        let state = self.slot.state();
        let jar = state.jar.as_ref().filter(|_| state.generation == self.generation);
        let cookies = if plan.keeps() {
            jar.and_then(|jar| jar.header(path, request.now))
        } else if self.renewed {
            let others = fields.get(COOKIE).cloned();
            jar.and_then(|jar| jar.header_beside(others.as_ref(), path, request.now))
        } else {
            return;
        };
        drop(state);
        fields.remove(COOKIE);
        if let Some(cookies) = cookies {
            fields.insert(COOKIE, cookies);
        }
    }

    /// Takes what the tool sets, or hands the browser what the login has set.
    pub fn answered(&self, plan: &FormPlan, head: &mut ResponseHeader, request: &Request) {
        let path = path_of(request.arrival.target.path_and_query());
        let mut state = self.slot.state();
        let current = state.generation == self.generation;
        if plan.keeps() {
            if let Some(jar) = state.jar.as_mut().filter(|_| current) {
                jar.take(&head.headers, path, request.now);
            }
            drop(state);
            head.remove_header(&SET_COOKIE);
        } else if self.renewed && current {
            let lines: Vec<_> = state.jar.iter().flat_map(|jar| jar.lines_beside(&head.headers)).cloned().collect();
            drop(state);
            for line in lines {
                let _ = head.append_header(SET_COOKIE, line);
            }
        }
    }

    /// Whether this answer takes the cookie away that a login is known by: some tools show their login page under every address.
    pub fn is_taken_away(&self, plan: &FormPlan, head: &ResponseHeader, request: &Request) -> bool {
        let Some(name) = plan.form.success.cookie.as_deref().filter(|_| !plan.is_about_sessions(request)) else {
            return false;
        };
        let state = self.slot.state();
        let Some(jar) = state.jar.as_ref().filter(|_| state.generation == self.generation) else { return false };
        let mut after = jar.clone();
        after.take(&head.headers, path_of(request.arrival.target.path_and_query()), request.now);
        jar.has(name, request.now) && !after.has(name, request.now)
    }

    /// The tool does not know whom it has just signed in: nothing is gained by more of it.
    pub fn leave_alone(&self) {
        self.slot.state().left_alone = Some(Instant::now() + HELD_OFF);
    }

    /// Whether that was so a moment ago.
    pub fn is_left_alone(&self) -> bool {
        self.left_alone || self.slot.state().left_alone.is_some_and(|until| Instant::now() < until)
    }

    /// The tool knows it no more.
    pub fn is_over(&self) {
        let mut state = self.slot.state();
        if state.generation == self.generation {
            state.jar = None;
        }
    }
}
