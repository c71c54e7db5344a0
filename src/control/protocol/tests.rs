use proptest::prelude::*;

use super::*;

fn row(login: &str) -> AccountRow {
    AccountRow {
        id: "0000000000000000".into(),
        login: login.into(),
        name: "Alice".into(),
        email: None,
        role: Role::Admin,
        groups: vec!["ops".into()],
        second_factor: SecondFactorRow {
            switched_on: true,
            method: Method::Totp,
            enrolled: false,
            recovery_codes_left: None,
        },
        last_login: None,
        registered_at: "2026-11-21T08:15:00Z".into(),
        disabled: false,
        locked_until: None,
        password_set: true,
        must_change_password: false,
    }
}

#[test]
fn a_command_survives_its_frame() {
    let changes = Changes { password: Some(PasswordText("Correct-Horse-1".into())), ..Changes::default() };
    let command = Command::UserSet { who: "alice".into(), changes };
    let frame = Request::encode(&command).unwrap();
    let Command::UserSet { who, changes } = Request::decode(&frame).unwrap() else { panic!("another command") };
    assert_eq!(who, "alice");
    assert_eq!(changes.password.unwrap().0.expose_secret(), "Correct-Horse-1");
    assert!(changes.name.is_none());
}

#[test]
fn a_password_is_not_in_the_debug_output() {
    let changes = Changes { password: Some(PasswordText("Correct-Horse-1".into())), ..Changes::default() };
    let command = Command::UserSet { who: "alice".into(), changes };
    assert!(!format!("{command:?}").contains("Horse"));
}

#[test]
fn an_unknown_command_is_told_from_garbage_and_from_another_version() {
    let decode = |text: &str| Request::decode(text.as_bytes()).unwrap_err();
    assert_eq!(decode(r#"{"version":1,"command":"make_tea"}"#), Malformed::UnknownCommand);
    assert_eq!(decode(r#"{"version":1,"command":{"user_show":{}}}"#), Malformed::UnknownCommand);
    assert_eq!(decode(r#"{"version":1}"#), Malformed::UnknownCommand);
    assert_eq!(decode(r#"{"version":2,"command":"user_list"}"#), Malformed::OtherVersion(2));
    assert_eq!(decode("GET / HTTP/1.1"), Malformed::NotAMessage);
    assert_eq!(decode(""), Malformed::NotAMessage);
}

#[test]
fn a_change_that_this_version_does_not_know_is_refused_not_dropped() {
    let text = r#"{"version":1,"command":{"user_set":{"who":"alice","changes":{"shoe_size":44}}}}"#;
    assert_eq!(Request::decode(text.as_bytes()).unwrap_err(), Malformed::UnknownCommand);
}

#[test]
fn a_long_list_is_cut_into_frames_and_put_together_again() {
    let accounts = (0..9_000).map(|n| row(&format!("user-{n}"))).collect();
    let stored = |n| ToolLoginRow {
        user_id: format!("{n:016}"),
        login: format!("user-{n}"),
        route: "monitoring".into(),
        changed_at: "2026-07-01T08:00:00Z".into(),
    };
    for list in [Reply::Accounts(accounts), Reply::ToolLogins((0..20_000).map(stored).collect())] {
        let frames = Response::encode(list.clone(), false).unwrap();
        assert!(frames.len() > 1);
        assert!(frames.iter().all(|frame| frame.len() <= MAX_FRAME));
        let mut parts = frames.iter().map(|frame| Response::decode(frame).unwrap());
        let first = parts.next().unwrap();
        let (mut whole, mut more) = (first.reply, first.more);
        for part in parts {
            assert!(more, "a frame came after the last one");
            more = part.more;
            whole.append(part.reply).unwrap();
        }
        assert!(!more);
        assert_eq!(whole, list);
    }
}

#[test]
fn a_row_that_fits_no_frame_is_an_error() {
    let giant = row(&"x".repeat(MAX_FRAME));
    assert_eq!(Response::encode(Reply::Accounts(vec![giant]), false), Err(Malformed::TooLarge));
}

#[test]
fn parts_of_different_lists_do_not_mix() {
    let mut accounts = Reply::Accounts(vec![]);
    assert!(accounts.append(Reply::Sessions(vec![])).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Request::decode(&bytes);
        let _ = Response::decode(&bytes);
    }

    #[test]
    fn no_damaged_frame_makes_the_decoder_panic(at in 0usize..60, byte in any::<u8>()) {
        let mut frame = Request::encode(&Command::UserShow { who: "alice".into() }).unwrap().to_vec();
        if let Some(place) = frame.get_mut(at) { *place = byte; }
        let _ = Request::decode(&frame);
    }
}
