//! Where the frames of a WebSocket begin and end (RFC 6455 §5.2), so that a tunnel whose session has ended is closed as the protocol
//! has it: by a close frame between two frames, never within one.
//!
//! Only the heads of frames are read. What they carry, compressed or not, passes as it came.

use crate::secret::random_bytes;

/// RFC 6455 §7.4.1: what the other end did, or goes on doing, is against somebody's policy.
const POLICY_VIOLATION: u16 = 1008;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const CLOSE: u8 = 0x8;
/// The longest that a control frame may carry (§5.5).
const CONTROL: u64 = 125;
/// The longest head of a frame, without the mask.
const LONGEST_HEAD: usize = 10;

/// Why a tunnel is closed that both its ends would have kept open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Farewell {
    SessionEnded = 1,
    /// The session lives, but may not do that any more.
    NotAllowed = 2,
}

impl Farewell {
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::SessionEnded),
            2 => Some(Self::NotAllowed),
            _ => None,
        }
    }

    /// For whoever reads logs or writes pages; a page can tell by the code.
    const fn reason(self) -> &'static str {
        match self {
            Self::SessionEnded => "session ended",
            Self::NotAllowed => "not allowed any more",
        }
    }
}

/// A tunnel between a client and a tool.
#[derive(Debug)]
pub struct Tunnel {
    /// What goes to the client.
    pub down: Frames,
    /// What goes to the tool.
    pub up: Frames,
    told: bool,
}

impl Default for Tunnel {
    fn default() -> Self {
        Self { down: Frames::after_head(), up: Frames::of_client(), told: false }
    }
}

impl Tunnel {
    /// What the client is told at the end, if something can be: nothing more where the tool has closed it already.
    pub fn last_words(&self, why: Farewell) -> Option<Vec<u8>> {
        match self.down.at {
            At::Head { have: 0, .. } => Some(close_frame(why, None)),
            At::Over => Some(Vec::new()),
            _ => None,
        }
    }

    /// The same for the tool, once; as a client would say it, which is masked (§5.3).
    pub fn last_words_to_the_tool(&mut self, why: Farewell) -> Option<Vec<u8>> {
        let first = !std::mem::replace(&mut self.told, true);
        let mask = (first && self.up.is_between()).then(|| random_bytes().ok()).flatten()?;
        Some(close_frame(why, Some(mask)))
    }
}

/// One direction, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub struct Frames {
    at: At,
    masked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the head of the answer that opens the tunnel, with so many bytes of the empty line at its end.
    Opening(u8),
    /// In the head of a frame, or with none of it between two.
    Head {
        bytes: [u8; LONGEST_HEAD],
        have: usize,
    },
    Payload {
        left: u64,
        closes: bool,
    },
    /// Behind a close frame, which is the last one (§5.5.1).
    Over,
    /// What goes by is none of what the protocol has, so nobody knows where to say something.
    Lost,
}

const BETWEEN: At = At::Head { bytes: [0; LONGEST_HEAD], have: 0 };

impl Frames {
    /// From the tool, which are not masked, behind the head of its answer.
    const fn after_head() -> Self {
        Self { at: At::Opening(0), masked: false }
    }

    const fn of_client() -> Self {
        Self { at: BETWEEN, masked: true }
    }

    /// Whether a frame may begin here.
    pub const fn is_between(&self) -> bool {
        matches!(self.at, At::Head { have: 0, .. })
    }

    /// Whether no frame has begun that has not ended.
    pub const fn is_settled(&self) -> bool {
        self.is_between() || matches!(self.at, At::Over | At::Lost)
    }

    /// These go by.
    pub fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes).max(1);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// How many of these belong to what has begun.
    pub fn rest(&self, bytes: &[u8]) -> usize {
        if self.is_settled() { 0 } else { Self::step(&mut self.clone(), bytes) }
    }

    /// Takes what comes before the next place where a frame may begin; returns how many bytes that were.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            taken += self.take(rest);
            if self.is_between() {
                break;
            }
        }
        taken
    }

    /// Takes some of these, at least one byte.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let first = bytes.first().copied().unwrap_or_default();
        match &mut self.at {
            At::Opening(seen) => {
                *seen = match (*seen, first) {
                    (0 | 2, b'\r') | (1 | 3, b'\n') => *seen + 1,
                    (_, b'\r') => 1,
                    _ => 0,
                };
                if *seen == 4 {
                    self.at = BETWEEN;
                }
                1
            }
            At::Head { bytes: head, have } => {
                if let Some(place) = head.get_mut(*have) {
                    *place = first;
                }
                *have += 1;
                if let Some(next) = behind(head, *have, self.masked) {
                    self.at = next;
                }
                1
            }
            At::Payload { left, closes } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.at = if *closes { At::Over } else { BETWEEN };
                }
                taken
            }
            At::Over | At::Lost => bytes.len(),
        }
    }
}

/// What follows a head of a frame, once it is whole.
fn behind(head: &[u8; LONGEST_HEAD], have: usize, masked: bool) -> Option<At> {
    let [first, second, rest @ ..] = head;
    if have < 2 {
        return None;
    }
    let (opcode, short) = (first & 0x0f, u64::from(second & 0x7f));
    let is_control = opcode & 0x8 != 0;
    let extended: &[u8] = match short {
        126 => &rest[..2],
        127 => &rest[..],
        _ => &[],
    };
    let is_known = matches!(opcode, 0..=2 | CLOSE..=0xa);
    let is_proper = !is_control || (short <= CONTROL && first & FINAL != 0);
    if !is_known || !is_proper || (second & MASKED != 0) != masked {
        return Some(At::Lost);
    }
    if have < 2 + extended.len() {
        return None;
    }
    let length = match extended {
        [] => short,
        bytes => bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    let Some(left) = length.checked_add(if masked { 4 } else { 0 }).filter(|_| length >> 63 == 0) else {
        return Some(At::Lost);
    };
    let closes = opcode == CLOSE;
    Some(match left {
        0 if closes => At::Over,
        0 => BETWEEN,
        _ => At::Payload { left, closes },
    })
}

/// A close frame (§5.5.1).
fn close_frame(why: Farewell, mask: Option<[u8; 4]>) -> Vec<u8> {
    let payload = [POLICY_VIOLATION.to_be_bytes().as_slice(), why.reason().as_bytes()].concat();
    let length = u8::try_from(payload.len()).unwrap_or_default();
    let mut frame = vec![FINAL | CLOSE, length | mask.map_or(0, |_| MASKED)];
    match mask {
        None => frame.extend(payload),
        Some(mask) => {
            frame.extend(mask);
            frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
    use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameSocket};

    use super::*;

    /// Frames as another implementation writes them, with where each ends.
    fn written(masked: bool) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for length in [0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000] {
            for (kind, last) in [(Data::Text, false), (Data::Continue, true), (Data::Binary, true)] {
                let mut frame = Frame::message(vec![0x88; length], OpCode::Data(kind), last);
                // As permessage-deflate marks what it has compressed.
                frame.header_mut().rsv1 = kind == Data::Binary;
                frame.header_mut().mask = masked.then_some([0x88, 0, 0x88, 0xff]);
                frame.format(&mut bytes).unwrap();
                ends.push(bytes.len());
            }
            let mut ping = Frame::ping(vec![0x88; length.min(125)]);
            ping.header_mut().mask = masked.then_some([1, 2, 3, 4]);
            ping.format(&mut bytes).unwrap();
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn the_place_between_two_frames_is_where_another_implementation_ends_one() {
        for masked in [false, true] {
            let (bytes, ends) = written(masked);
            let mut frames = if masked { Frames::of_client() } else { Frames::after_head() };
            if !masked {
                frames.follow(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
            }
            let mut found = vec![0];
            for (at, byte) in bytes.iter().enumerate() {
                frames.follow(&[*byte]);
                if frames.is_between() {
                    found.push(at + 1);
                }
            }
            assert_eq!(found, ends, "masked: {masked}");
        }
    }

    #[test]
    fn what_belongs_to_a_frame_does_not_depend_on_the_pieces_it_comes_in() {
        let (bytes, ends) = written(true);
        for cut in (0..bytes.len()).step_by(97).chain(ends.iter().copied()) {
            let (before, after) = bytes.split_at(cut);
            let mut frames = Frames::of_client();
            frames.follow(before);
            let end = *ends.iter().find(|end| **end >= cut).unwrap();
            assert_eq!(frames.rest(after), end - cut, "at {cut}");
            assert_eq!(frames.is_between(), end == cut);
        }
    }

    #[test]
    fn nothing_is_said_within_a_head_behind_a_close_frame_or_where_no_frames_are() {
        let after = |bytes: &[u8]| {
            let mut tunnel = Tunnel::default();
            tunnel.down.follow(bytes);
            tunnel.last_words(Farewell::SessionEnded)
        };
        assert_eq!(after(b"HTTP/1.1 101 Switching Protocols\r\n\r"), None);
        let open = b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n";
        let with = |frames: &[u8]| after(&[open.as_slice(), frames].concat());
        assert!(with(b"").is_some_and(|words| words.starts_with(&[0x88, 15, 3, 0xf0])));
        assert_eq!(with(&[0x81]), None, "half a head");
        assert_eq!(with(&[0x81, 126, 0]), None, "half a length");
        assert_eq!(with(&[0x81, 2, b'a']), None, "half of what it carries");
        assert_eq!(with(&[0x88, 2, 3, 0xe8]), Some(Vec::new()), "the tool has closed it");
        assert_eq!(with(&[0x88, 0]), Some(Vec::new()));
        for garbage in [&[0x83, 0][..], &[0x8b, 0], &[0x81, 0x80], &[0x09, 0], &[0x89, 126], b"hello"] {
            assert_eq!(with(garbage), None, "{garbage:?}");
        }
        assert_eq!(with(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1]), None, "no such length");
    }

    #[test]
    fn another_implementation_reads_what_both_ends_are_told() {
        let mut tunnel = Tunnel::default();
        tunnel.down.follow(b"\r\n\r\n");
        let said = tunnel.last_words(Farewell::NotAllowed).unwrap();
        let frame = FrameSocket::new(std::io::Cursor::new(said)).read(None).unwrap().unwrap();
        assert_eq!(frame.header().opcode, OpCode::Control(Control::Close));
        assert_eq!(frame.payload(), [&[3, 0xf0][..], b"not allowed any more"].concat());
        let told = tunnel.last_words_to_the_tool(Farewell::SessionEnded).unwrap();
        assert_eq!(told[1] & MASKED, MASKED);
        let plain: Vec<u8> = told[6..].iter().zip(told[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(plain, [&[3, 0xf0][..], b"session ended"].concat());
        assert_eq!(tunnel.last_words_to_the_tool(Farewell::SessionEnded), None, "once");
    }
}
