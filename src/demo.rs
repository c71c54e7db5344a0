//! `sekisho demo`: the gateway, a sample admin tool, sample accounts, in one process and a folder that is removed at the end.

pub mod shop;

use clap::ValueEnum;

/// A language of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Ja,
    En,
}

impl Language {
    const fn code(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }
}
