//! The names of sekisho's cookies: the gateway reads and strips by them, the portal sets by them.

/// What a cookie of sekisho's is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieKind {
    /// A signed-in session.
    Session,
    /// The device access key of this browser.
    Device,
    /// A login in progress.
    Flow,
    /// What a code from the portal host is bound to, on the host that it is for.
    Handoff,
    /// What form tokens are bound to before anybody is known.
    Csrf,
    /// The value of a link to a new password, out of the address that it came in.
    Reset,
    /// The language that the person chose: `ja` or `en`; no bearer value.
    Language,
    /// Whose the tool's own cookies in this browser are; a mark without power.
    Owner,
}

impl CookieKind {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Session, Self::Device, Self::Flow, Self::Handoff, Self::Csrf, Self::Reset, Self::Language, Self::Owner];

    /// The name under which it is set and read: over https one that only this host, over https, can have set (`__Host-`,
    /// RFC 6265bis §4.1.3.2).
    #[must_use]
    pub const fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-sekisho-session",
            (Self::Session, false) => "sekisho-session",
            (Self::Device, true) => "__Host-sekisho-device",
            (Self::Device, false) => "sekisho-device",
            (Self::Flow, true) => "__Host-sekisho-flow",
            (Self::Flow, false) => "sekisho-flow",
            (Self::Handoff, true) => "__Host-sekisho-handoff",
            (Self::Handoff, false) => "sekisho-handoff",
            (Self::Csrf, true) => "__Host-sekisho-csrf",
            (Self::Csrf, false) => "sekisho-csrf",
            (Self::Reset, true) => "__Host-sekisho-reset",
            (Self::Reset, false) => "sekisho-reset",
            (Self::Language, true) => "__Host-sekisho-language",
            (Self::Language, false) => "sekisho-language",
            (Self::Owner, true) => "__Host-sekisho-owner",
            (Self::Owner, false) => "sekisho-owner",
        }
    }
}

/// Whether a cookie of this name is sekisho's own: it then reaches no upstream, and no upstream sets one. Compared without
/// regard to case, as some tools do.
#[must_use]
pub fn is_sekishos(name: &str) -> bool {
    ["__host-sekisho-", "sekisho-"]
        .iter()
        .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}
