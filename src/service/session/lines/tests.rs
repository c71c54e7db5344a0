use std::time::Duration;

use super::*;
use crate::id::UserId;
use crate::secret::Token;

const MINUTE: Duration = Duration::from_secs(60);
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
const LIMITS: config::Session = config::Session {
    idle_timeout: Duration::from_secs(30 * 60),
    max_lifetime: Duration::from_secs(4 * 3600),
    max_per_user: 10,
};

fn at(minutes: u32) -> Timestamp {
    BEGIN.plus(MINUTE * minutes)
}

fn join(lines: &mut Lines, number: u8) -> (Arc<Lifeline>, TokenDigest) {
    let digest = Token::from_bytes([number; 32]).digest();
    let session = Session {
        expires_at: BEGIN.plus(LIMITS.max_lifetime),
        ..Session::begun(SessionId::from_bytes([number; 10]), UserId::from_bytes([1; 10]), 0, BEGIN)
    };
    (lines.join(&session, digest), digest)
}

/// Which of them are overdue, by the first byte of their values.
fn overdue(lines: &mut Lines, limits: config::Session, now: Timestamp) -> Vec<SessionId> {
    let mut found: Vec<_> = lines.overdue(limits, now).iter().map(|line| line.id).collect();
    found.sort_unstable();
    found
}

#[test]
fn a_line_is_overdue_when_its_time_is_over_and_until_it_is_ended() {
    let mut lines = Lines::default();
    let ((one, _), (two, _)) = (join(&mut lines, 1), join(&mut lines, 2));
    assert_eq!(overdue(&mut lines, LIMITS, at(0)), []);
    one.seen(at(20));
    assert_eq!(overdue(&mut lines, LIMITS, at(29)), []);
    assert_eq!(overdue(&mut lines, LIMITS, at(30)), [two.id]);
    assert_eq!(overdue(&mut lines, LIMITS, at(31)), [two.id], "it could not be ended, say");
    two.seen(at(31));
    assert_eq!(overdue(&mut lines, LIMITS, at(32)), [], "another node had seen it");
    lines.end(two.id);
    assert_eq!(overdue(&mut lines, LIMITS, at(50)), [one.id]);
    lines.end(one.id);
    assert_eq!(overdue(&mut lines, LIMITS, at(600)), []);
    // However much it is used.
    let (three, _) = join(&mut lines, 3);
    for minute in (600..=4 * 60 + 600).step_by(10) {
        three.seen(at(minute));
    }
    assert_eq!(overdue(&mut lines, LIMITS, at(4 * 60 + 600)), [three.id]);
}

#[test]
fn other_limits_and_a_clock_that_is_set_back_count_at_once() {
    let mut lines = Lines::default();
    let (line, _) = join(&mut lines, 1);
    assert_eq!(overdue(&mut lines, LIMITS, at(10)), []);
    let shorter = config::Session { idle_timeout: MINUTE * 5, ..LIMITS };
    assert_eq!(overdue(&mut lines, shorter, at(10)), [line.id]);
    let shorter = config::Session { max_lifetime: MINUTE * 9, ..LIMITS };
    assert_eq!(overdue(&mut lines, shorter, at(10)), [line.id]);
    assert_eq!(overdue(&mut lines, LIMITS, at(11)), []);
    line.seen(at(25));
    assert_eq!(overdue(&mut lines, LIMITS, at(25)), []);
    assert_eq!(overdue(&mut lines, LIMITS, at(20)), [line.id], "its time is of a clock that counts no longer");
    assert_eq!(over(&line, LIMITS, at(20)), Some(SET_BACK));
}

#[test]
fn a_line_is_found_by_its_id_and_by_the_value_that_it_has_now() {
    let mut lines = Lines::default();
    let ((one, old), (two, other)) = (join(&mut lines, 1), join(&mut lines, 2));
    let new = Token::from_bytes([3; 32]).digest();
    lines.rename(&one, new);
    let found = |lines: &Lines, value: &TokenDigest| lines.under(value).map(|line| line.id);
    assert_eq!((found(&lines, &old), found(&lines, &new), found(&lines, &other)), (None, Some(one.id), Some(two.id)));
    // It is read again under the value that it has.
    let (again, _) = join(&mut lines, 2);
    assert!(Arc::ptr_eq(&again, &two) && lines.iter().count() == 2);
    let somebody = UserId::from_bytes([2; 10]);
    lines
        .join(&Session::begun(SessionId::from_bytes([4; 10]), somebody, 0, BEGIN), Token::from_bytes([4; 32]).digest());
    assert_eq!((lines.of(one.user).count(), lines.of(somebody).count()), (2, 1));
    lines.end(one.id);
    assert!(one.is_over() && lines.get(one.id).is_none() && lines.under(&new).is_none());
    assert!(!two.is_over() && lines.get(two.id).is_some());
    assert!(lines.of(one.user).all(|line| Arc::ptr_eq(line, &two)) && lines.of(one.user).count() == 1);
}

#[tokio::test]
async fn whoever_waits_for_an_end_hears_of_it_and_so_does_who_comes_later() {
    let mut lines = Lines::default();
    let (line, _) = join(&mut lines, 1);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let end = crate::service::end::End::of(Arc::clone(&line));
            tokio::spawn(async move { end.cancelled().await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert!(waiting.iter().all(|one| !one.is_finished()));
    lines.end(line.id);
    for one in waiting {
        one.await.unwrap();
    }
    let end = crate::service::end::End::of(Arc::clone(&line));
    assert!(end.is_cancelled());
    end.cancelled().await;
}
