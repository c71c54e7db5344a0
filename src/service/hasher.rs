//! Password hashing on threads of its own: as many as are worth it, a bounded queue, a lower priority than the requests of
//! people who are signed in.
