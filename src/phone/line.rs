//! The audio of one telephone call: what is said, keyed and heard.
//!
//! One task a call, for a handful of calls: clarity before speed. The server's own audio is in `media`.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{net::UdpSocket, sync::watch, task::JoinHandle, time::MissedTickBehavior};

use crate::{
    audio::{
        FRAME, FRAME_SAMPLES, SAMPLE_RATE, WIDE_RATE,
        codec::Codec,
        decoder::Decoder,
        encoder::Encoder,
        halfband::{Doubler, Halver},
        resample::resample,
        tone,
    },
    rtp::{
        Security,
        packet::Packet,
        srtp::{Channel, LONGEST_TRAILER},
    },
    sdp::Negotiated,
};

/// A frame is quiet below this mean amplitude (of 32768).
const QUIET: u32 = 60;
/// So many frames of our beep are clean at least, as it begins and ends softly.
const WHOLE_BEEP: usize = (tone::BEEP.as_millis() / FRAME.as_millis()) as usize - 2;
/// The most audio that one call remembers: 15 minutes.
const LONGEST_HEARD: usize = 15 * 60 * 8000;
/// How long a key is held, and the pause after it.
const KEY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(80));

/// The audio of one call.
pub struct Line {
    socket: Arc<UdpSocket>,
    state: Arc<Mutex<State>>,
    ticks: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Line {
    /// Opens a port on `address`; nothing is sent before [`Line::connect`].
    ///
    /// # Errors
    ///
    /// When there is no such local address, or no free port.
    pub async fn open(address: IpAddr) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind((address, 0)).await?);
        let state = Arc::new(Mutex::new(State::new()));
        let (tick, ticks) = watch::channel(0);
        let task = tokio::spawn(run(socket.clone(), state.clone(), tick));
        Ok(Self { socket, state, ticks, task })
    }

    /// The port to offer.
    ///
    /// # Errors
    ///
    /// When the system cannot say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Starts, changes or holds the stream as negotiated.
    pub fn connect(&self, negotiated: &Negotiated) {
        let mut state = self.lock();
        state.use_codec(negotiated.codec);
        state.payload_type = negotiated.codec_payload_type;
        state.telephone_event = negotiated.telephone_event;
        state.remote = negotiated.direction_send.then_some(negotiated.remote);
        state.channel = match negotiated.security {
            Security::Keys { send, receive } => Some(Channel::follow(state.channel.take(), send, receive)),
            // We never offer a handshake.
            Security::None | Security::Dtls(_) => None,
        };
    }

    /// Says `samples`, of which there are 8000 a second, after what is still being said.
    pub fn say(&self, samples: Vec<i16>) {
        self.lock().say(&samples, SAMPLE_RATE);
    }

    /// Says samples of which there are 16,000 a second.
    pub fn say_wide(&self, samples: &[i16]) {
        self.lock().say(samples, WIDE_RATE);
    }

    /// How much of what was to be said has not been sent yet, in samples of the codec; pauses after keys count as well.
    #[must_use]
    pub fn unsaid(&self) -> usize {
        let left = |saying: &Saying| match saying {
            Saying::Audio { samples, from } => samples.len() - from,
            Saying::Key { .. } => 0,
        };
        self.lock().saying.iter().map(left).sum()
    }

    /// Presses keys by RFC 4733, or by their tones where telephone-event was not negotiated. Unknown keys are pauses of 1 s.
    pub fn press(&self, keys: &str) {
        let mut state = self.lock();
        for key in keys.chars() {
            let event = "0123456789*#ABCD".find(key.to_ascii_uppercase()).and_then(|at| u8::try_from(at).ok());
            let pressed = match (event, state.telephone_event) {
                (None, _) => vec![0; SAMPLE_RATE as usize],
                (Some(event), Some(_)) => {
                    state.saying.push_back(Saying::Key { event, sent: 0, ended: 0 });
                    Vec::new()
                }
                (Some(_), None) => tone::key(key, KEY.0).unwrap_or_default(),
            };
            let pause = vec![0; usize::try_from(KEY.1.as_millis() * 8).unwrap_or(0)];
            state.say(&[pressed, pause].concat(), SAMPLE_RATE);
        }
    }

    /// Everything heard so far at 16,000 samples a second.
    #[must_use]
    pub fn heard_wide(&self) -> Vec<i16> {
        self.lock().heard_wide.clone()
    }

    /// Everything heard so far, silence where nothing came.
    #[must_use]
    pub fn heard(&self) -> Vec<i16> {
        self.lock().heard.clone()
    }

    /// How many samples were heard so far: a place for the `wait_` functions to start from.
    #[must_use]
    pub fn position(&self) -> usize {
        self.lock().heard.len()
    }

    /// Waits until everything was said. `false` when `limit` has passed before.
    pub async fn wait_until_said(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.saying.is_empty().then_some(())).await.is_some()
    }

    /// Waits until a voice or a tone is heard after `from`; says where it began.
    pub async fn wait_for_audio(&self, from: usize, limit: Duration) -> Option<usize> {
        self.wait(limit, |state| {
            let frames = frames(&state.heard, from);
            let loud: Vec<bool> = frames.map(|frame| loudness(frame) >= QUIET).collect();
            loud.windows(3).position(|three| three == [true; 3]).map(|frame| from + frame * FRAME_SAMPLES)
        })
        .await
    }

    /// Waits until nothing has been heard for `span`, counted from `from` at the earliest.
    pub async fn wait_for_quiet(&self, from: usize, span: Duration, limit: Duration) -> Option<()> {
        self.wait(limit, |state| {
            let quiet_tail = frames(&state.heard, from).rev().take_while(|frame| loudness(frame) < QUIET).count();
            // A server that sends nothing is quiet too.
            (FRAME * u32::try_from(quiet_tail).unwrap_or(u32::MAX) + state.heard_at.elapsed() >= span).then_some(())
        })
        .await
    }

    /// Waits for the beep after `from`: 100 ms or more of a clean 1000 Hz tone that has ended. Says where it ended.
    ///
    /// A busy server may stop for a while in the middle of it: only where the whole beep of ours was heard, its end is believed at once.
    pub async fn wait_for_beep(&self, from: usize, limit: Duration) -> Option<usize> {
        self.wait(limit, |state| {
            let clean: Vec<bool> = frames(&state.heard, from).map(is_beep).collect();
            let followed = clean.windows(6).position(|six| six == [true, true, true, true, true, false]);
            // A server that sends nothing after the beep leaves no frame behind it.
            let patience = if clean.ends_with(&[true; WHOLE_BEEP]) { FRAME * 3 } else { FRAME * 25 };
            let stopped = || clean.ends_with(&[true; 5]) && state.heard_at.elapsed() > patience;
            followed.map(|at| at + 5).or_else(|| stopped().then_some(clean.len())).map(|at| from + at * FRAME_SAMPLES)
        })
        .await
    }

    /// Looks at the state every 20 ms until `look` finds something.
    async fn wait<T>(&self, limit: Duration, mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let mut ticks = self.ticks.clone();
        let search = async {
            loop {
                let found = look(&self.lock());
                if found.is_some() {
                    return found;
                }
                if ticks.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(limit, search).await.ok().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct State {
    remote: Option<SocketAddr>,
    codec: Codec,
    payload_type: u8,
    telephone_event: Option<u8>,
    saying: VecDeque<Saying>,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    /// What protects both directions, if the call is encrypted.
    channel: Option<Channel>,
    /// The RTP timestamp of `heard[0]`, and the stream it belongs to.
    heard_from: Option<(u32, u32)>,
    heard: Vec<i16>,
    heard_wide: Vec<i16>,
    doubler: Doubler,
    halver: Halver,
    encoder: Encoder,
    decoder: Decoder,
    /// When the latest packet came.
    heard_at: Instant,
}

enum Saying {
    Audio { samples: Vec<i16>, from: usize },
    Key { event: u8, sent: u16, ended: u8 },
}

impl State {
    fn new() -> Self {
        Self {
            remote: None,
            codec: Codec::Pcmu,
            payload_type: 0,
            telephone_event: None,
            saying: VecDeque::new(),
            sequence: rand::random_range(0..1 << 15),
            timestamp: rand::random(),
            ssrc: rand::random(),
            channel: None,
            heard_from: None,
            heard: Vec::new(),
            heard_wide: Vec::new(),
            doubler: Doubler::default(),
            halver: Halver::default(),
            encoder: Encoder::new(Codec::Pcmu),
            decoder: Decoder::new(Codec::Pcmu),
            heard_at: Instant::now(),
        }
    }

    fn use_codec(&mut self, codec: Codec) {
        if codec != self.codec {
            self.codec = codec;
            self.encoder = Encoder::new(codec);
            self.decoder = Decoder::new(codec);
            self.heard_from = None;
        }
    }

    fn say(&mut self, samples: &[i16], rate: u32) {
        let samples = resample(samples, rate, self.codec.sample_rate());
        self.saying.push_back(Saying::Audio { samples, from: 0 });
    }

    /// The next 20 ms of what is said: a packet, and where it goes.
    fn next_packet(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        let remote = self.remote?;
        self.sequence = self.sequence.wrapping_add(1);
        let frame_units = FRAME_SAMPLES as u32 * self.codec.clock_factor();
        self.timestamp = self.timestamp.wrapping_add(frame_units);
        let mut packet = Packet {
            marker: false,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            payload: &[],
        };
        let mut bytes = match self.saying.front_mut() {
            Some(Saying::Key { event, sent, ended }) => {
                let length = u16::try_from(KEY.0.as_millis() * u128::from(self.codec.clock_rate()) / 1000).unwrap_or(u16::MAX);
                packet.marker = *sent == 0;
                // All packets of one key carry the time it began (RFC 4733 §2.5.1.2).
                let repeated = u32::from(ended.saturating_sub(1)) * frame_units;
                packet.timestamp = self.timestamp.wrapping_sub(u32::from(*sent) + repeated);
                packet.payload_type = self.telephone_event.unwrap_or(101);
                *sent = sent.saturating_add(frame_units as u16).min(length);
                let over = *sent == length;
                *ended += u8::from(over);
                let [high, low] = sent.to_be_bytes();
                let payload = [*event, u8::from(over) << 7 | 10, high, low];
                packet.payload = &payload;
                let bytes = packet.to_bytes();
                if *ended == 3 {
                    self.saying.pop_front();
                }
                bytes
            }
            Some(Saying::Audio { samples, from }) => {
                let frame_samples = self.codec.frame_samples();
                let mut frame = samples[*from..].iter().copied().take(frame_samples).collect::<Vec<_>>();
                *from += frame.len();
                let over = *from == samples.len();
                frame.resize(frame_samples, 0);
                if over {
                    self.saying.pop_front();
                }
                let mut payload = Vec::new();
                self.encoder.encode(&frame, &mut payload);
                packet.payload = &payload;
                packet.to_bytes()
            }
            None => {
                let mut payload = Vec::new();
                self.encoder.encode(&vec![0; self.codec.frame_samples()], &mut payload);
                packet.payload = &payload;
                packet.to_bytes()
            }
        };
        if let Some(channel) = &mut self.channel {
            let length = bytes.len();
            bytes.resize(length + LONGEST_TRAILER, 0);
            let length = channel.protector.protect(&mut bytes, length)?;
            bytes.truncate(length);
        }
        Some((bytes, remote))
    }

    fn hear(&mut self, datagram: &mut [u8]) {
        let datagram = match &mut self.channel {
            Some(channel) => match channel.unprotector.unprotect(datagram) {
                Ok(length) => &datagram[..length],
                Err(_) => return,
            },
            None => datagram,
        };
        let Some(packet) = Packet::parse(datagram) else { return };
        if packet.payload_type != self.payload_type {
            return;
        }
        let Some(length) = self.codec.length(packet.payload) else { return };
        let mut samples = vec![0; length as usize * self.decoder.factor()];
        self.decoder.decode(packet.payload, &mut samples);
        self.heard_at = Instant::now();
        let here = self.heard.len();
        let (stream, start) = *self.heard_from.get_or_insert((packet.ssrc, packet.timestamp));
        let clock_factor = self.codec.clock_factor();
        let mut at = (packet.timestamp.wrapping_sub(start) / clock_factor) as usize;
        if stream != packet.ssrc || at > here + 60 * 8000 {
            // Another stream, or a leap: it goes on from here.
            let before = u32::try_from(here).unwrap_or(u32::MAX).wrapping_mul(clock_factor);
            self.heard_from = Some((packet.ssrc, packet.timestamp.wrapping_sub(before)));
            at = here;
        }
        let end = at + length as usize;
        if end > LONGEST_HEARD {
            return;
        }
        if end > here {
            self.heard.resize(end, 0);
            self.heard_wide.resize(2 * end, 0);
        }
        let mut other = Vec::new();
        let (narrow, wide) = if self.codec.is_wideband() {
            self.halver.push(&samples, &mut other);
            (&other, &samples)
        } else {
            self.doubler.push(&samples, &mut other);
            (&samples, &other)
        };
        self.heard[at..end].copy_from_slice(narrow);
        self.heard_wide[2 * at..2 * end].copy_from_slice(wide);
    }
}

async fn run(socket: Arc<UdpSocket>, state: Arc<Mutex<State>>, tick: watch::Sender<u64>) {
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut datagram = [0; 2048];
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        tokio::select! {
            _ = frames.tick() => {
                let packet = lock().next_packet();
                if let Some((bytes, remote)) = packet {
                    // An unreachable peer shows itself by SIP, or by silence.
                    let _ = socket.send_to(&bytes, remote).await;
                }
                tick.send_modify(|ticks| *ticks += 1);
            }
            received = socket.recv_from(&mut datagram) => {
                if let Ok((length, _)) = received {
                    lock().hear(&mut datagram[..length]);
                }
            }
        }
    }
}

fn frames(heard: &[i16], from: usize) -> std::slice::ChunksExact<'_, i16> {
    heard[from.min(heard.len())..].chunks_exact(FRAME_SAMPLES)
}

fn loudness(frame: &[i16]) -> u32 {
    frame.iter().map(|&sample| u32::from(sample.unsigned_abs())).sum::<u32>() / FRAME_SAMPLES as u32
}

/// Whether nearly all of a frame's energy lies at 1000 Hz (Goertzel).
fn is_beep(frame: &[i16]) -> bool {
    let step = 2.0 * (std::f64::consts::TAU * 1000.0 / 8000.0).cos();
    let (mut one, mut two, mut energy) = (0.0, 0.0, 0.0);
    for &sample in frame {
        let sample = f64::from(sample);
        (one, two) = (sample + step * one - two, one);
        energy += sample * sample;
    }
    let tone = (one * one + two * two - step * one * two) * 2.0 / frame.len() as f64;
    energy / frame.len() as f64 > 1e5 && tone > 0.9 * energy
}
