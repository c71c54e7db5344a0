use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::control::socket::bind;
use crate::control::{AccountFilter, Client, ClientError};

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
    stop: CancellationToken,
    task: JoinHandle<()>,
    control: Control,
}

/// A server that answers every command with [`Reply::Ended`] of 7.
fn start() -> Place {
    start_with(LIMITS)
}

fn start_with(limits: Limits) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let (control, file) = begin(bind(path.clone()).unwrap()).unwrap();
    let stop = CancellationToken::new();
    let handler: Handler = Arc::new(|_, _| Box::pin(async { Reply::Ended(7) }));
    let ends = Ends::of(&control, stop.clone());
    let task = tokio::spawn(accept(Arc::clone(&control.listener), file, handler, limits, ends));
    Place { _folder: folder, path, stop, task, control }
}

async fn ask(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(bytes);
    frame
}

#[tokio::test]
async fn one_connection_carries_several_requests() {
    let place = start();
    let mut client = Client::connect(&place.path).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.ask(&Command::UserList(AccountFilter::default())).await.unwrap(), Reply::Ended(7));
    }
}

#[tokio::test]
async fn an_unknown_command_gets_an_error_in_words() {
    let place = start();
    let answer = ask(&place.path, &framed(br#"{"version":1,"command":"make_tea"}"#)).await;
    let reply = Response::decode(&answer[4..]).unwrap().reply;
    let Reply::Failed { reason } = reply else { panic!("{reply:?}") };
    assert!(reason.contains("unknown"), "{reason}");
}

#[tokio::test]
async fn a_frame_over_the_limit_closes_the_connection_and_nothing_else() {
    let place = start();
    let mut frame = u32::try_from(MAX_FRAME + 1).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(b"x");
    assert!(ask(&place.path, &frame).await.is_empty());
    let mut client = Client::connect(&place.path).await.unwrap();
    assert_eq!(client.ask(&Command::UserList(AccountFilter::default())).await.unwrap(), Reply::Ended(7));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_sent_away_and_its_seat_is_free_again() {
    let place = start_with(Limits { clients: 3, idle: Duration::from_millis(100) });
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(UnixStream::connect(&place.path).await.unwrap());
    }
    // There is no seat for this one until a silent one has been sent away.
    let mut client = Client::connect(&place.path).await.unwrap();
    assert_eq!(client.ask(&Command::UserList(AccountFilter::default())).await.unwrap(), Reply::Ended(7));
    let mut byte = [0];
    assert_eq!(silent[0].read(&mut byte).await.unwrap(), 0);
}

#[tokio::test]
async fn the_end_takes_the_file_away_and_the_client_is_told() {
    let place = start();
    let mut client = Client::connect(&place.path).await.unwrap();
    assert!(client.ask(&Command::UserList(AccountFilter::default())).await.is_ok());
    place.stop.cancel();
    place.task.await.unwrap();
    assert!(!place.path.exists());
    assert!(client.ask(&Command::UserList(AccountFilter::default())).await.is_err());
    assert!(matches!(Client::connect(&place.path).await, Err(ClientError::NobodyThere)));
}

#[tokio::test]
async fn after_a_hand_over_what_was_begun_is_answered_and_the_socket_is_the_other_gateways() {
    let place = start();
    let mut busy = Client::connect(&place.path).await.unwrap();
    let list = Command::UserList(AccountFilter::default());
    assert_eq!(busy.ask(&list).await.unwrap(), Reply::Ended(7));
    let (socket, path) = place.control.descriptor().unwrap();
    place.control.retire(true);
    place.control.retired().await;
    place.task.await.unwrap();
    assert!(matches!(busy.ask(&list).await, Err(ClientError::Closed | ClientError::Broken(_))));
    // Whoever comes now waits for the other one.
    let ours = crate::control::adopt(socket, path).unwrap();
    assert!(UnixStream::connect(&place.path).await.is_ok());
    drop(ours);
    assert!(!place.path.exists());
}
