use super::*;

const ROLES: [Role; 4] = [Role::User, Role::Viewer, Role::Manager, Role::Admin];

fn party(id: u8, role: Role) -> Party {
    Party { id: UserId::from_bytes([id; 10]), role }
}

/// For each act: who may do it to a user, a viewer, a manager, an admin; `-` nobody, `a` admins, `m` managers and above, `v`
/// viewers and above. Then whether each role may do it to themselves: `y`, `o` (not to oneself), `n` (the role is too low).
const TABLE: [(Act, [char; 4], [char; 4]); 18] = {
    use Act::*;
    [
        (View, ['v', 'v', 'v', 'v'], ['n', 'y', 'y', 'y']),
        (EditName, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'y']),
        (EditLogin, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'o']),
        (EditAddress, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'o']),
        (EditGroups, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'y']),
        (ChangeRole, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'o']),
        (Disable, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'o']),
        (Unlock, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'y']),
        (SwitchSecondFactor, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'o']),
        (ResetSecondFactor, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'o']),
        (ChangeMethod, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'o']),
        (SetPassword, ['-', '-', '-', '-'], ['n', 'n', 'n', 'n']),
        (ForcePasswordChange, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'o']),
        (SendLink, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'o']),
        (EndSessions, ['m', 'm', 'a', 'a'], ['y', 'y', 'y', 'y']),
        (ForgetDevices, ['m', 'm', 'a', 'a'], ['y', 'y', 'y', 'y']),
        (SetToolLogin, ['m', 'm', 'a', 'a'], ['y', 'y', 'y', 'y']),
        (Delete, ['m', 'm', 'a', 'a'], ['n', 'n', 'n', 'o']),
    ]
};

#[test]
fn every_act_of_every_role_on_every_role_is_as_the_table_says() {
    assert_eq!(TABLE.map(|(act, ..)| act), Act::ALL);
    for (act, others, oneself) in TABLE {
        for actor in ROLES {
            for (subject, least) in ROLES.into_iter().zip(others) {
                let may = match least {
                    'a' => actor == Role::Admin,
                    'm' => actor >= Role::Manager,
                    'v' => actor >= Role::Viewer,
                    _ => false,
                };
                let expected = if may { Ok(()) } else { Err(Refusal::Role) };
                assert_eq!(judge(party(1, actor), act, party(2, subject)), expected, "{actor} {act:?} {subject}");
            }
        }
        for (role, may) in ROLES.into_iter().zip(oneself) {
            let expected = match may {
                'y' => Ok(()),
                'o' => Err(Refusal::Oneself),
                _ => Err(Refusal::Role),
            };
            assert_eq!(judge(party(1, role), act, party(1, role)), expected, "{role} {act:?} themselves");
        }
    }
}

#[test]
fn a_role_is_given_by_whoever_could_edit_its_holder() {
    for actor in ROLES {
        for given in ROLES {
            let may = actor == Role::Admin || (actor == Role::Manager && given <= Role::Viewer);
            assert_eq!(give_role(actor, given).is_ok(), may, "{actor} gives {given}");
        }
    }
}

#[test]
fn a_manager_gives_and_takes_only_groups_of_their_own() {
    let set = |names: &str| names.split_whitespace().map(|name| name.parse().unwrap()).collect::<BTreeSet<Group>>();
    let own = set("ops shop");
    let out = |role, before, after| {
        group_out_of_reach(role, &own, &set(before), &set(after)).map(|group| group.as_str().to_owned())
    };
    for (before, after, expected) in [
        ("", "ops shop", None),
        ("ops", "shop", None),
        ("books", "books", None),
        ("books", "books ops", None),
        ("", "books", Some("books")),
        ("books ops", "ops", Some("books")),
        ("", "OPS", Some("OPS")),
    ] {
        assert_eq!(out(Role::Manager, before, after).as_deref(), expected, "{before} → {after}");
        assert_eq!(out(Role::Admin, before, after), None);
    }
}

#[test]
fn seeing_begins_with_viewers_and_adding_with_managers() {
    assert_eq!([Task::See, Task::Export].map(Task::least), [Role::Viewer; 2]);
    assert_eq!([Task::Add, Task::Import].map(Task::least), [Role::Manager; 2]);
}
