//! The Unix socket that the command line speaks to: frames, peers, commands.
