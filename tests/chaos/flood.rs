//! A flood of checks in an open loop: requests are due at a steady rate, whether earlier ones have
//! an answer or not.
//!
//! It writes HTTP/2 frames itself, so that it needs a fraction of the CPU of the server. It obeys
//! the server's limits of streams and bytes: a request that has to wait for them waits here, as it
//! would in Envoy, and a request without an answer is cancelled at the deadline. Like Envoy, it has
//! a limit of requests in flight (`max_requests`), and fails others without sending them.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use crate::driver::DEADLINE;

/// The answers to a flood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// Requests that were due.
    pub(crate) offered: usize,
    /// The time from due to allowed, for those that were allowed within the deadline.
    pub(crate) allowed: Vec<Duration>,
    /// Requests that the server refused or failed.
    pub(crate) refused: usize,
    /// Requests beyond the limit in flight, which were not sent.
    pub(crate) unsent: usize,
    /// Requests that got no answer within the deadline.
    pub(crate) expired: usize,
    /// Connections that ended.
    pub(crate) closed: usize,
    /// The length of the flood.
    pub(crate) took: Duration,
}

impl Answers {
    /// Returns the allowed requests per second.
    pub(crate) fn goodput(&self) -> f64 {
        self.allowed.len() as f64 / self.took.as_secs_f64()
    }

    /// Returns the latency that 99 % of the allowed requests stay below.
    pub(crate) fn p99(&self) -> Duration {
        let mut sorted = self.allowed.clone();
        sorted.sort_unstable();
        sorted
            .get(sorted.len() * 99 / 100)
            .copied()
            .unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.allowed.extend(&other.allowed);
        self.refused += other.refused;
        self.unsent += other.unsent;
        self.expired += other.expired;
        self.closed += other.closed;
        self.took = self.took.max(other.took);
    }
}

/// The pace of a flood.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// Requests per second, and the most in flight, on all connections together.
    Open(f64, usize),
    /// So many requests at once on each connection; measures the capacity.
    Closed(usize),
}

/// Sends messages to a check listener until they are used up or the time is over. Blocks.
pub(crate) fn flood(
    to: SocketAddr,
    messages: Vec<Vec<u8>>,
    pace: Pace,
    limit: Duration,
) -> Answers {
    let each = messages.len().div_ceil(CONNECTIONS);
    let mut messages = messages.into_iter();
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let share: Vec<_> = messages.by_ref().take(each).collect();
            thread::spawn(move || Connection::open(to).run(share, pace, limit))
        })
        .collect();
    let mut answers = Answers::default();
    for thread in threads {
        answers.add(&thread.join().unwrap());
    }
    answers
}

struct Connection {
    stream: TcpStream,
    state: Arc<Mutex<State>>,
}

struct State {
    open: HashMap<u32, Instant>,
    /// The bytes that the server accepts on the connection.
    window: i64,
    streams: usize,
    /// Frames that the server expects in return.
    replies: Vec<u8>,
    is_closed: bool,
    answers: Answers,
}

impl Connection {
    fn open(to: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // SETTINGS_INITIAL_WINDOW_SIZE, so that no answer has to wait.
        frame(&mut begin, SETTINGS, 0, 0, &[0, 4, 0, 0x10, 0, 0]);
        frame(
            &mut begin,
            WINDOW_UPDATE,
            0,
            0,
            &(1_u32 << 30).to_be_bytes(),
        );
        stream.write_all(&begin).unwrap();
        let state = State {
            open: HashMap::new(),
            window: 65_535,
            streams: 100,
            replies: Vec::new(),
            is_closed: false,
            answers: Answers::default(),
        };
        let state = Arc::new(Mutex::new(state));
        let (reader, shared) = (stream.try_clone().unwrap(), Arc::clone(&state));
        thread::spawn(move || read(reader, &shared));
        Self { stream, state }
    }

    fn run(mut self, messages: Vec<Vec<u8>>, pace: Pace, limit: Duration) -> Answers {
        // The settings of the server.
        thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        let mut messages = messages.into_iter();
        let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        let (mut due, mut unsent) = (0, 0);
        let mut next_stream = 1;
        while begun.elapsed() < limit {
            let now = Instant::now();
            let wanted = match pace {
                Pace::Open(rate, _) => {
                    let each = rate / CONNECTIONS as f64;
                    (begun.elapsed().as_secs_f64() * each) as usize - due
                }
                Pace::Closed(count) => {
                    count.saturating_sub(self.state.lock().unwrap().open.len() + waiting.len())
                }
            };
            due += wanted;
            let sent = wanted.min(self.room(pace, waiting.len()));
            unsent += wanted - sent;
            waiting.extend(messages.by_ref().take(sent).map(|message| (now, message)));
            let bytes = self.turn(now, &mut waiting, &mut next_stream);
            if self.stream.write_all(&bytes).is_err() || self.state.lock().unwrap().is_closed {
                break;
            }
            thread::sleep(TURN);
        }
        let took = begun.elapsed();
        thread::sleep(DEADLINE);
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        let state = self.state.lock().unwrap();
        let mut answers = state.answers.clone();
        (answers.offered, answers.unsent) = (due, unsent);
        answers.expired += state.open.len() + waiting.len();
        answers.closed = usize::from(state.is_closed);
        answers.took = took;
        answers
    }

    /// Returns how many requests more may be in flight.
    fn room(&self, pace: Pace, waiting: usize) -> usize {
        let Pace::Open(_, most) = pace else {
            return usize::MAX;
        };
        let in_flight = self.state.lock().unwrap().open.len() + waiting;
        (most / CONNECTIONS).saturating_sub(in_flight)
    }

    /// Returns the frames to send now.
    fn turn(
        &self,
        now: Instant,
        waiting: &mut VecDeque<(Instant, Vec<u8>)>,
        next_stream: &mut u32,
    ) -> Vec<u8> {
        let mut state = self.state.lock().unwrap();
        let mut bytes = std::mem::take(&mut state.replies);
        let late: Vec<_> = state
            .open
            .iter()
            .filter(|(_, due)| now - **due > DEADLINE)
            .map(|(stream, _)| *stream)
            .collect();
        for stream in late {
            state.open.remove(&stream);
            state.answers.expired += 1;
            frame(&mut bytes, RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
        }
        while let Some((due, message)) = waiting.front() {
            if now - *due > DEADLINE {
                state.answers.expired += 1;
                waiting.pop_front();
                continue;
            }
            let length = message.len() as i64;
            if state.open.len() >= state.streams || state.window < length {
                break;
            }
            state.window -= length;
            state.open.insert(*next_stream, *due);
            frame(&mut bytes, HEADERS, END_HEADERS, *next_stream, &head());
            frame(&mut bytes, DATA, END_STREAM, *next_stream, message);
            *next_stream += 2;
            waiting.pop_front();
        }
        bytes
    }
}

/// Reads frames until the connection ends.
fn read(mut stream: TcpStream, state: &Mutex<State>) {
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if stream.read_exact(&mut payload).is_err() {
            break;
        }
        let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        state
            .lock()
            .unwrap()
            .received(head[3], head[4], number, &payload);
    }
    state.lock().unwrap().is_closed = true;
}

impl State {
    fn received(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        match kind {
            SETTINGS if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    let value =
                        u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
                    if setting[1] == 3 {
                        self.streams = value as usize;
                    }
                }
                frame(&mut self.replies, SETTINGS, ACK, 0, &[]);
            }
            PING if flags & ACK == 0 => frame(&mut self.replies, PING, ACK, 0, payload),
            WINDOW_UPDATE if stream == 0 => {
                let more = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
                self.window += i64::from(more);
            }
            DATA => self.answered(stream, is_allowance(payload)),
            RST_STREAM => self.answered(stream, false),
            HEADERS if flags & END_STREAM != 0 => self.answered(stream, false),
            _ => {}
        }
    }

    fn answered(&mut self, stream: u32, allowed: bool) {
        // The end of a stream that has its answer.
        let Some(due) = self.open.remove(&stream) else {
            return;
        };
        if allowed {
            self.answers.allowed.push(due.elapsed());
        } else {
            self.answers.refused += 1;
        }
    }
}

/// Returns whether a message begins with a `google.rpc.Status` (field 1) without a code (field 1),
/// which means OK.
fn is_allowance(message: &[u8]) -> bool {
    matches!(message, [_, _, _, _, _, 0x0a, len, rest @ ..] if *len == 0 || rest.first() != Some(&0x08))
}

/// Appends a frame (RFC 9113 section 4.1).
fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    bytes.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
}

/// Returns the header block of every request: indexed or literal fields without indexing
/// (RFC 7541 section 6.2.2).
fn head() -> Vec<u8> {
    // `:method: POST`, `:scheme: http`.
    let mut block = vec![0x83, 0x86];
    let mut field = |name: &[u8], value: &str| {
        block.extend(name);
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    };
    field(&[0x04], "/envoy.service.auth.v3.Authorization/Check");
    field(&[0x01], "check");
    field(&[0x0f, 0x10], "application/grpc");
    field(b"\x00\x02te", "trailers");
    field(b"\x00\x0cgrpc-timeout", "250m");
    block
}

/// The connections of a flood.
const CONNECTIONS: usize = 4;

/// The pause between two looks for due requests.
const TURN: Duration = Duration::from_millis(1);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const CANCEL: u32 = 8;
