use super::*;
use crate::store::engine::Version;
use crate::store::sled::testing::scratch;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
struct Note {
    text: String,
    until: Option<Timestamp>,
}

impl Record for Note {
    const KIND: &'static str = "note";
    const FORMAT: u8 = 2;
    fn expires_at(&self) -> Option<Timestamp> {
        self.until
    }
}

/// The same kind, as an older sekisho knows it.
#[derive(Debug, Serialize, serde::Deserialize)]
struct OldNote {
    text: String,
}

impl Record for OldNote {
    const KIND: &'static str = "note";
}

fn note(text: &str, until: Option<u64>) -> Note {
    Note { text: text.into(), until: until.map(Timestamp::from_secs) }
}

const NOW: Timestamp = Timestamp::from_secs(100);

async fn put(store: &Store, name: &str, note: &Note) -> Version {
    match store.commit(Change::new().put(name, note)).await.unwrap() {
        Outcome::Committed(version) => version,
        Outcome::Conflict => panic!("nothing was compared"),
    }
}

#[tokio::test]
async fn a_record_comes_back_as_it_was_put_with_its_version() {
    let (store, _dir) = scratch();
    let slot = store.get::<Note>("a", NOW).await.unwrap();
    assert_eq!((slot.record, slot.seen), (None, Expect::Absent));
    let version = put(&store, "a", &note("日本", None)).await;
    let slot = store.get::<Note>("a", NOW).await.unwrap();
    assert_eq!((slot.record, slot.seen), (Some(note("日本", None)), Expect::At(version)));
}

#[tokio::test]
async fn an_expired_record_is_absent_but_still_guards_its_name() {
    let (store, _dir) = scratch();
    let version = put(&store, "a", &note("x", Some(100))).await;
    let before = Timestamp::from_millis(99_999);
    assert!(store.get::<Note>("a", before).await.unwrap().record.is_some());
    let slot = store.get::<Note>("a", NOW).await.unwrap();
    assert_eq!((slot.record, slot.seen), (None, Expect::At(version)));
    put(&store, "a", &note("y", None)).await;
    let late = Change::new().unchanged::<Note>("a", slot.seen).put("a", &note("z", None));
    assert_eq!(store.commit(late).await.unwrap(), Outcome::Conflict);
}

#[tokio::test]
async fn a_list_passes_over_the_expired_and_still_fills_its_limit() {
    let (store, _dir) = scratch();
    let mut change = Change::new();
    for index in 0..700 {
        let until = (index % 7 != 0).then_some(1);
        change = change.put(&format!("n{index:03}"), &note(&index.to_string(), until));
    }
    store.commit(change.put("other", &note("other", None))).await.unwrap();
    let names = |listed: Vec<Listed<Note>>| listed.into_iter().map(|one| one.name).collect::<Vec<_>>();
    let all = names(store.list("n", Bound::Unbounded, usize::MAX, NOW).await.unwrap());
    assert_eq!(all, (0..700).step_by(7).map(|index| format!("n{index:03}")).collect::<Vec<_>>());
    let some = names(store.list("n", Bound::Excluded("n007"), 3, NOW).await.unwrap());
    assert_eq!(some, ["n014", "n021", "n028"]);
    assert!(names(store.list("n", Bound::Unbounded, 0, NOW).await.unwrap()).is_empty());
}

/// A kind of two segments, as the counters of failures have.
#[derive(Debug, Serialize, serde::Deserialize)]
struct Inner(u8);

impl Record for Inner {
    const KIND: &'static str = "outer/inner";
}

#[tokio::test]
async fn a_list_of_a_kind_with_two_segments_gives_names_that_can_be_used_again() {
    let (store, _dir) = scratch();
    for index in 0..5 {
        store.commit(Change::new().put(&format!("a/{index}"), &Inner(index))).await.unwrap();
    }
    let page = store.list::<Inner>("a/", Bound::Excluded("a/1"), 2, NOW).await.unwrap();
    assert_eq!(page.iter().map(|listed| listed.name.as_str()).collect::<Vec<_>>(), ["a/2", "a/3"]);
    assert_eq!(store.get::<Inner>(&page[0].name, NOW).await.unwrap().record.map(|inner| inner.0), Some(2));
    assert_eq!(name::<Inner>(&key::<Inner>("x/y")), "x/y");
    assert_eq!(name::<Inner>(&key::<Note>("x/y")), "");
}

#[tokio::test]
async fn a_record_of_a_newer_format_is_refused_and_an_older_one_is_read() {
    let (store, _dir) = scratch();
    put(&store, "new", &note("x", None)).await;
    assert!(matches!(store.get::<OldNote>("new", NOW).await, Err(StoreError::Record { .. })));
    store.commit(Change::new().put("old", &OldNote { text: "y".into() })).await.unwrap();
    assert_eq!(store.get::<Note>("old", NOW).await.unwrap().record.unwrap().text, "y");
}

#[test]
fn what_is_not_a_record_is_an_error_that_quotes_nothing_of_it() {
    let key = key::<Note>("a");
    let good = encode(&key, &note("hunter2", None)).unwrap();
    for cut in 0..good.len() {
        assert!(decode::<Note>(&key, &good[..cut]).is_err(), "cut at {cut}");
    }
    let mut wrong = good[..HEADER].to_vec();
    wrong.extend(br#"{"text":"hunter2","until":"hunter2"}"#);
    let error = decode::<Note>(&key, &wrong).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn the_sweeper_removes_what_has_expired_and_nothing_else() {
    let (store, _dir) = scratch();
    let mut change = Change::new();
    for index in 0..600 {
        let until = if index % 2 == 0 { Some(100) } else { Some(101) };
        change = change.put(&format!("{index:03}"), &note("x", until));
    }
    store.commit(change.put("forever", &note("x", None))).await.unwrap();
    assert_eq!(store.sweep(NOW).await.unwrap().values().sum::<u64>(), 300);
    assert!(store.sweep(NOW).await.unwrap().is_empty());
    let start = Timestamp::from_secs(0);
    assert_eq!(store.list::<Note>("", Bound::Unbounded, usize::MAX, start).await.unwrap().len(), 301);
}

#[tokio::test]
async fn the_sweeper_spares_a_record_that_was_renewed_after_it_looked() {
    let (store, _dir) = scratch();
    put(&store, "renewed", &note("x", Some(1))).await;
    put(&store, "other", &note("x", Some(1))).await;
    let seen = store.raw_page("note/", None, 10).await.unwrap();
    put(&store, "renewed", &note("x", Some(1_000))).await;
    let mut swept = std::collections::BTreeMap::new();
    store.remove(&seen, &mut swept).await.unwrap();
    assert_eq!(swept, [("note".to_owned(), 1)].into());
    assert!(store.get::<Note>("renewed", NOW).await.unwrap().record.is_some());
    assert_eq!(store.get::<Note>("other", NOW).await.unwrap().seen, Expect::Absent);
}

#[tokio::test]
async fn a_list_backwards_is_the_list_backwards_without_what_has_expired() {
    let (store, _dir) = scratch();
    for index in 0..600 {
        put(&store, &format!("n/{index:03}"), &note("x", (index % 3 == 0).then_some(100))).await;
    }
    let forwards = store.list::<Note>("n/", Bound::Unbounded, 1000, NOW).await.unwrap();
    let backwards = store.list_back::<Note>("n/", Bound::Unbounded, 1000, NOW).await.unwrap();
    let names = |listed: &[Listed<Note>]| listed.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(forwards.len(), 400);
    let mut reversed = names(&backwards);
    reversed.reverse();
    assert_eq!(reversed, names(&forwards));
    let page = store.list_back::<Note>("n/", Bound::Excluded("n/590"), 3, NOW).await.unwrap();
    assert_eq!(names(&page), ["n/589", "n/587", "n/586"]);
}
