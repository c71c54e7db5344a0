use super::*;
use crate::service::testing::Bench;

const HOUR: Duration = Duration::from_secs(3600);

fn by() -> Shower<'static> {
    Shower { client: "192.0.2.1".parse().unwrap(), user_agent: None }
}

async fn add(bench: &Bench) -> (Token, MachineToken) {
    let route = bench.services.config.load().routes.iter().next().unwrap().1.name.clone();
    let new = NewToken { name: "deploy".parse().unwrap(), routes: BTreeSet::from([route]), lifetime: HOUR };
    let added = bench.services.tokens.add(new, bench.now()).await.unwrap().unwrap();
    let value = crate::secret::ExposeSecret::expose_secret(&added.value).to_owned();
    (machine_token::read(&value).unwrap(), added.token)
}

async fn good(bench: &Bench, token: &Token) -> Option<Arc<LiveToken>> {
    match bench.services.tokens.judge(Some(token), by(), bench.now()).await.unwrap() {
        Judged::Good(live) => Some(live),
        Judged::Bad | Judged::TooMany { .. } => None,
    }
}

#[tokio::test]
async fn a_revoked_token_does_not_come_back_by_having_been_used() {
    let bench = Bench::new(|_| {});
    let (token, record) = add(&bench).await;
    let tokens = &bench.services.tokens;
    let live = good(&bench, &token).await.unwrap();
    tokens.touch(&live, by().client, bench.now());
    assert!(tokens.revoke(record.id, bench.now()).await.unwrap());
    assert!(live.ended().is_cancelled());
    tokens.write_behind(bench.now(), true).await;
    assert!(tokens.list(bench.now()).await.unwrap().is_empty());
    assert!(good(&bench, &token).await.is_none());
    assert!(!tokens.revoke(record.id, bench.now()).await.unwrap());
}

#[tokio::test]
async fn a_token_that_another_node_has_revoked_is_dead_when_that_is_told() {
    let mut bench = Bench::new(|_| {});
    let (token, record) = add(&bench).await;
    let live = good(&bench, &token).await.unwrap();
    let here = Arc::clone(&bench.services.tokens);
    bench.restart();
    assert!(bench.services.tokens.revoke(record.id, bench.now()).await.unwrap());
    assert!(!live.ended().is_cancelled());
    here.changed(crate::store::engine::Change::Lagged, bench.now()).await;
    assert!(live.ended().is_cancelled());
    assert!(here.cached(&token.digest(), bench.now()).is_none());
}

#[tokio::test]
async fn a_token_ends_at_its_moment_in_memory_and_in_the_store() {
    let mut bench = Bench::new(|_| {});
    let (token, _) = add(&bench).await;
    let live = good(&bench, &token).await.unwrap();
    bench.advance(HOUR - Duration::from_millis(1));
    assert!(good(&bench, &token).await.is_some());
    bench.advance(Duration::from_millis(1));
    assert!(good(&bench, &token).await.is_none());
    bench.services.tokens.end_overdue(bench.now());
    assert!(live.ended().is_cancelled());
    bench.restart();
    assert!(good(&bench, &token).await.is_none());
}

#[tokio::test]
async fn the_last_use_is_written_behind_and_read_again() {
    let mut bench = Bench::new(|_| {});
    let (token, _) = add(&bench).await;
    let live = good(&bench, &token).await.unwrap();
    bench.advance(Duration::from_secs(100));
    bench.services.tokens.touch(&live, by().client, bench.now());
    let used = bench.now();
    bench.services.tokens.write_behind(bench.now(), false).await;
    bench.restart();
    let listed = bench.services.tokens.list(bench.now()).await.unwrap();
    assert_eq!(listed[0].last_used, Some(used));
    assert_eq!(listed[0].last_address.as_deref(), Some("192.0.2.1"));
}
