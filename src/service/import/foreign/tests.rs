use super::*;
use crate::service::testing::{Bench, new_user};

const BCRYPT: &str = "$2y$04$jY83MAVw/rKf1r3VlvRsceHGJUQRpFAXkDhUVzMOtkFFcYav05Wuq";
const SHA1: &str = "{SHA}Xc3SBVLfddFJYNuZk1xP3Zn4JGc=";
const ARGON2: &str = "$argon2id$v=19$m=65536,t=3,p=2$BpLnfgDsc2WD8F2q$o/vzA4myCqZZ36bUGsDY//8mKUYNZZaR0t4MFFSs+iM";

fn list(text: &str) -> (Format, Vec<Entry>) {
    read(text.as_bytes(), None, &Given::default()).unwrap()
}

fn reasons(entry: &Entry) -> String {
    entry.account.as_ref().unwrap_err().join("; ")
}

#[test]
fn a_line_of_htpasswd_is_an_account() {
    let text = format!(
        "# staff\n\nHanako:{BCRYPT}\r\n bob:{SHA1}:a comment \ncarol:secret-word\nno colon here\nde ve:{SHA1}\n\
         dave:realm:0123456789abcdef0123456789abcdef\n"
    );
    let (format, entries) = list(&text);
    assert_eq!(format, Format::Htpasswd);
    assert_eq!(entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8]);
    let hanako = entries[0].account.as_ref().unwrap();
    assert_eq!((hanako.login.as_str(), entries[0].login.as_str()), ("hanako", "Hanako"));
    assert_eq!(hanako.hash.as_ref().unwrap().as_str(), BCRYPT);
    assert_eq!(entries[1].account.as_ref().unwrap().hash.as_ref().unwrap().as_str(), SHA1);
    assert!(reasons(&entries[2]).contains("plain text") && !format!("{:?}", entries[2]).contains("secret-word"));
    assert!(reasons(&entries[3]).contains("login:hash") && !format!("{:?}", entries[3]).contains("colon here"));
    assert!(reasons(&entries[4]).contains("the login must be 1 to 64"));
    assert!(reasons(&entries[5]).contains("htdigest"));
}

#[test]
fn a_login_that_stands_twice_is_refused_on_every_line() {
    let (_, entries) = list(&format!("ann:{SHA1}\nbob:{SHA1}\nANN:{BCRYPT}\n"));
    assert!(reasons(&entries[0]).contains("on line 3 too") && reasons(&entries[2]).contains("on line 1 too"));
    assert!(entries[1].account.is_ok());
}

#[test]
fn a_list_of_authelias_is_known_by_its_first_key_and_read_with_all_that_sekisho_keeps() {
    let text = format!(
        "# yaml-language-server: $schema=x\nusers:\n  john:\n    disabled: false\n    displayname: 'John Doe'\n    \
         password: '{ARGON2}'\n    email: 'john.doe@example.com'\n    groups:\n      - admins\n      - dev\n    given_name: John\n  \
         harry:\n    disabled: true\n    displayname: Harry\n    password: '{{CRYPT}}$6$rounds=1000$edwq/zOB.UpsOVsd$ZOZfxKGugKbC302JbLLESxRL60lmQvL5tJGXPACwFzTnHReYCi4GQpCnAfF2Gmu7XR80rBrRZdXnwieqyPzCZ.'\n  \
         bad:\n    password: 12\n    groups: x\n  1:\n    password: x\n  none:\n"
    );
    let (format, entries) = list(&text);
    assert_eq!(format, Format::Authelia);
    let john = entries[0].account.as_ref().unwrap();
    assert_eq!((entries[0].line, john.name.as_str(), john.disabled), (3, "John Doe", false));
    assert_eq!(john.email.as_ref().unwrap().as_str(), "john.doe@example.com");
    assert_eq!(john.groups.iter().map(Group::as_str).collect::<Vec<_>>(), ["admins", "dev"]);
    assert_eq!(john.hash.as_ref().unwrap().as_str(), ARGON2);
    assert!(entries[1].account.as_ref().unwrap().disabled);
    assert!(reasons(&entries[2]).contains("`password` is no text"), "{}", reasons(&entries[2]));
    assert!(reasons(&entries[3]).contains("quotes"));
    assert!(reasons(&entries[4]).contains("nothing stands below"));
    // Authelia leaves its YAML to people who write JSON in it, too.
    let (format, entries) = list(&format!("{{\n\"users\": {{\"a\": {{\"password\": \"{ARGON2}\"}}}}}}"));
    assert_eq!((format, entries.len()), (Format::Authelia, 1));
}

#[test]
fn what_is_no_list_is_said_to_be_none() {
    let read = |text: &[u8], format| read(text, format, &Given::default()).unwrap_err();
    assert_eq!(read(b"\n# nothing\n", None), NoList::Empty);
    assert_eq!(read(b"users:\n", None), NoList::Empty);
    assert_eq!(read(b"PK\x03\x04\0\0", None), NoList::NoText);
    assert_eq!(read(b"a: b", Some(Format::Authelia)), NoList::NoUsers);
    assert!(matches!(read(b"users:\n  a: [", None), NoList::NoYaml { line: 2.., .. }));
}

#[tokio::test]
async fn who_is_there_stays_as_they_are_and_what_an_account_may_not_be_is_refused() {
    let bench = Bench::new(|_| {});
    bench.add("ann").await;
    let before = bench.services.users.show("ann", bench.now()).await.unwrap().unwrap().user.password.unwrap().hash;
    let account =
        |login: &str, hash: &str| NewUser { hash: Some(ForeignHash::parse(hash).unwrap()), ..new_user(login) };
    let by_mail = NewUser { method: Some(Method::Mail), ..account("carol", SHA1) };
    let off = NewUser { disabled: true, ..account("dave", SHA1) };
    let accounts = || vec![account("ann", SHA1), account("bob", BCRYPT)];
    let take = |accounts, rehearsal| {
        let bench = &bench;
        async move { bench.services.imports.take_over(accounts, rehearsal, &Actor::CommandLine, bench.now()).await.unwrap() }
    };
    assert_eq!(take(accounts(), true).await, [Taken::Exists, Taken::Added]);
    assert!(bench.services.users.show("bob", bench.now()).await.unwrap().is_err(), "a rehearsal adds nobody");
    assert_eq!(take(accounts(), false).await, [Taken::Exists, Taken::Added]);
    let after = bench.services.users.show("ann", bench.now()).await.unwrap().unwrap().user.password.unwrap().hash;
    assert_eq!(before, after);
    let rest = take(vec![by_mail, off], false).await;
    assert!(matches!(&rest[..], [Taken::Refused(reason), Taken::Added] if reason.contains("mail address")), "{rest:?}");
    assert!(bench.services.users.show("dave", bench.now()).await.unwrap().unwrap().user.disabled);
}

#[tokio::test]
async fn no_list_makes_every_login_slower_and_slower() {
    let bench = Bench::new(|_| {});
    let hash = |rounds: usize| {
        let hash = format!(
            "$6$rounds={rounds}$edwq$ZOZfxKGugKbC302JbLLESxRL60lmQvL5tJGXPACwFzTnHReYCi4GQpCnAfF2Gmu7XR80rBrRZdXnwieqyPzCZ."
        );
        Some(ForeignHash::parse(&hash).unwrap())
    };
    let accounts = (0..20).map(|n| NewUser { hash: hash(1000 + n), ..new_user(&format!("user-{n}")) }).collect();
    let taken = bench.services.imports.take_over(accounts, false, &Actor::CommandLine, bench.now()).await.unwrap();
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Added).count(), MOST_SCHEMES);
    assert!(matches!(&taken[19], Taken::Refused(reason) if reason.contains("slower")));
}
