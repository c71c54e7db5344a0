//! Pingora: sockets, the request's phases, headers, upstreams. What may pass is decided by `authz`; what is shown by `portal`.
