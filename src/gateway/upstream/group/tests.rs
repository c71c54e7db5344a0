//! Whose turn it is, who is left out, and that somebody is always there.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::{HeaderNames, HealthCheck, Protocol, Timeouts, WeightedUpstream};
use crate::metrics::Metrics;

fn route(weights: &[u32], checked: bool) -> RouteUpstream {
    let one = |(index, weight): (usize, &u32)| WeightedUpstream {
        upstream: Upstream::Unix { path: PathBuf::from(format!("/{index}")) },
        weight: *weight,
    };
    let second = Duration::from_secs(1);
    RouteUpstream {
        upstreams: weights.iter().enumerate().map(one).collect(),
        health_check: checked.then(|| HealthCheck { path: "/".to_owned(), interval: second }),
        tls: None,
        identity: Vec::new(),
        auth: None,
        protocol: Protocol::Http1,
        preserve_host: true,
        header_names: HeaderNames::Lower,
        timeouts: Timeouts { connect: second, read: second, write: second },
        max_body: None,
        forget_cookies: Vec::new(),
    }
}

fn group(weights: &[u32]) -> Group {
    of(&Members::new(Metrics::new().upstreams), weights, true)
}

fn of(members: &Members, weights: &[u32], checked: bool) -> Group {
    Group::new("tool", &route(weights, checked), members, &mut Shared::default())
}

/// How often each is picked in so many turns.
fn shares(group: &Group, turns: usize) -> Vec<usize> {
    let mut counts = vec![0; group.places.len()];
    for _ in 0..turns {
        counts[group.pick(0).unwrap()] += 1;
    }
    counts
}

fn fail(group: &Group, index: usize, times: usize) {
    (0..times).for_each(|_| group.failed(index));
}

fn member(group: &Group, index: usize) -> &Member {
    &group.places[index].member
}

#[test]
fn requests_are_shared_by_weight_to_within_a_few_and_without_runs() {
    for weights in [&[1, 1][..], &[3, 1], &[5, 3, 2], &[1000, 1], &[7, 0, 7, 1, 1]] {
        let total: u32 = weights.iter().sum();
        let turns = 1_000;
        for (weight, count) in weights.iter().zip(shares(&group(weights), turns)) {
            let fair = f64::from(*weight) * turns as f64 / f64::from(total);
            assert!((count as f64 - fair).abs() <= 4.0, "{weights:?}: {count} of {fair}");
        }
    }
    let even = group(&[1, 1]);
    let picked: Vec<_> = (0..1_000).map(|_| even.pick(0).unwrap()).collect();
    assert!(picked.windows(3).all(|three| three.contains(&0) && three.contains(&1)), "no three in a row");
}

#[test]
fn a_weight_of_zero_gets_nothing_whatever_becomes_of_the_others() {
    let group = group(&[0, 1, 1]);
    fail(&group, 1, 9);
    member(&group, 2).checked(Some("ill"));
    assert_eq!(shares(&group, 100)[0], 0);
    assert_eq!(group.pick(0b110), None);
    assert!(!group.has_untried(0b110));
}

#[test]
fn one_that_was_tried_is_not_tried_again_and_one_that_is_out_only_before_giving_up() {
    let group = group(&[1, 1, 1]);
    member(&group, 2).checked(Some("ill"));
    assert_eq!(group.pick(0b001), Some(1));
    assert_eq!(group.pick(0b011), Some(2), "better than to give up");
    assert_eq!(group.pick(0b111), None);
}

#[test]
fn three_failures_in_a_row_leave_an_upstream_out_and_an_answer_between_them_does_not() {
    let group = group(&[1, 1]);
    fail(&group, 0, 2);
    member(&group, 0).answered();
    fail(&group, 0, 2);
    assert!(member(&group, 0).is_in());
    fail(&group, 0, 1);
    assert!(!member(&group, 0).is_in());
    assert_eq!(shares(&group, 50), [0, 50]);
    assert_eq!(member(&group, 0).figures.up.get(), 0);
}

#[test]
fn the_last_upstream_is_never_left_out() {
    let pair = group(&[1, 1]);
    fail(&pair, 0, 5);
    fail(&pair, 1, 50);
    assert!(member(&pair, 1).is_in());
    let single = group(&[1]);
    fail(&single, 0, 50);
    assert_eq!((single.pick(0), single.pick(1)), (Some(0), None));
    assert!(member(&single, 0).is_in());
    // One that is drained or not healthy is nobody to fall back on.
    let drained = group(&[1, 0]);
    fail(&drained, 0, 50);
    assert!(member(&drained, 0).is_in());
    let ill = group(&[1, 1]);
    member(&ill, 1).checked(Some("ill"));
    fail(&ill, 0, 50);
    assert!(member(&ill, 0).is_in());
}

#[test]
fn each_ejection_lasts_twice_as_long_up_to_five_minutes_and_is_forgotten_after_five_good_ones() {
    let group = group(&[1, 1]);
    let member = member(&group, 0);
    let mut now = Instant::now();
    for seconds in [10, 20, 40, 80, 160, 300, 300] {
        member.eject(now);
        member.let_in(now + Duration::from_millis(seconds * 1_000 - 1));
        assert!(!member.is_in(), "{seconds}");
        now += Duration::from_secs(seconds);
        member.let_in(now);
        assert!(member.is_in(), "{seconds}");
    }
    assert_eq!(member.figures.ejections.get(), 7);
    group.failed(0);
    assert!(!member.is_in(), "the first failure after it is one too many");
    member.let_in(now + Duration::from_secs(600));
    member.eject(now + Duration::from_secs(1_200));
    member.let_in(now + Duration::from_secs(1_210));
    assert!(member.is_in());
}

#[test]
fn one_check_decides_at_first_then_three_take_out_and_two_bring_back() {
    let group = group(&[1, 1]);
    let member = member(&group, 0);
    member.checked(Some("ill"));
    assert!(!member.is_in());
    member.checked(None);
    assert!(!member.is_in());
    member.checked(None);
    assert!(member.is_in());
    member.checked(Some("ill"));
    member.checked(Some("ill"));
    member.checked(None);
    member.checked(Some("ill"));
    member.checked(Some("ill"));
    assert!(member.is_in());
    member.checked(Some("ill"));
    assert!(!member.is_in());
}

#[test]
fn where_none_is_healthy_all_are_tried() {
    let group = group(&[1, 1]);
    member(&group, 0).checked(Some("ill"));
    member(&group, 1).checked(Some("ill"));
    assert!(shares(&group, 100).iter().all(|count| (48..=52).contains(count)));
}

#[test]
fn a_reload_keeps_what_is_known_of_upstreams_that_stay() {
    let metrics = Metrics::new();
    let members = Members::new(metrics.upstreams.clone());
    let keep = |group: &Group| members.keep(group.places().map(|place| &place.member));
    let before = of(&members, &[1, 1, 1], true);
    keep(&before);
    fail(&before, 0, 3);
    member(&before, 1).checked(Some("ill"));

    let after = of(&members, &[1, 2], true);
    keep(&after);
    assert!(!member(&after, 0).is_in() && !member(&after, 1).is_in());
    let text = metrics.text();
    assert!(text.contains("sekisho_upstream_up{route=\"tool\",upstream=\"unix:/1\"} 0"), "{text}");
    assert!(!text.contains("unix:/2"), "{text}");

    let unchecked = of(&members, &[1, 1], false);
    assert!(member(&unchecked, 1).is_in(), "nobody would find out that it is well again");
    assert!(!member(&unchecked, 0).is_in(), "its ejection ends by itself");
}

#[test]
fn what_was_seen_under_other_tls_settings_says_nothing() {
    let members = Members::new(Metrics::new().upstreams);
    let before = members.of("tool", "https://a", 1);
    before.eject(Instant::now());
    before.checked(Some("ill"));
    assert!(!members.of("tool", "https://a", 1).is_in());
    let after = members.of("tool", "https://a", 2);
    assert!(after.is_in() && Arc::ptr_eq(&before, &after));
}
