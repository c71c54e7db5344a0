//! Every kind of record that there is. A kind that is missing here would be in no export, and a test reads the sources for that.

use super::seals::{self, Sealing, Seals, Unsealed};
use crate::audit::Event;
use crate::authn::address_change::AddressChange;
use crate::authn::device::Device;
use crate::authn::lockout::{AccountThrottle, AddressThrottle};
use crate::authn::login::Flow;
use crate::authn::machine_token::MachineToken;
use crate::authn::mail_limit::MailThrottle;
use crate::authn::reset_link::{NewestLink, ResetLink};
use crate::authn::session::{Ended, EndedElsewhere, Session};
use crate::authn::sign_on::{Handoff, HostSession};
use crate::authn::user::User;
use crate::secret::Keys;
use crate::service::records::{AdminGuard, DeviceIndex, EventIndex, LoginIndex, SessionAt, SessionIndex};
use crate::service::{held, import, nodes, tool_logins};
use crate::store::engine::{Key, StoreError};
use crate::store::record::{Change, Raw, Record};

/// What there is to know of one kind.
pub struct Kind {
    /// What its keys begin with.
    pub name: &'static str,
    /// Whether an export has it. The others are made anew from these (indexes), or are void in a new store (sessions, devices,
    /// codes, links).
    pub exported: bool,
    /// Whether there is anything sealed in it.
    pub seals: bool,
    /// Reads a record, and opens what is sealed in it.
    pub read: fn(&Raw, &Keys) -> Result<Seals, StoreError>,
    /// What seals it anew; see [`seals::renew`].
    pub renew: fn(&Raw, &Keys) -> Result<Option<Change>, Unsealed>,
    /// The same record, as it would be stored now.
    #[cfg(fuzzing)]
    pub again: fn(&Raw) -> Result<bytes::Bytes, StoreError>,
}

/// All kinds, in the order in which exports have them: accounts last, so that the time in which they can change is short.
pub static KINDS: [Kind; 29] = [
    plain::<Event>().exported(),
    plain::<AccountThrottle>().exported(),
    plain::<MailThrottle>().exported(),
    plain::<MachineToken>().exported(),
    sealing::<tool_logins::Kept>().exported(),
    sealing::<User>().exported(),
    plain::<AddressThrottle>(),
    plain::<LoginIndex>(),
    plain::<Session>(),
    plain::<SessionIndex>(),
    plain::<SessionAt>(),
    plain::<HostSession>(),
    sealing::<Handoff>(),
    plain::<Device>(),
    plain::<DeviceIndex>(),
    plain::<AddressChange>(),
    plain::<ResetLink>(),
    plain::<NewestLink>(),
    plain::<EventIndex>(),
    sealing::<Flow>(),
    sealing::<import::Kept>(),
    plain::<Ended>(),
    plain::<EndedElsewhere>(),
    sealing::<held::Held>(),
    plain::<held::OfSession>(),
    plain::<held::Total>(),
    plain::<nodes::Node>(),
    Kind { read: read_admins, ..named::<AdminGuard>("meta/admins") },
    // The store's own: `store::open` reads it.
    Kind { read: |_, _| Ok(Seals::default()), ..named::<AdminGuard>("meta/store-id") },
];

/// The kind of what stands under `key`; `None`: this sekisho knows none.
pub fn of(key: &Key) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| {
        let rest = key.as_str().strip_prefix(kind.name);
        rest.is_some_and(|rest| rest.starts_with('/') || (rest.is_empty() && kind.name.contains("meta/")))
    })
}

impl Kind {
    const fn exported(self) -> Self {
        Self { exported: true, ..self }
    }

    /// What all its keys begin with.
    pub fn prefix(&self) -> String {
        format!("{}/", self.name)
    }
}

const fn plain<R: Record>() -> Kind {
    named::<R>(R::KIND)
}

const fn named<R: Record>(name: &'static str) -> Kind {
    Kind {
        name,
        exported: false,
        seals: false,
        read: |raw, _| raw.decode::<R>().map(|_| Seals::default()),
        renew: |_, _| Ok(None),
        #[cfg(fuzzing)]
        again: |raw| raw.again::<R>(),
    }
}

const fn sealing<R: Sealing>() -> Kind {
    Kind {
        read: |raw, keys| {
            let mut record: R = raw.decode()?;
            Ok(seals::look(&mut record, raw.name::<R>().unwrap_or_default(), keys))
        },
        seals: true,
        renew: seals::renew::<R>,
        ..plain::<R>()
    }
}

fn read_admins(raw: &Raw, _: &Keys) -> Result<Seals, StoreError> {
    raw.decode::<AdminGuard>().map(|_| Seals::default())
}
