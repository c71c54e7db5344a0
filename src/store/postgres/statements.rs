//! Every statement that a node asks again and again, by its place among those that each connection has prepared.

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Whether anybody is there.
    Alive,
    Get,
    /// A record, and the one that it names.
    GetNamed,
    /// The records under several keys, in no order.
    GetAll,
    Commit,
    /// Makes all that was committed before durable.
    Flush,
    /// `after`: not the first key itself; `below`: there is an upper end.
    Scan {
        after: bool,
        below: bool,
    },
    ScanBack {
        below: bool,
    },
}

/// Each of them, at its [`Which::place`]. A scan says its bounds outright, as the index is only good for those.
pub(super) const ALL: [&str; 12] = [
    "SELECT 1",
    "SELECT version, value FROM sekisho.record WHERE key = $1",
    "SELECT sekisho.commit_1($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    "UPDATE sekisho.form SET flushes = flushes + 1",
    "SELECT key, version, value FROM sekisho.record WHERE key >= $1 ORDER BY key LIMIT $2",
    "SELECT key, version, value FROM sekisho.record WHERE key >= $1 AND key < $3 ORDER BY key LIMIT $2",
    "SELECT key, version, value FROM sekisho.record WHERE key > $1 ORDER BY key LIMIT $2",
    "SELECT key, version, value FROM sekisho.record WHERE key > $1 AND key < $3 ORDER BY key LIMIT $2",
    "SELECT key, version, value FROM sekisho.record WHERE key >= $1 ORDER BY key DESC LIMIT $2",
    "SELECT key, version, value FROM sekisho.record WHERE key >= $1 AND key < $3 ORDER BY key DESC LIMIT $2",
    "SELECT found.version, found.value, other.version, other.value FROM sekisho.record AS found \
     LEFT JOIN sekisho.record AS other ON other.key = \
     ($2 || (convert_from(substring(found.value FROM $3 + 1), 'UTF8')::json ->> $4)) COLLATE \"C\" WHERE found.key = $1",
    "SELECT key, version, value FROM sekisho.record WHERE key = ANY($1)",
];

impl Which {
    /// Whether the answer promises that something lasts.
    pub(super) const fn must_last(self) -> bool {
        matches!(self, Self::Commit | Self::Flush)
    }

    pub(super) const fn place(self) -> usize {
        match self {
            Self::Alive => 0,
            Self::Get => 1,
            Self::Commit => 2,
            Self::Flush => 3,
            Self::Scan { after: false, below: false } => 4,
            Self::Scan { after: false, below: true } => 5,
            Self::Scan { after: true, below: false } => 6,
            Self::Scan { after: true, below: true } => 7,
            Self::ScanBack { below: false } => 8,
            Self::ScanBack { below: true } => 9,
            Self::GetNamed => 10,
            Self::GetAll => 11,
        }
    }
}
