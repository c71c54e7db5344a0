//! What comes over the control socket: refused, or understood as it was meant. Whatever a client says, it costs a bounded amount of memory.

use bytes::BytesMut;
use sekisho::control::{MAX_FRAME, Malformed, Request, Response, codec};
use tokio_util::codec::Decoder;

/// Bytes that a decoder may hold beyond what came and one whole frame.
const SLACK: usize = 64 * 1024;

/// The first byte says what follows: a request's frame, a response's frame, or the bytes of a connection, in pieces.
pub fn check(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind {
        b'q' => request(rest),
        b'r' => response(rest),
        _ => connection(rest, usize::from(*kind).max(1)),
    }
}

fn request(frame: &[u8]) {
    let command = match Request::decode(frame) {
        Ok(command) => command,
        Err(malformed) => return refused(malformed),
    };
    let encoded = match Request::encode(&command) {
        Ok(encoded) => encoded,
        Err(malformed) => {
            assert!(malformed == Malformed::TooLarge && frame.len() > MAX_FRAME / 6, "{malformed}");
            return;
        }
    };
    let again = Request::decode(&encoded).expect("what was said can be understood");
    assert_eq!(*Request::encode(&again).expect("it was said before"), *encoded);
    assert_eq!(format!("{command:?}"), format!("{again:?}"));
}

fn response(frame: &[u8]) {
    let response = match Response::decode(frame) {
        Ok(response) => response,
        Err(malformed) => return refused(malformed),
    };
    let Ok(frames) = Response::encode(response.reply.clone(), response.more) else {
        assert!(frame.len() > MAX_FRAME / 6, "it came and cannot be said");
        return;
    };
    assert!(frames.iter().all(|frame| frame.len() <= MAX_FRAME));
    let mut parts = frames.iter().map(|frame| Response::decode(frame).expect("what was said can be understood"));
    let mut whole = parts.next().expect("at least one frame");
    for part in parts {
        assert!(whole.more, "a frame came after the last one");
        whole.more = part.more;
        whole.reply.append(part.reply).expect("parts of one list");
    }
    assert_eq!(whole, response);
}

/// The reason goes to the client and into logs: it quotes nothing.
fn refused(malformed: Malformed) {
    let reason = malformed.to_string();
    assert!(reason.len() < 120 && reason.is_ascii(), "{reason}");
}

fn connection(bytes: &[u8], piece: usize) {
    let mut codec = codec();
    let mut buffer = BytesMut::new();
    let mut expected = bytes;
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            let found = codec.decode(&mut buffer);
            assert!(buffer.capacity() <= MAX_FRAME + bytes.len() + SLACK, "{} bytes are held", buffer.capacity());
            // Four bytes of length, and that much: read here once more.
            let length = expected.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize);
            match found {
                Ok(Some(frame)) => {
                    let length = length.expect("a frame has a length");
                    let whole = expected.get(4..4 + length).expect("a frame that had not come");
                    assert_eq!(&frame[..], whole);
                    expected = &expected[4 + length..];
                }
                Ok(None) => break,
                Err(_) => {
                    assert!(length.is_some_and(|length| length > MAX_FRAME), "a frame was refused");
                    return;
                }
            }
        }
    }
    let length = expected.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize);
    assert!(length.is_none_or(|length| expected.len() < 4 + length && length <= MAX_FRAME), "a frame was left");
}
