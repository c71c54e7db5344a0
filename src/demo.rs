//! `sekisho demo`: the gateway, a sample admin tool, sample accounts, in one process and a folder that is removed at the end.
