use super::*;
use crate::authn::user::Method;

const INTERVAL: Duration = Duration::from_secs(100);
const NOW: Timestamp = Timestamp::from_secs(1_000);

fn due(policy: Policy, switched_on: bool, usable: bool, last: Option<u64>) -> Due {
    let account = AccountSecondFactor { switched_on, method: Method::Totp, usable };
    SecondFactorDemand { policy, recheck_interval: INTERVAL }.due(account, last.map(Timestamp::from_millis), NOW)
}

#[test]
fn a_second_factor_is_due_where_policy_switch_and_interval_say_so() {
    use Policy::{Off, PerUser, Required};
    let (fresh, stale) = (Some(999_000), Some(1));
    for (policy, switched_on, usable, last, expected) in [
        (Off, true, true, None, Due::Nothing),
        (Off, true, false, None, Due::Nothing),
        (PerUser, false, true, None, Due::Nothing),
        (PerUser, false, false, stale, Due::Nothing),
        (PerUser, true, true, None, Due::Code),
        (PerUser, true, true, stale, Due::Code),
        (PerUser, true, true, fresh, Due::Nothing),
        (PerUser, true, false, fresh, Due::Enrolment),
        (Required, false, true, None, Due::Code),
        (Required, false, true, stale, Due::Code),
        (Required, false, true, fresh, Due::Nothing),
        (Required, false, false, None, Due::Enrolment),
        (Required, true, false, fresh, Due::Enrolment),
    ] {
        assert_eq!(due(policy, switched_on, usable, last), expected, "{policy:?} {switched_on} {usable} {last:?}");
    }
}

#[test]
fn a_second_factor_counts_for_less_than_the_interval_and_never_from_the_future() {
    for (last, expected) in [
        (900_000, Due::Code),
        (900_001, Due::Nothing),
        (1_000_000, Due::Nothing),
        // Noted by another node, whose clock is a little ahead.
        (1_060_000, Due::Nothing),
        (1_060_001, Due::Code),
        (u64::MAX, Due::Code),
    ] {
        assert_eq!(due(Policy::Required, true, true, Some(last)), expected, "{last}");
    }
    let never = SecondFactorDemand { policy: Policy::Required, recheck_interval: Duration::ZERO };
    let account = AccountSecondFactor { switched_on: true, method: Method::Mail, usable: true };
    assert_eq!(never.due(account, Some(NOW), NOW), Due::Code);
}

#[test]
fn own_pages_ask_for_the_stricter_of_gateway_and_account() {
    for (gateway, switched_on, applies) in [
        (Policy::Off, false, false),
        (Policy::Off, true, true),
        (Policy::PerUser, false, false),
        (Policy::PerUser, true, true),
        (Policy::Required, false, true),
        (Policy::Required, true, true),
    ] {
        let demand = SecondFactorDemand { policy: gateway, recheck_interval: INTERVAL }.for_own_pages();
        let account = AccountSecondFactor { switched_on, method: Method::Totp, usable: true };
        assert_eq!(demand.applies_to(account), applies, "{gateway:?} {switched_on}");
        assert_eq!(demand.recheck_interval, INTERVAL);
    }
}
