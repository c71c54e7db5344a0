//! HTTP/2 frames written by hand (RFC 9113 §4, RFC 7541 §6), for what no decent client would send.

use super::Conn;

/// The client's preface, before its first frame.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

/// RFC 9113 §7: what one end thinks of the other.
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// SETTINGS with one setting (RFC 9113 §6.5.2).
pub fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat())
}

/// A field block of literal fields with new names, nothing indexed, nothing Huffman-coded (RFC 7541 §6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| [vec![0], string(name), string(value)].concat()).collect()
}

/// One field that goes into the dynamic table (RFC 7541 §6.2.1), whose newest entry is [`NEWEST`] from then on.
pub fn remembered(name: &str, value: &str) -> Vec<u8> {
    [vec![0x40], string(name), string(value)].concat()
}

/// The newest entry of the dynamic table, in one byte (RFC 7541 §6.1).
pub const NEWEST: u8 = 0x80 | 62;

/// RFC 7541 §5.2, with the length as §5.1 has it.
fn string(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match u8::try_from(text.len()).ok().filter(|length| *length < 127) {
        Some(length) => bytes.push(length),
        None => {
            bytes.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
        }
    }
    bytes.extend(text.as_bytes());
    bytes
}

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The reason that GOAWAY or RST_STREAM gives.
    pub fn reason(&self) -> Option<u32> {
        let at = match self.kind {
            GOAWAY => 4,
            RST_STREAM => 0,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().unwrap()))
    }
}

/// Waits for the next frame; `None`: the connection ended.
pub fn next(conn: &mut Conn) -> Option<Frame> {
    let head = conn.take(9);
    let [a, b, c, kind, flags, s, t, u, v] = head[..] else { return None };
    let payload = conn.take(usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c));
    Some(Frame { kind, flags, stream: u32::from_be_bytes([s & 0x7f, t, u, v]), payload })
}
