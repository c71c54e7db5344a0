//! What goes wrong around the gateway: disks that are full, read-only or broken, and clocks that jump. Each time nobody gets in who
//! should not, somebody is told, and all is well again when the cause is gone. What mail servers and upstreams do wrong is in
//! `mail_trouble`, `upstreams` and `answers`.

mod clock;
mod damage;
mod disk;
