//! One call's media: what its packets mean, and what it sends. Belongs to one media thread, which calls it.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    MediaConfig,
    clip::{EncodedAudio, Next, Player},
    handshake::{Handshakes, Told},
    journal::Writer,
    order::{MediaEvent, Order, PlayId, RecordSpec, RecordingEnd, Stream},
    packer::{Packer, packet_time},
    ports::Ports,
    prelude::{Matter, Prelude},
    recorder::Recorder,
    secure::Secure,
    thread::Orders,
    transcoder::Transcoder,
};
use crate::{
    audio::{
        FRAME, FRAME_SAMPLES, SAMPLE_RATE,
        codec::Codec,
        decoder::{Decoder, LONGEST_PAYLOAD},
        dtmf::{Detector, KeyTone},
        encoder::Encoder,
        opus, tone,
    },
    rtp::{
        HEADER_LENGTH, KeyReceiver, KeySender, Latch, Packet, Security, Verdict, packet,
        reception::Reception,
        rtcp::{self, Rtcp, Sent},
        srtp::LONGEST_TRAILER,
        telephone_event::Event,
    },
};

/// Comfort noise (RFC 3389): no audio, but the peer is there.
const COMFORT_NOISE: u8 = 13;
/// How often reports are sent on average (RFC 3550 §6.2), give or take a half.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// The pause between two keys that we send, in frames.
const KEY_PAUSE: u8 = 3;
/// How many keys wait to be sent, or to be told, at most.
const KEYS: usize = 64;
/// The longest frame that is sent: Opus at its loudest moments, several times its usual size.
const LONGEST_FRAME: usize = opus::LONGEST_PACKET;
/// The longest payload that is sent: three of those, and what joins them.
const LONGEST_SENT: usize = 3 * LONGEST_FRAME + 16;
/// Seconds from the beginning of NTP time to that of Unix time.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// What a session needs of its thread.
pub(super) struct Context<'a> {
    /// Since the thread was started.
    pub(super) now: Duration,
    pub(super) config: &'a MediaConfig,
    pub(super) writer: &'a Writer,
    pub(super) handshakes: &'a Handshakes,
    pub(super) orders: &'a Weak<Orders>,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    ports: Option<Ports>,
    /// See [`super::SessionSpec`].
    proven: Option<IpAddr>,
    connection: Option<Connection>,
    events: mpsc::Sender<MediaEvent>,
    /// Events that the call has no room for at the moment.
    pending: VecDeque<MediaEvent>,
    heard: Heard,
    player: Player,
    /// How far the player is, for the call to look at.
    progress: Arc<AtomicU64>,
    keys: Keys,
    sender: Sender,
    /// Collects frames where the peer wants packets of another length than ours.
    packer: Option<Packer>,
    /// For what plays in another codec than the peer's.
    transcoder: Option<Box<Transcoder>>,
    /// What a recording that is ordered now begins with.
    prelude: Prelude,
    recorder: Option<Box<Recorder>>,
    /// Recordings whose end the writer has not told yet.
    finishing: u32,
}

#[derive(Debug)]
struct Connection {
    stream: Stream,
    latch: Latch,
    /// Where the peer's reports come from, when not from where they should.
    rtcp_source: Option<SocketAddr>,
    /// What both directions are protected with, if they are.
    secure: Option<Box<Secure>>,
}

/// What came in.
#[derive(Debug, Default)]
struct Heard {
    first: bool,
    at: Duration,
    timed_out: bool,
    reception: Reception,
    keys: KeyReceiver,
    detector: Option<Box<Ear>>,
}

/// Listens for keys in the audio.
#[derive(Debug)]
struct Ear {
    decoder: Decoder,
    detector: Detector,
    /// Samples that the detector has heard.
    heard: u64,
}

/// Keys to send.
#[derive(Debug, Default)]
struct Keys {
    waiting: VecDeque<(char, Duration)>,
    current: Option<KeyOut>,
}

#[derive(Debug)]
enum KeyOut {
    Event { sender: KeySender, timestamp: u32 },
    Tone(Player),
    Pause(u8),
}

/// The stream we send.
#[derive(Debug)]
struct Sender {
    ssrc: u32,
    sequence: u16,
    /// Counts on whether we send or not.
    timestamp: u32,
    /// Whether the next audio packet is the first after a pause.
    marker: bool,
    sent: Sent,
    sent_at: Option<Duration>,
    report_due: Duration,
}

impl Connection {
    /// Whether the peer wants to hear us, and can.
    fn can_send(&self, now: Duration) -> bool {
        self.stream.send && self.may_send() && self.secure.as_ref().is_none_or(|secure| secure.is_ready(now))
    }

    /// Whether somebody has answered at the address that we would send to.
    fn may_send(&self) -> bool {
        self.latch.may_send() || self.secure.as_ref().is_some_and(|secure| secure.has_path())
    }
}

impl Session {
    pub(super) fn new(
        id: u64,
        ports: Ports,
        proven: Option<IpAddr>,
        events: mpsc::Sender<MediaEvent>,
        progress: Arc<AtomicU64>,
    ) -> Self {
        Self {
            id,
            ports: Some(ports),
            proven,
            connection: None,
            events,
            pending: VecDeque::new(),
            heard: Heard::default(),
            player: Player::default(),
            progress,
            keys: Keys::default(),
            sender: Sender {
                ssrc: rand::random(),
                // The lower half, so that no packet is lost while it wraps the first time (RFC 3711 §3.3.1).
                sequence: rand::random_range(0..1 << 15),
                timestamp: rand::random(),
                marker: true,
                sent: Sent::default(),
                sent_at: None,
                report_due: Duration::ZERO,
            },
            packer: None,
            transcoder: None,
            prelude: Prelude::default(),
            recorder: None,
            finishing: 0,
        }
    }

    /// The sockets, until the session is closed.
    pub(super) fn ports(&self) -> Option<&Ports> {
        self.ports.as_ref()
    }

    /// Whether nothing is left to do: closed, every recording ended, every event taken.
    pub(super) fn is_over(&self) -> bool {
        self.ports.is_none() && self.finishing == 0 && (self.pending.is_empty() || self.events.is_closed())
    }

    pub(super) fn obey(&mut self, order: Order, context: &Context<'_>) {
        match order {
            Order::Open(_) => {}
            Order::Connect(stream) => self.connect(*stream, context),
            Order::Play(id, clips) => {
                self.prelude.forget();
                self.player.play(id, clips);
                self.tell_progress();
            }
            Order::StopPlaying => {
                self.prelude.forget();
                self.player.stop();
            }
            Order::PausePlaying => self.player.pause(),
            Order::ResumePlaying => self.player.resume(),
            Order::Record(spec) => self.record(*spec, context),
            Order::StopRecording => self.end_recording(RecordingEnd::Stopped, u64::MAX, context),
            Order::SendDigit(digit, length) => {
                if self.keys.waiting.len() < KEYS {
                    self.keys.waiting.push_back((digit, length));
                }
            }
            Order::Recorded(event) => {
                self.finishing -= 1;
                self.tell(event);
            }
            Order::Handshake(told) => self.handshake_told(told),
            Order::Close => self.close(context),
        }
    }

    /// Takes a datagram from the RTP port, and decrypts it there if the call is protected.
    pub(super) fn take(&mut self, datagram: &mut [u8], source: SocketAddr, context: &Context<'_>) {
        let Some(Connection { stream, secure, .. }) = &mut self.connection else { return };
        let Some(secure) = secure else { return self.receive(datagram, source, context) };
        // What shares the port tells itself apart by its first byte (RFC 7983).
        match datagram.first() {
            Some(128..192) if packet::is_rtcp(datagram) => {
                if stream.rtcp_mux {
                    self.take_report(datagram, source, context.now);
                }
            }
            Some(128..192) => {
                if let Some(length) = secure.unprotect(datagram) {
                    self.receive(&datagram[..length], source, context);
                }
            }
            Some(0..4) => self.answer_check(datagram, source, context),
            Some(20..64) => {
                if secure.takes_handshake_from(source, stream.remote) {
                    context.handshakes.datagram(self.id, source, datagram);
                }
            }
            Some(_) | None => {}
        }
    }

    /// Answers the peer's ICE agent, and sends where it says.
    fn answer_check(&mut self, datagram: &[u8], source: SocketAddr, context: &Context<'_>) {
        let (Some(ports), Some(Connection { latch, secure: Some(secure), .. })) = (&self.ports, &mut self.connection) else {
            return;
        };
        let Some(check) = secure.check(datagram, source, context.now) else { return };
        let _ = ports.rtp.send_to(&check.answer[..check.length], source);
        if check.chosen {
            latch.announce(source);
        }
        self.begin_handshake(context);
    }

    /// Begins the handshake that was agreed on, if it is time.
    fn begin_handshake(&mut self, context: &Context<'_>) {
        let Some(Connection { stream, secure: Some(secure), .. }) = &mut self.connection else { return };
        let Some((terms, peer)) = secure.begin(stream.remote) else { return };
        if !context.handshakes.begin(self.id, context.orders, terms, peer) {
            self.tell(MediaEvent::RtpTimeout);
        }
    }

    /// Takes what the handshake has come to.
    fn handshake_told(&mut self, told: Told) {
        let (Some(ports), Some(Connection { secure: Some(secure), .. })) = (&self.ports, &mut self.connection) else { return };
        match told {
            Told::Send(peer, bytes) => _ = ports.rtp.send_to(&bytes, peer),
            Told::Keys { peer, send, receive } => {
                secure.set_keys(peer, send, receive);
                tracing::debug!(suite = send.suite().name(), "a DTLS handshake is done");
            }
            Told::Failed => {
                tracing::debug!("a call has no audio, because its DTLS handshake failed");
                self.tell(MediaEvent::RtpTimeout);
            }
        }
    }

    /// Takes a datagram from the RTCP port, or a report that came through the RTP port, and decrypts it there.
    pub(super) fn take_report(&mut self, datagram: &mut [u8], source: SocketAddr, now: Duration) {
        let Some(Connection { stream, secure, .. }) = &mut self.connection else { return };
        let length = match secure {
            Some(secure) if !secure.has_reports(stream.rtcp_mux) => None,
            Some(secure) => secure.unprotect_report(datagram),
            None => Some(datagram.len()),
        };
        if let Some(length) = length {
            self.receive_report(&datagram[..length], source, now);
        }
    }

    /// Takes a datagram from the RTP port, in the clear.
    fn receive(&mut self, datagram: &[u8], source: SocketAddr, context: &Context<'_>) {
        let Some(Connection { stream, latch, .. }) = &mut self.connection else { return };
        let Some(packet) = Packet::parse(datagram) else {
            if stream.rtcp_mux && packet::is_rtcp(datagram) {
                self.receive_report(datagram, source, context.now);
            }
            return;
        };
        // Some peers change to another codec than the answer's; the ordinary ones are known by their number.
        let codec = if packet.payload_type == stream.payload_type {
            Some(stream.codec)
        } else {
            Codec::from_payload_type(packet.payload_type)
        };
        let is_key = codec.is_none() && (stream.telephone_event == Some(packet.payload_type) || Event::is_likely(&packet));
        if codec.is_none() && !is_key && packet.payload_type != COMFORT_NOISE {
            return;
        }
        if latch.judge(source, &packet, is_key, context.now) == Verdict::Dropped {
            return;
        }
        let receive = stream.receive;
        self.heard.at = context.now;
        self.heard.timed_out = false;
        if !self.heard.first {
            self.heard.first = true;
            self.tell(MediaEvent::FirstPacket);
        }
        if !receive {
            return;
        }
        let matter = match codec {
            _ if is_key => Matter::Key,
            Some(codec) => Matter::Audio(codec),
            None => Matter::ComfortNoise,
        };
        self.prelude.keep(datagram, matter, context.now);
        if is_key {
            self.heard.reception.count_event(&packet);
            if let Some(recorder) = &mut self.recorder {
                recorder.pass(&packet);
            }
            if let Some(press) = self.heard.keys.receive(&packet, context.now) {
                let place = self.recorder.as_ref().map_or(0, |recorder| recorder.place_of(&press));
                self.key(press.digit, place, context);
            }
        } else if let Some(codec) = codec {
            self.heard.reception.count(&packet, codec.clock_rate(), context.now);
            self.receive_audio(&packet, codec, context);
        } else if let Some(recorder) = &mut self.recorder {
            recorder.pause(&packet);
        }
    }

    fn receive_report(&mut self, datagram: &[u8], source: SocketAddr, now: Duration) {
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.latch.believes_host(source)) else {
            return;
        };
        for report in rtcp::parse(datagram).into_iter().flatten() {
            connection.rtcp_source = Some(source);
            if let Rtcp::SenderReport { ssrc, sent, .. } = report
                && self.heard.reception.ssrc() == Some(ssrc)
            {
                self.heard.reception.heard_report(&sent, now);
            }
        }
    }

    /// Goes on as many frames later, because the thread came too late for them. What follows is marked as the beginning of
    /// something new, and meant for when it is sent, so that the peer neither drops it nor plays it that much later.
    pub(super) fn leave_out(&mut self, frames: u32, context: &Context<'_>) {
        if self.connection.as_ref().is_some_and(|connection| connection.can_send(context.now)) {
            self.send_rest(context.now);
        }
        self.pass(frames);
        self.sender.marker = true;
    }

    /// Has the clock of what we send go on.
    fn pass(&mut self, frames: u32) {
        let clock_factor = self.connection.as_ref().map_or(1, |connection| connection.stream.codec.clock_factor());
        let units = frames.wrapping_mul(FRAME_SAMPLES as u32 * clock_factor);
        self.sender.timestamp = self.sender.timestamp.wrapping_add(units);
    }

    /// Does what is due; called every 20 ms.
    pub(super) fn visit(&mut self, context: &Context<'_>) {
        if !self.pending.is_empty() {
            self.tell_pending();
        }
        self.pass(1);
        if let Some(Connection { secure: Some(secure), .. }) = &mut self.connection {
            secure.rest();
        }
        if self.connection.as_ref().is_some_and(|connection| connection.can_send(context.now)) {
            self.send(context);
        }
        if let Some(over) = self.recorder.as_mut().and_then(|recorder| recorder.poll(context.now)) {
            self.end_recording(over, u64::MAX, context);
        }
        if !self.heard.timed_out
            && context.now.saturating_sub(self.heard.at) >= context.config.rtp_timeout
            && self.connection.as_ref().is_some_and(|connection| connection.stream.receive)
        {
            self.heard.timed_out = true;
            self.tell(MediaEvent::RtpTimeout);
        }
    }

    fn connect(&mut self, stream: Stream, context: &Context<'_>) {
        let now = context.now;
        if !(stream.detect_inband && stream.receive) {
            self.heard.detector = None;
        } else if self.heard.detector.is_none() {
            self.heard.detector = Some(Box::new(Ear::new(stream.codec)));
        }
        let time = packet_time(stream.codec, stream.packet_time);
        self.packer = (time != 20).then(|| Packer::new(stream.codec, time));
        let was_receiving = self.connection.as_ref().is_some_and(|connection| connection.stream.receive);
        if stream.receive && !was_receiving {
            self.heard.at = now;
            self.heard.timed_out = false;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.hold(!stream.receive, now);
        }
        let (mut latch, rtcp_source, before) = match self.connection.take() {
            Some(Connection { latch, rtcp_source, stream: before, secure }) => {
                (latch, rtcp_source.filter(|_| before.remote_rtcp == stream.remote_rtcp), secure)
            }
            None => {
                let latch = Latch::new(stream.remote);
                (self.proven.into_iter().fold(latch, Latch::for_stranger), None, None)
            }
        };
        let secure = Secure::follow(before, stream.security);
        // A path that an agent chose is better than what the description says.
        if !secure.as_ref().is_some_and(|secure| secure.has_path()) {
            latch.announce(stream.remote);
        }
        self.connection = Some(Connection { stream, latch, rtcp_source, secure });
        self.begin_handshake(context);
    }

    fn record(&mut self, spec: RecordSpec, context: &Context<'_>) {
        self.end_recording(RecordingEnd::Stopped, u64::MAX, context);
        let codec = self.connection.as_ref().map_or(Codec::Pcmu, |connection| connection.stream.codec);
        let prelude = std::mem::take(&mut self.prelude);
        let beginning = prelude.beginning(context.now);
        let mut recorder = Box::new(Recorder::new(spec, codec, context.writer.clone(), beginning));
        let over = prelude.give(&mut recorder);
        recorder.hold(self.connection.as_ref().is_some_and(|connection| !connection.stream.receive), context.now);
        self.recorder = Some(recorder);
        if let Some(over) = over {
            self.end_recording(over, u64::MAX, context);
        }
    }

    fn end_recording(&mut self, ended_by: RecordingEnd, end: u64, context: &Context<'_>) {
        let Some(recorder) = self.recorder.take() else { return };
        match recorder.finish(ended_by, end, context.now, self.id, context.orders) {
            Ok(()) => self.finishing += 1,
            Err(event) => self.tell(event),
        }
    }

    fn receive_audio(&mut self, packet: &Packet<'_>, codec: Codec, context: &Context<'_>) {
        if let Some(over) = self.recorder.as_mut().and_then(|recorder| recorder.receive(packet, codec, context.now)) {
            self.end_recording(over, u64::MAX, context);
        }
        if self.heard.detector.is_some() {
            self.detect(packet.payload, codec, context);
        }
    }

    /// Listens for keys in the audio.
    fn detect(&mut self, audio: &[u8], codec: Codec, context: &Context<'_>) {
        let Some(ear) = &mut self.heard.detector else { return };
        if let Some((digit, age)) = ear.hear(audio, codec) {
            let place = self.recorder.as_ref().map_or(0, |recorder| recorder.place_before(age));
            self.key(digit, place, context);
        }
    }

    /// A key went down, at that place of the recording.
    fn key(&mut self, digit: char, place: u64, context: &Context<'_>) {
        if self.recorder.as_ref().is_some_and(|recorder| recorder.ends_at(digit)) {
            self.end_recording(RecordingEnd::Digit(digit), place, context);
        } else if self.pending.len() < KEYS {
            self.tell(MediaEvent::Digit { digit });
        }
    }

    fn send(&mut self, context: &Context<'_>) {
        if self.keys.current.is_none() && self.keys.waiting.is_empty() && !self.player.is_playing() {
            self.sender.marker = true;
            if self.sender.sent_at.is_none_or(|at| context.now.saturating_sub(at) < context.config.keep_alive) {
                return self.report_if_due(context);
            }
            // A frame of silence now and then keeps what is between us and the peer from forgetting the call.
            self.send_audio(None, context.now);
            self.send_rest(context.now);
        } else if !self.send_key(context.now) {
            self.send_frame(context.now);
        }
        self.report_if_due(context);
    }

    fn send_frame(&mut self, now: Duration) {
        let frame = match self.player.next() {
            Next::Frame(codec, frame) => Some((codec, Payload::new(frame))),
            Next::Silence => None,
            Next::Nothing => return,
            Next::Done(id) => {
                self.send_rest(now);
                self.sender.marker = true;
                return self.tell(MediaEvent::PlaybackDone { id });
            }
        };
        self.send_audio(frame, now);
        self.tell_progress();
        if self.player.has_no_more() {
            self.prelude.begin(now + FRAME);
        }
    }

    /// Sends what a key being sent asks for; answers whether there is one, as audio waits for it.
    fn send_key(&mut self, now: Duration) -> bool {
        let Some(Connection { stream, .. }) = &self.connection else { return false };
        if self.keys.current.is_none() {
            let Some((digit, length)) = self.keys.waiting.pop_front() else { return false };
            self.keys.current = if stream.telephone_event.is_some() {
                let clock_factor = stream.codec.clock_factor();
                KeySender::with_clock(digit, length, clock_factor)
                    .map(|sender| KeyOut::Event { sender, timestamp: self.sender.timestamp })
            } else {
                tone::key(digit, length).map(|samples| {
                    let mut player = Player::default();
                    player.play(PlayId::default(), vec![Arc::new(EncodedAudio::new(stream.codec, &samples, SAMPLE_RATE)).into()]);
                    KeyOut::Tone(player)
                })
            };
        }
        let payload_type = stream.telephone_event;
        match &mut self.keys.current {
            None => return false,
            Some(KeyOut::Event { sender, timestamp }) => {
                let timestamp = *timestamp;
                if let (Some(key), Some(payload_type)) = (sender.next_packet(), payload_type) {
                    self.send_rest(now);
                    self.send_packet(payload_type, key.marker, timestamp, &key.payload, now);
                    self.sender.marker = true;
                    return true;
                }
            }
            Some(KeyOut::Tone(player)) => {
                if let Next::Frame(codec, frame) = player.next() {
                    let frame = Payload::new(frame);
                    self.send_audio(Some((codec, frame)), now);
                    return true;
                }
            }
            Some(KeyOut::Pause(frames)) => {
                *frames -= 1;
                if *frames == 0 {
                    self.keys.current = None;
                }
                return false;
            }
        }
        self.keys.current = Some(KeyOut::Pause(KEY_PAUSE));
        false
    }

    /// Sends a frame of audio, of silence without one.
    fn send_audio(&mut self, frame: Option<(Codec, Payload)>, now: Duration) {
        let Some(Connection { stream, .. }) = &self.connection else { return };
        let (codec, payload_type) = (stream.codec, stream.payload_type);
        let frame = match frame {
            Some((from, frame)) if from == codec => frame,
            Some((from, mut frame)) => match (from.law(), codec.law()) {
                (Some(law), Some(other)) => {
                    law.transcode(other, frame.bytes_mut());
                    frame
                }
                _ => {
                    // A new offer has changed the codec while this was playing.
                    let transcoder = self.transcoder.take().filter(|transcoder| transcoder.is_for(from, codec));
                    let transcoder = self.transcoder.insert(transcoder.unwrap_or_else(|| Box::new(Transcoder::new(from, codec))));
                    Payload::new(transcoder.frame(frame.bytes()))
                }
            },
            None => Payload::new(silence(codec)),
        };
        let timestamp = self.sender.timestamp;
        match self.packer.take() {
            None => {
                let marker = std::mem::take(&mut self.sender.marker);
                self.send_packet(payload_type, marker, timestamp, frame.bytes(), now);
            }
            Some(mut packer) => {
                packer.push(frame.bytes(), timestamp, &mut |packed| {
                    let marker = std::mem::take(&mut self.sender.marker);
                    self.send_packet(payload_type, marker, packed.timestamp, packed.payload, now);
                });
                self.packer = Some(packer);
            }
        }
    }

    /// Sends what has not become a whole packet, as nothing follows it.
    fn send_rest(&mut self, now: Duration) {
        let Some(mut packer) = self.packer.take_if(|packer| !packer.is_empty()) else { return };
        let payload_type = self.connection.as_ref().map_or(0, |connection| connection.stream.payload_type);
        packer.flush(&mut |packed| {
            let marker = std::mem::take(&mut self.sender.marker);
            self.send_packet(payload_type, marker, packed.timestamp, packed.payload, now);
        });
        self.packer = Some(packer);
    }

    fn send_packet(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8], now: Duration) {
        let (Some(ports), Some(connection)) = (&self.ports, &mut self.connection) else { return };
        let packet = Packet { marker, payload_type, sequence: self.sender.sequence, timestamp, ssrc: self.sender.ssrc, payload };
        let mut datagram = [0; HEADER_LENGTH + LONGEST_SENT + LONGEST_TRAILER];
        let mut length = HEADER_LENGTH + payload.len();
        datagram[..HEADER_LENGTH].copy_from_slice(&packet.header());
        datagram[HEADER_LENGTH..length].copy_from_slice(payload);
        if let Some(secure) = &mut connection.secure {
            let Some(protected) = secure.protect(&mut datagram, length) else { return };
            length = protected;
        }
        // A packet that the system does not take is as good as lost on the way; the next is due in 20 ms.
        let _ = ports.rtp.send_to(&datagram[..length], connection.latch.destination());
        self.sender.sequence = self.sender.sequence.wrapping_add(1);
        self.sender.sent.packets = self.sender.sent.packets.wrapping_add(1);
        self.sender.sent.bytes = self.sender.sent.bytes.wrapping_add(payload.len() as u32);
        if self.sender.sent_at.replace(now).is_none() {
            self.sender.report_due = now + report_interval();
        }
    }

    /// Reports only once we have sent audio: before, the peer may be somebody who never called.
    fn report_if_due(&mut self, context: &Context<'_>) {
        if context.now >= self.sender.report_due && self.sender.sent_at.is_some() {
            self.sender.report_due = context.now + report_interval();
            self.report(context, false);
        }
    }

    fn report(&mut self, context: &Context<'_>, goodbye: bool) {
        if !self.connection.as_ref().is_some_and(Connection::may_send) {
            return;
        }
        let (Some(ports), Some(Connection { stream, latch, rtcp_source, secure })) = (&self.ports, &mut self.connection) else {
            return;
        };
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since_1970.as_secs().wrapping_add(NTP_TO_UNIX) << 32;
        let ntp = seconds | ((u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000);
        // Who sent nothing since the last report reports as a receiver (RFC 3550 §6.4).
        let lately = self.sender.sent_at.is_some_and(|at| context.now.saturating_sub(at) < REPORT_EVERY * 2);
        let sent = lately.then_some(Sent { ntp, timestamp: self.sender.timestamp, ..self.sender.sent });
        let block = self.heard.reception.block(context.now);
        let mut bytes = rtcp::report(self.sender.ssrc, sent, block, context.config.cname.as_bytes(), goodbye);
        if let Some(secure) = secure {
            if !secure.has_reports(stream.rtcp_mux) {
                return;
            }
            let length = bytes.len();
            bytes.resize(length + LONGEST_TRAILER, 0);
            let Some(length) = secure.protect_report(&mut bytes, length) else { return };
            bytes.truncate(length);
        }
        let believed = latch.destination();
        let _ = if stream.rtcp_mux {
            ports.rtp.send_to(&bytes, believed)
        } else if let Some(source) = rtcp_source {
            ports.rtcp.send_to(&bytes, *source)
        } else if believed == stream.remote {
            ports.rtcp.send_to(&bytes, stream.remote_rtcp)
        } else {
            // Behind NAT the announced address is of no use; the next port is the best guess.
            ports.rtcp.send_to(&bytes, SocketAddr::new(believed.ip(), believed.port().wrapping_add(1)))
        };
    }

    fn close(&mut self, context: &Context<'_>) {
        self.end_recording(RecordingEnd::Stopped, u64::MAX, context);
        if self.sender.sent_at.is_some() && self.connection.as_ref().is_some_and(|connection| connection.stream.send) {
            self.report(context, true);
        }
        if let (Some(ports), Some(connection)) = (&self.ports, &self.connection) {
            let lost = self.heard.reception.block(context.now).map_or(0, |block| block.lost);
            let (forged, replayed) = connection.secure.as_ref().map_or((0, 0), |secure| secure.refused());
            tracing::debug!(
                rtp.local = %ports.local,
                rtp.peer = %connection.latch.destination(),
                rtp.sent = self.sender.sent.packets,
                rtp.received = self.heard.reception.received(),
                rtp.lost = lost,
                rtp.dropped = connection.latch.dropped(),
                srtp.forged = forged,
                srtp.replayed = replayed,
                "the media of a call ended"
            );
        }
        if matches!(&self.connection, Some(Connection { stream: Stream { security: Security::Dtls(_), .. }, .. })) {
            context.handshakes.end(self.id);
        }
        self.player.stop();
        self.ports = None;
    }

    fn tell(&mut self, event: MediaEvent) {
        self.pending.push_back(event);
        self.tell_pending();
    }

    fn tell_pending(&mut self) {
        while let Some(event) = self.pending.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => return self.pending.push_front(event),
                Err(TrySendError::Closed(_)) => self.pending.clear(),
            }
        }
    }

    fn tell_progress(&self) {
        let (PlayId(id), frames) = self.player.progress();
        self.progress.store(u64::from(id) << 32 | u64::from(frames), Ordering::Relaxed);
    }
}

/// A payload on its way from what plays to the socket.
struct Payload {
    bytes: [u8; LONGEST_FRAME],
    length: usize,
}

impl Payload {
    fn new(payload: &[u8]) -> Self {
        let mut bytes = [0; LONGEST_FRAME];
        let length = payload.len().min(LONGEST_FRAME);
        bytes[..length].copy_from_slice(&payload[..length]);
        Self { bytes, length }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl Ear {
    fn new(codec: Codec) -> Self {
        Self { decoder: Decoder::new(codec), detector: Detector::new(), heard: 0 }
    }

    /// Hears a payload; answers the key that went down in it, and how many samples ago.
    fn hear(&mut self, payload: &[u8], codec: Codec) -> Option<(char, u64)> {
        if self.decoder.codec() != codec {
            self.decoder = Decoder::new(codec);
        }
        let length = codec.length(payload)? as usize;
        let mut samples = [0; 2 * LONGEST_PAYLOAD];
        let samples = samples.get_mut(..length * self.decoder.factor())?;
        self.decoder.decode(payload, samples);
        if codec.is_wideband() {
            // Keys are far below what this lets through wrongly.
            for at in 0..length {
                samples[at] = i16::midpoint(samples[2 * at], samples[2 * at + 1]);
            }
        }
        let mut down = None;
        self.heard += length as u64;
        self.detector.push(&samples[..length], |tone| {
            if let KeyTone::Down { key, start } = tone {
                down = Some((key, start));
            }
        });
        down.map(|(key, start)| (key, self.heard.saturating_sub(start)))
    }
}

/// A frame of silence.
fn silence(codec: Codec) -> &'static [u8] {
    static FRAMES: LazyLock<Vec<(Codec, Vec<u8>)>> = LazyLock::new(|| {
        let frame = |codec: Codec| {
            let mut encoder = Encoder::new(codec);
            let mut payload = Vec::new();
            // What the encoder makes of silence when it has grown used to it.
            for _ in 0..10 {
                payload.clear();
                encoder.encode(&vec![0; codec.frame_samples()], &mut payload);
            }
            (codec, payload)
        };
        Codec::ALL.into_iter().map(frame).collect()
    });
    FRAMES.iter().find(|(of, _)| *of == codec).map_or(&[], |(_, payload)| payload)
}

fn report_interval() -> Duration {
    REPORT_EVERY.mul_f64(rand::random_range(0.5..1.5))
}

/// Reads one datagram, when there is one.
pub(super) fn read(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    // Besides "nothing there", the system tells here of earlier packets that the peer's host refused. Neither matters.
    socket.recv_from(buffer).ok()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, io::Seek, sync::mpsc as std_mpsc, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        audio::{form::Form, law::Law},
        dtls::Identity,
        media::{
            clip::Clip,
            order::{DigitSet, RecordingId},
            ports,
        },
        rtp::{
            secure::{DtlsTerms, Fingerprint, IceCredentials},
            srtp::{Channel, MasterKey, Suite},
        },
        stun,
    };

    const LOOPBACK: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const SECOND: Duration = Duration::from_secs(1);
    const EVENT: u8 = 101;

    #[test]
    fn the_first_packet_is_told_once() {
        let mut call = Call::connected();

        call.talk(0..3);

        assert_eq!(call.events(), [MediaEvent::FirstPacket]);
    }

    #[test]
    fn a_recording_is_what_was_said_byte_for_byte() {
        let mut call = Call::connected();
        call.record(DigitSet::NONE, None);

        call.talk(0..500);
        call.session.obey(Order::StopRecording, &call.world.at(call.now));

        assert_eq!(call.recording_done(), (Duration::from_secs(10), 80_000, RecordingEnd::Stopped));
        assert_eq!(call.recorded(), speech(0..500));
    }

    #[test]
    fn a_recording_that_comes_late_begins_where_the_tone_ended() {
        let mut call = Call::connected();
        call.play(&[1; 5]);
        call.talk(0..25);
        assert_eq!(call.events(), [MediaEvent::FirstPacket, MediaEvent::PlaybackDone { id: PlayId(1) }]);

        call.record(DigitSet::NONE, None);
        call.talk(25..50);
        call.session.obey(Order::StopRecording, &call.world.at(call.now));

        let (kept, ..) = call.recording_done();
        let tone = call.recorded();
        let said = speech(0..50);
        assert!(said.ends_with(&tone), "nothing is lost or doubled between");
        assert!((FRAME * 43..=FRAME * 45).contains(&kept), "all but the tone is recorded: {kept:?}");
    }

    #[test]
    fn what_is_said_while_the_end_of_the_tone_is_late_is_recorded() {
        let mut call = Call::connected();
        call.play(&[1]);
        call.pass(FRAME);

        // No tick comes for a while, and then all at once.
        call.hear(&frame(0));
        call.now += FRAME * 15;
        for index in 1..15 {
            call.hear(&Packet { payload: &speech(index..index + 1), ..frame(index) });
        }
        call.pass(FRAME);
        assert_eq!(call.events(), [MediaEvent::FirstPacket, MediaEvent::PlaybackDone { id: PlayId(1) }]);
        call.record(DigitSet::NONE, None);
        call.session.obey(Order::StopRecording, &call.world.at(call.now));

        call.recording_done();
        assert_eq!(call.recorded(), speech(1..15), "all but what came while the tone was to be heard");
    }

    #[test]
    fn what_is_said_after_a_phrase_that_was_not_the_last_is_not_recorded() {
        for stopped in [true, false] {
            let mut call = Call::connected();
            call.play(&[1; 5]);
            call.talk(0..25);

            if stopped {
                call.session.obey(Order::StopPlaying, &call.world.at(call.now));
            } else {
                call.play(&[1; 5]);
            }
            call.record(DigitSet::NONE, None);
            call.talk(25..50);
            call.session.obey(Order::StopRecording, &call.world.at(call.now));

            call.recording_done();
            assert_eq!(call.recorded(), speech(25..50));
        }
    }

    #[test]
    fn no_more_than_a_second_is_kept_of_what_comes_before_a_recording() {
        for (payload_type, span, kept) in [(0, FRAME, 48..=50), (COMFORT_NOISE, FRAME, 48..=50), (0, Duration::ZERO, 80..=100)] {
            let mut call = Call::connected();
            call.play(&[1]);
            call.talk(0..2);

            for index in 2..300 {
                call.hear(&Packet { payload_type, payload: &speech(index..index + 1), ..frame(index) });
                call.pass(span);
            }

            let packets = call.session.prelude.len();
            assert!(kept.contains(&packets), "{packets} packets");
        }
    }

    #[test]
    fn the_other_law_is_recorded_in_the_law_of_the_file() {
        let mut call = Call::connected();
        call.record(DigitSet::NONE, None);

        for index in 0..10 {
            let mut payload = speech(index..index + 1);
            Law::Mu.transcode(Law::A, &mut payload);
            call.hear(&Packet { payload_type: 8, payload: &payload, ..frame(index) });
            call.pass(FRAME);
        }
        call.session.obey(Order::StopRecording, &call.world.at(call.now));

        call.recording_done();
        let mut expected = speech(0..10);
        Law::Mu.transcode(Law::A, &mut expected);
        Law::A.transcode(Law::Mu, &mut expected);
        assert_eq!(call.recorded(), expected);
    }

    #[test]
    fn a_recording_ends_at_its_longest_to_the_sample() {
        let mut call = Call::connected();
        call.record_with(|spec| spec.longest = Duration::from_millis(1005));

        call.talk(0..60);

        assert_eq!(call.recording_done(), (Duration::from_millis(1005), 8040, RecordingEnd::Longest));
        assert_eq!(call.recorded(), &speech(0..60)[..8040]);
    }

    #[test]
    fn a_recording_ends_at_its_longest_though_nobody_talks() {
        let mut call = Call::connected();
        call.record_with(|spec| spec.longest = SECOND * 5);

        call.talk(0..50);
        call.pass(SECOND * 6);

        assert_eq!(call.recording_done(), (SECOND, 8000, RecordingEnd::Longest));
    }

    #[test]
    fn an_end_digit_ends_the_recording_where_the_key_went_down() {
        let mut call = Call::connected();
        call.record(DigitSet::of("#"), None);

        call.talk(0..100);
        // Its first packets are lost, and the audio goes on beside it.
        let key = event('#');
        call.talk(100..103);
        call.hear(&Packet { payload_type: EVENT, payload: &key[3], ..frame(100) });

        assert_eq!(call.recording_done(), (SECOND * 2, 103 * 160, RecordingEnd::Digit('#')));
        assert_eq!(call.events(), [MediaEvent::FirstPacket], "the key is told by the end of the recording alone");
    }

    #[test]
    fn other_digits_are_told_and_the_recording_goes_on() {
        let mut call = Call::connected();
        call.record(DigitSet::of("#"), None);
        call.talk(0..10);

        for payload in event('5') {
            call.hear(&Packet { payload_type: EVENT, payload: &payload, ..frame(10) });
        }

        assert_eq!(call.events(), [MediaEvent::FirstPacket, MediaEvent::Digit { digit: '5' }]);
        assert!(call.session.recorder.is_some());
    }

    #[test]
    fn keys_as_sipp_sends_them_count_once_each() {
        let mut call = Call::connected();
        call.record(DigitSet::of("#"), None);
        call.talk(0..50);

        // The payload type of its capture, an SSRC of its own, sequence numbers of nobody, and no end of the last.
        for (press, digit) in (0_u32..).zip(['1', '1', '#']) {
            let payloads = event(digit);
            let sent = if digit == '#' { &payloads[..2] } else { &payloads[..] };
            for (index, payload) in (0_u16..).zip(sent) {
                let sequence = 60_000_u16.wrapping_sub(index * 977);
                let packet =
                    Packet { marker: index == 0, payload_type: 96, sequence, timestamp: press * 2000, ssrc: 99, payload };
                call.hear(&packet);
                call.pass(FRAME);
            }
        }

        assert_eq!(call.recording_done(), (SECOND, 8000, RecordingEnd::Digit('#')));
        assert_eq!(call.events(), [MediaEvent::FirstPacket, MediaEvent::Digit { digit: '1' }, MediaEvent::Digit { digit: '1' }]);
    }

    #[test]
    fn a_key_in_the_audio_ends_the_recording_and_is_not_in_it() {
        let mut call = Call::connected();
        call.connect(|stream| (stream.telephone_event, stream.detect_inband) = (None, true));
        call.record(DigitSet::of("#"), None);
        call.talk(0..50);

        let tone = Law::Mu.encoded(&tone::key('#', Duration::from_millis(100)).expect("a key"));
        for (index, payload) in (50..).zip(tone.chunks(FRAME_SAMPLES)) {
            call.hear(&Packet { payload, ..frame(index) });
            call.pass(FRAME);
        }

        let (kept, _, ended_by) = call.recording_done();
        assert_eq!(ended_by, RecordingEnd::Digit('#'));
        assert!(kept.abs_diff(SECOND) <= Duration::from_millis(10), "{kept:?}");
    }

    #[test]
    fn silence_ends_the_recording_and_is_not_in_it() {
        for sends_silence in [true, false] {
            let mut call = Call::connected();
            call.record(DigitSet::NONE, Some(SECOND * 3));

            call.talk(0..100);
            for index in 100..300 {
                if sends_silence {
                    call.hear(&Packet { payload: &[0xff; FRAME_SAMPLES], ..frame(index) });
                }
                call.pass(FRAME);
            }

            let (kept, _, ended_by) = call.recording_done();
            assert_eq!(ended_by, RecordingEnd::Silence);
            assert!(kept >= SECOND * 2 && kept <= SECOND * 2 + Duration::from_millis(400), "{kept:?}");
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_ends_the_recording() {
        let mut call = Call::connected();
        call.record_with(|spec| spec.file = File::options().write(true).open("/dev/full").expect("a full device"));

        let mut index = 0;
        let deadline = std::time::Instant::now() + SECOND * 20;
        while call.session.recorder.is_some() {
            assert!(std::time::Instant::now() < deadline, "the recording never ended");
            call.talk(index..index + 1);
            index = (index + 1) % 5000;
            std::thread::yield_now();
        }

        assert_eq!(call.recording_done(), (Duration::ZERO, 0, RecordingEnd::WriteFailed));
    }

    #[test]
    fn a_stranger_is_neither_recorded_nor_played_to() {
        let mut call = Call::connected();
        let stranger = UdpSocket::bind((LOOPBACK, 0)).expect("a port");
        stranger.set_nonblocking(true).expect("a socket");
        call.record(DigitSet::of("#"), None);
        call.play(&[1; 20]);

        for index in 0..20 {
            call.talk(index..index + 1);
            let noise = Packet { ssrc: 66, payload: &[0; FRAME_SAMPLES], ..frame(index) };
            let key = Packet { ssrc: 66, payload_type: EVENT, payload: &event('#')[0], ..noise };
            for packet in [noise, key] {
                let source = stranger.local_addr().expect("bound");
                call.session.receive(&packet.to_bytes(), source, &call.world.at(call.now));
            }
        }
        call.session.obey(Order::StopRecording, &call.world.at(call.now));

        assert_eq!(call.recording_done().2, RecordingEnd::Stopped);
        assert_eq!(call.recorded(), speech(0..20));
        assert_eq!(call.sent().len(), 20);
        assert_eq!(read(&stranger, &mut [0; 2048]), None);
    }

    #[test]
    fn a_protected_call_is_protected_both_ways_and_takes_nothing_else() {
        for suite in Suite::ALL {
            let mut call = Call::connected();
            let mut peer = call.protect(suite);
            call.record(DigitSet::of("#"), None);
            call.play(&[1; 20]);

            for index in 0..20 {
                call.hear_protected(&frame(index), &mut peer);
                // Somebody who does not have the keys, at the peer's own address.
                call.hear(&Packet { ssrc: 66, payload: &[0; FRAME_SAMPLES], ..frame(index) });
                call.hear(&Packet { ssrc: 66, payload_type: EVENT, payload: &event('#')[0], ..frame(index) });
                call.pass(FRAME);
            }
            call.session.obey(Order::StopRecording, &call.world.at(call.now));

            assert_eq!(call.recording_done().2, RecordingEnd::Stopped);
            assert_eq!(call.recorded(), speech(0..20));
            let sent = call.datagrams();
            assert_eq!(sent.len(), 20);
            for mut datagram in sent {
                assert_ne!(datagram[HEADER_LENGTH..][..FRAME_SAMPLES], [1; FRAME_SAMPLES]);
                let length = peer.unprotector.unprotect(&mut datagram).expect("ours");
                assert_eq!(Packet::parse(&datagram[..length]).expect("RTP").payload, [1; FRAME_SAMPLES]);
            }
            // A key is too short to have a tag of some suites.
            assert!(call.session.connection.as_ref().unwrap().secure.as_ref().unwrap().refused().0 >= 20);
        }
    }

    #[test]
    fn reports_of_a_protected_call_are_protected() {
        let mut call = Call::connected();
        let mut peer = call.protect(Suite::AesCm128HmacSha1_80);
        call.play(&[1; 20]);
        for index in 0..20 {
            call.hear_protected(&frame(index), &mut peer);
            call.pass(FRAME);
        }

        let mut report = rtcp::report(1, Some(Sent { ntp: 5 << 32, ..Sent::default() }), None, b"peer", false);
        let source = call.rtcp.local_addr().expect("bound");
        call.session.take_report(&mut report.clone(), source, call.now);
        assert_eq!(call.session.heard.reception.block(call.now).unwrap().last_report, 0, "a report of a stranger");
        let length = report.len();
        report.resize(length + LONGEST_TRAILER, 0);
        let length = peer.protector.protect_rtcp(&mut report, length).unwrap();
        call.session.take_report(&mut report[..length], source, call.now);
        call.session.obey(Order::Close, &call.world.at(call.now));

        assert_eq!(call.session.heard.reception.block(call.now).unwrap().last_report, 5 << 16);
        let mut buffer = [0; 2048];
        let (length, _) = read(&call.rtcp, &mut buffer).expect("a goodbye");
        assert!(rtcp::parse(&buffer[..length]).is_none_or(|packets| packets.len() < 3));
        let length = peer.unprotector.unprotect_rtcp(&mut buffer[..length]).expect("ours");
        assert!(matches!(rtcp::parse(&buffer[..length]).unwrap()[..], [_, _, Rtcp::Goodbye(_)]));
    }

    #[test]
    fn a_browser_finds_its_path_shakes_hands_and_is_heard() {
        let mut call = Call::connected();
        let identity = Identity::generate().expect("randomness");
        let ice = IceCredentials::new(&[5; IceCredentials::LENGTH]);
        let terms = DtlsTerms { peer: identity.fingerprint(), active: false, ice: Some(ice) };
        let here = call.remote;
        call.connect(|stream| {
            stream.security = Security::Dtls(terms);
            (stream.remote, stream.remote_rtcp, stream.rtcp_mux) = (([0, 0, 0, 0], 9).into(), ([0, 0, 0, 0], 9).into(), true);
        });
        call.record(DigitSet::NONE, None);
        call.play(&[1; 20]);

        // Nothing is sent, and nothing taken, before the checks.
        call.take(frame(0).to_bytes());
        call.take(stun::check(&format!("{}:x", ice.fragment()), b"wrong", true));
        call.take(stun::check("other:x", ice.password().as_bytes(), true));
        call.pass(SECOND);
        assert_eq!((call.datagrams().len(), call.events()), (0, vec![]));

        call.take(stun::check(&format!("{}:x", ice.fragment()), ice.password().as_bytes(), true));
        assert!(stun::is_stun(&call.datagrams()[0]));
        let mut peer = call.shakes_hands(identity);
        for index in 0..20 {
            call.hear_protected(&frame(index), &mut peer);
            call.pass(FRAME);
        }
        call.session.obey(Order::StopRecording, &call.world.at(call.now));

        call.recording_done();
        assert_eq!(call.recorded(), speech(0..20));
        let sent = call.datagrams();
        assert_eq!(sent.len(), 20, "what was to be played has waited for the keys");
        for mut datagram in sent {
            assert!(peer.unprotector.unprotect(&mut datagram).is_ok());
        }
        assert_eq!(call.session.connection.as_ref().unwrap().latch.destination(), here);

        // A peer that asks no more is sent nothing more.
        call.play(&[1; 20]);
        call.pass(SECOND * 31);
        call.datagrams();
        call.play(&[1; 20]);
        call.pass(SECOND);
        assert_eq!(call.datagrams().len(), 0);
    }

    #[test]
    fn a_handshake_of_ours_waits_for_a_check_of_the_path() {
        let mut call = Call::connected();
        let ice = IceCredentials::new(&[5; IceCredentials::LENGTH]);
        let terms = DtlsTerms { peer: Fingerprint::of(b"a browser's"), active: true, ice: Some(ice) };
        call.connect(|stream| stream.security = Security::Dtls(terms));
        // A hold and its end are no second beginning.
        call.connect(|stream| stream.security = Security::Dtls(terms));

        let early = call.orders.recv_timeout(Duration::from_millis(100));
        call.take(stun::check(&format!("{}:x", ice.fragment()), ice.password().as_bytes(), false));
        call.connect(|stream| stream.security = Security::Dtls(terms));
        let (_, hello) = call.orders.recv_timeout(SECOND * 20).expect("a hello");

        assert!(early.is_err(), "{early:?}");
        assert!(matches!(hello, Order::Handshake(Told::Send(peer, _)) if peer == call.remote), "{hello:?}");
    }

    #[test]
    fn keys_of_a_certificate_that_is_no_longer_the_peers_are_not_taken() {
        let mut call = Call::connected();
        let terms = |certificate| DtlsTerms { peer: Fingerprint::of(certificate), active: false, ice: None };
        call.connect(|stream| stream.security = Security::Dtls(terms(b"first")));
        call.connect(|stream| stream.security = Security::Dtls(terms(b"second")));
        let key = MasterKey::new(Suite::AeadAes128Gcm, &[7; 28]).expect("long enough");
        for (certificate, is_taken) in [(&b"first"[..], false), (b"second", true)] {
            let told = Told::Keys { peer: Fingerprint::of(certificate), send: key, receive: key };
            call.session.obey(Order::Handshake(told), &call.world.at(call.now));

            assert_eq!(call.session.connection.as_ref().is_some_and(|connection| connection.can_send(call.now)), is_taken);
        }
    }

    #[test]
    fn a_handshake_that_fails_is_told_like_a_silence() {
        let mut call = Call::connected();
        let terms = DtlsTerms { peer: Identity::generate().expect("randomness").fingerprint(), active: false, ice: None };
        call.connect(|stream| stream.security = Security::Dtls(terms));

        call.session.obey(Order::Handshake(Told::Failed), &call.world.at(call.now));

        assert_eq!(call.events(), [MediaEvent::RtpTimeout]);
    }

    #[test]
    fn loss_and_reordering_are_borne_by_a_protected_call() {
        let mut call = Call::connected();
        let mut peer = call.protect(Suite::AeadAes128Gcm);
        call.record(DigitSet::NONE, None);

        // Every tenth packet is lost, every fourth comes after the next, every seventh twice.
        let mut held = None;
        for index in 0..399 {
            let protected = protected(&frame(index), &mut peer);
            if index % 10 != 9 {
                if index % 4 == 1 {
                    held = Some(protected);
                } else {
                    call.take(protected.clone());
                    if index % 7 == 0 {
                        call.take(protected);
                    }
                    held.take().into_iter().for_each(|held| call.take(held));
                }
            }
            call.pass(FRAME);
        }
        call.session.obey(Order::StopRecording, &call.world.at(call.now));

        call.recording_done();
        let recorded = call.recorded();
        let expected = speech(0..399);
        assert_eq!(recorded.len(), expected.len());
        let whole = (0..399).filter(|index| recorded[index * 160..][..160] == expected[index * 160..][..160]).count();
        assert!(whole == 360, "{whole} of 360 frames that arrived");
        assert_eq!(call.session.connection.as_ref().unwrap().secure.as_ref().unwrap().refused().0, 0);
    }

    #[test]
    fn thirty_seconds_without_packets_are_told_once() {
        let mut call = Call::connected();
        call.talk(0..1);

        call.pass(Duration::from_secs(29));
        assert_eq!(call.events(), [MediaEvent::FirstPacket]);
        call.pass(SECOND * 60);
        assert_eq!(call.events(), [MediaEvent::RtpTimeout]);
        call.talk(1..2);
        call.pass(SECOND * 31);
        assert_eq!(call.events(), [MediaEvent::RtpTimeout]);
    }

    #[test]
    fn a_call_on_hold_waits_for_ever_and_records_nothing() {
        let mut call = Call::connected();
        call.record(DigitSet::NONE, Some(SECOND * 10));
        call.talk(0..50);

        call.connect(|stream| (stream.send, stream.receive) = (true, false));
        for index in 50..100 {
            call.hear(&Packet { payload: &[0; FRAME_SAMPLES], ..frame(index) });
            call.pass(SECOND);
        }
        call.connect(|_| {});
        call.talk(100..150);
        call.session.obey(Order::StopRecording, &call.world.at(call.now));

        assert_eq!(call.recording_done(), (SECOND * 2, 16_000, RecordingEnd::Stopped));
        assert_eq!(call.recorded(), [speech(0..50), speech(100..150)].concat());
        assert_eq!(call.events(), [MediaEvent::FirstPacket]);
    }

    #[test]
    fn what_plays_waits_while_the_call_is_on_hold() {
        let mut call = Call::connected();
        call.play(&[1, 2, 3, 4]);
        call.pass(FRAME * 2);

        call.connect(|stream| stream.send = false);
        call.pass(SECOND * 20);
        call.connect(|_| {});
        call.pass(FRAME * 3);

        let sent = call.sent();
        assert_eq!(sent.iter().map(|packet| packet.payload[0]).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(call.events(), [MediaEvent::PlaybackDone { id: PlayId(1) }]);
    }

    #[test]
    fn frames_are_numbered_and_timed_without_a_gap() {
        let mut call = Call::connected();
        call.play(&[1, 2]);
        call.pass(FRAME * 2);
        assert_eq!(call.events(), [], "the last frame is still being heard");
        call.pass(FRAME);
        assert_eq!(call.events(), [MediaEvent::PlaybackDone { id: PlayId(1) }]);
        call.play(&[3]);
        call.pass(FRAME * 2);

        let sent = call.sent();
        assert_eq!(sent.iter().map(|packet| packet.marker).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(sent[1].timestamp.wrapping_sub(sent[0].timestamp), 160);
        assert_eq!(sent[2].timestamp.wrapping_sub(sent[0].timestamp), 480, "a pause of one frame");
        assert_eq!(sent[2].sequence.wrapping_sub(sent[0].sequence), 2);
        assert!(sent.iter().all(|packet| (packet.payload_type, packet.ssrc) == (0, sent[0].ssrc)));
    }

    #[test]
    fn frames_that_were_left_out_are_a_pause_and_no_delay() {
        let mut call = Call::connected();
        call.connect(|stream| stream.packet_time = 40);
        call.play(&[1, 2, 3, 4, 5]);
        call.pass(FRAME * 3);

        call.session.leave_out(35, &call.world.at(call.now));
        call.pass(FRAME * 2);

        let sent = call.sent();
        assert_eq!(sent.iter().map(|packet| packet.payload.len()).collect::<Vec<_>>(), [320, 160, 320]);
        assert_eq!(sent.iter().map(|packet| packet.marker).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(sent[2].timestamp.wrapping_sub(sent[0].timestamp), (3 + 35) * 160);
        assert_eq!(sent[2].payload[..160], [4; 160], "nothing of what plays is left out");
    }

    #[test]
    fn a_peer_of_the_other_law_hears_the_same() {
        let mut call = Call::connected();
        call.connect(|stream| (stream.codec, stream.payload_type) = (Codec::Pcma, 8));
        call.play(&[0x35]);
        call.pass(FRAME);

        let mut expected = [0x35];
        Law::Mu.transcode(Law::A, &mut expected);
        let sent = call.sent();
        assert_eq!((sent[0].payload_type, sent[0].payload[7]), (8, expected[0]));
    }

    #[test]
    fn nothing_is_sent_before_something_plays_and_then_the_line_is_kept_open() {
        let mut call = Call::connected();

        call.pass(SECOND * 20);
        assert_eq!(call.sent(), []);
        assert!(call.reports().is_empty());
        call.play(&[1]);
        call.pass(SECOND * 16);

        let sent = call.sent();
        assert_eq!(sent.iter().map(|packet| packet.payload[0]).collect::<Vec<_>>(), [1, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn the_position_counts_what_was_sent() {
        let mut call = Call::connected();
        call.play(&[1, 2, 3, 4]);

        call.pass(FRAME * 3);
        call.session.obey(Order::PausePlaying, &call.world.at(call.now));
        call.pass(SECOND);

        assert_eq!(call.session.progress.load(Ordering::Relaxed), 1 << 32 | 3);
        call.session.obey(Order::ResumePlaying, &call.world.at(call.now));
        call.pass(FRAME);
        assert_eq!(call.session.progress.load(Ordering::Relaxed), 1 << 32 | 4);
    }

    #[test]
    fn reports_tell_what_was_sent_and_received() {
        let mut call = Call::connected();
        call.play(&[1; 600]);
        for index in 0..600 {
            if index % 10 != 0 {
                call.hear(&frame(index));
            }
            call.pass(FRAME);
        }

        let reports = call.reports();
        assert!((1..=5).contains(&reports.len()), "{} reports in twelve seconds", reports.len());
        let Some(Rtcp::SenderReport { ssrc, sent, blocks }) = reports.last().and_then(|report| report.first()) else {
            panic!("a sender report: {reports:?}")
        };
        assert_eq!(*ssrc, call.sent()[0].ssrc);
        assert_eq!(sent.bytes, sent.packets * 160);
        assert_eq!(blocks[0].ssrc, 1);
        assert!(blocks[0].lost > 10 && (20..30).contains(&blocks[0].fraction_lost), "{blocks:?}");
    }

    #[test]
    fn a_peer_behind_nat_is_answered_where_it_sends_from() {
        let mut call = Call::connected();
        call.connect(|stream| {
            stream.remote = SocketAddr::new(LOOPBACK, 9);
            stream.remote_rtcp = SocketAddr::new(LOOPBACK, 10);
        });
        call.talk(0..6);
        call.play(&[1; 100]);
        call.pass(SECOND * 10);

        assert_eq!(call.sent().iter().filter(|packet| packet.payload[0] == 1).count(), 100);
        assert!(!call.reports().is_empty(), "reports go to the port beside");
    }

    #[test]
    fn keys_are_sent_as_events_while_audio_waits() {
        let mut call = Call::connected();
        call.play(&[1, 2]);
        call.session.obey(Order::SendDigit('4', FRAME * 2), &call.world.at(call.now));
        call.session.obey(Order::SendDigit('2', FRAME * 2), &call.world.at(call.now));
        call.pass(FRAME * 16);

        let sent = call.sent();
        let mut receiver = KeyReceiver::default();
        let keys: String = sent
            .iter()
            .filter(|packet| packet.payload_type == EVENT)
            .filter_map(|packet| receiver.receive(&packet.borrow(), SECOND))
            .map(|press| press.digit)
            .collect();
        assert_eq!(keys, "42");
        let audio: Vec<u8> = sent.iter().filter(|packet| packet.payload_type == 0).map(|packet| packet.payload[0]).collect();
        assert_eq!(audio, [1, 2]);
    }

    #[test]
    fn keys_are_sent_as_tones_where_there_are_no_events() {
        let mut call = Call::connected();
        call.connect(|stream| stream.telephone_event = None);
        call.session.obey(Order::SendDigit('9', Duration::from_millis(100)), &call.world.at(call.now));
        call.pass(FRAME * 10);

        let mut detector = Detector::new();
        let mut keys = Vec::new();
        for packet in call.sent() {
            detector.push(&Law::Mu.decoded(&packet.payload), |tone| {
                if let KeyTone::Down { key, .. } = tone {
                    keys.push(key);
                }
            });
        }
        assert_eq!(keys, ['9']);
    }

    #[test]
    fn events_wait_until_the_call_takes_them() {
        let mut call = Call::connected();
        for _ in 0..EVENTS + 3 {
            call.play(&[]);
            call.pass(FRAME);
        }

        let first = call.events();
        call.pass(FRAME);
        let rest = call.events();

        assert_eq!((first.len(), rest.len()), (EVENTS, 3));
    }

    #[test]
    fn closing_says_goodbye_and_keeps_the_recording() {
        let mut call = Call::connected();
        call.record(DigitSet::NONE, None);
        call.play(&[1; 100]);
        call.talk(0..100);

        call.session.obey(Order::Close, &call.world.at(call.now));
        assert!(!call.session.is_over(), "the recording is not on the disk yet");

        assert_eq!(call.recording_done(), (SECOND * 2, 16_000, RecordingEnd::Stopped));
        assert!(call.session.is_over());
        assert_eq!(call.recorded(), speech(0..100));
        let goodbye = call.reports().pop().and_then(|mut report| report.pop());
        assert!(matches!(goodbye, Some(Rtcp::Goodbye(_))), "{goodbye:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Nothing that a peer or a stranger sends makes a session panic.
        #[test]
        fn any_datagrams_at_all(
            datagrams in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..400), any::<bool>(), any::<bool>(), 0_u64..300), 0..100),
            inband in any::<bool>(),
        ) {
            let mut call = Call::connected();
            call.connect(|stream| (stream.detect_inband, stream.rtcp_mux) = (inband, true));
            call.record(DigitSet::of("#"), Some(SECOND));
            for (mut datagram, tame, stranger, wait) in datagrams {
                if tame && datagram.len() > 1 {
                    // Most arbitrary bytes are no RTP at all; these are.
                    datagram[0] = 0x80;
                    datagram[1] &= 0x88;
                }
                let source = if stranger { SocketAddr::new(LOOPBACK, 9) } else { call.remote };
                call.session.receive(&datagram, source, &call.world.at(call.now));
                call.session.receive_report(&datagram, source, call.now);
                call.pass(Duration::from_millis(wait));
            }
        }

        /// Nor of a session whose peer checks paths and shakes hands; and who passes no check is sent nothing.
        #[test]
        fn any_datagrams_at_all_for_a_browser(
            datagrams in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), 0_usize..6, 0_u64..300), 0..40),
            at in 0_usize..100,
        ) {
            let mut call = Call::connected();
            let ice = IceCredentials::new(&[5; IceCredentials::LENGTH]);
            let terms = DtlsTerms { peer: Fingerprint::of(b"a browser's"), active: false, ice: Some(ice) };
            call.connect(|stream| (stream.security, stream.rtcp_mux) = (Security::Dtls(terms), true));
            call.play(&[1; 20]);
            for (mut datagram, kind, wait) in datagrams {
                match kind {
                    // A check that was changed on the way.
                    0 => {
                        datagram = stun::check(&format!("{}:x", ice.fragment()), ice.password().as_bytes(), true);
                        let at = at % datagram.len();
                        datagram[at] ^= 0x40;
                    }
                    kind => datagram.insert(0, [1, 22, 63, 128, 191][kind - 1]),
                }
                call.take(datagram);
                call.pass(Duration::from_millis(wait));
            }
            prop_assert_eq!(call.datagrams().len(), 0);
        }
    }

    /// Room for events in the channel of a test.
    const EVENTS: usize = 16;

    /// What a session needs of its thread.
    struct World {
        config: MediaConfig,
        writer: Writer,
        handshakes: Handshakes,
        fingerprint: Fingerprint,
        orders: Weak<Orders>,
    }

    impl World {
        fn at(&self, now: Duration) -> Context<'_> {
            Context { now, config: &self.config, writer: &self.writer, handshakes: &self.handshakes, orders: &self.orders }
        }
    }

    /// A session whose packets and time the test makes.
    struct Call {
        session: Session,
        rtp: UdpSocket,
        rtcp: UdpSocket,
        remote: SocketAddr,
        events: mpsc::Receiver<MediaEvent>,
        orders: std_mpsc::Receiver<(u64, Order)>,
        _way: Arc<Orders>,
        world: World,
        file: File,
        now: Duration,
    }

    impl Call {
        /// A call of PCMU both ways.
        fn connected() -> Self {
            let peer = ports::bind(LOOPBACK, None).expect("free ports");
            let ports = ports::bind(LOOPBACK, None).expect("free ports");
            let (sender, events) = mpsc::channel(EVENTS);
            let (way, orders) = Orders::unserved();
            let identity = Identity::generate().expect("randomness");
            let mut call = Self {
                session: Session::new(1, ports, None, sender, Arc::default()),
                remote: peer.local,
                rtp: peer.rtp,
                rtcp: peer.rtcp,
                events,
                orders,
                world: World {
                    config: MediaConfig::default(),
                    writer: Writer::start().expect("threads"),
                    fingerprint: identity.fingerprint(),
                    handshakes: Handshakes::start(identity).expect("a thread"),
                    orders: Arc::downgrade(&way),
                },
                _way: way,
                file: tempfile::tempfile().expect("a file"),
                now: SECOND,
            };
            call.connect(|_| {});
            call
        }

        fn connect(&mut self, change: impl FnOnce(&mut Stream)) {
            let mut stream = Stream {
                codec: Codec::Pcmu,
                payload_type: 0,
                telephone_event: Some(EVENT),
                packet_time: 20,
                remote: self.remote,
                remote_rtcp: self.rtcp.local_addr().expect("bound"),
                rtcp_mux: false,
                send: true,
                receive: true,
                detect_inband: false,
                security: Security::None,
            };
            change(&mut stream);
            self.session.obey(Order::Connect(Box::new(stream)), &self.world.at(self.now));
        }

        fn play(&mut self, frames: &[u8]) {
            let bytes: Vec<u8> = frames.iter().flat_map(|&byte| [byte; FRAME_SAMPLES]).collect();
            let clip = Clip::from(Arc::new(EncodedAudio::from_g711(Law::Mu, &bytes)));
            self.session.obey(Order::Play(PlayId(1), vec![clip]), &self.world.at(self.now));
        }

        fn record(&mut self, end_digits: DigitSet, trailing_silence: Option<Duration>) {
            self.record_with(|spec| (spec.end_digits, spec.trailing_silence) = (end_digits, trailing_silence));
        }

        fn record_with(&mut self, change: impl FnOnce(&mut RecordSpec)) {
            let mut spec = RecordSpec {
                id: RecordingId(7),
                file: self.file.try_clone().expect("a file"),
                form: Form::G711(Law::Mu),
                longest: SECOND * 300,
                trailing_silence: None,
                end_digits: DigitSet::NONE,
            };
            change(&mut spec);
            self.session.obey(Order::Record(Box::new(spec)), &self.world.at(self.now));
        }

        fn hear(&mut self, packet: &Packet<'_>) {
            self.take(packet.to_bytes());
        }

        /// Both sides agree on keys; answers the peer's side.
        fn protect(&mut self, suite: Suite) -> Channel {
            let [ours, theirs] = [1, 2].map(|seed| MasterKey::new(suite, &[seed; 44]).expect("long enough"));
            self.connect(|stream| stream.security = Security::Keys { send: ours, receive: theirs });
            Channel::follow(None, theirs, ours)
        }

        fn take(&mut self, mut datagram: Vec<u8>) {
            self.session.take(&mut datagram, self.remote, &self.world.at(self.now));
        }

        fn hear_protected(&mut self, packet: &Packet<'_>, peer: &mut Channel) {
            self.take(protected(packet, peer));
        }

        /// The peer begins a DTLS handshake, and has its side of the keys in the end.
        fn shakes_hands(&mut self, identity: Identity) -> Channel {
            let (way, orders) = Orders::unserved();
            let client = Handshakes::start(identity).expect("a thread");
            let Some(Connection { stream: Stream { security: Security::Dtls(terms), .. }, .. }) = &self.session.connection else {
                panic!("no handshake was agreed on")
            };
            // Who we are is checked elsewhere.
            let server = self.world.fingerprint;
            client.begin(1, &Arc::downgrade(&way), DtlsTerms { peer: server, active: true, ..*terms }, self.remote);
            let deadline = std::time::Instant::now() + SECOND * 60;
            let mut keys = None;
            while keys.is_none() || !self.session.connection.as_ref().is_some_and(|connection| connection.can_send(self.now)) {
                assert!(std::time::Instant::now() < deadline, "no keys");
                while let Ok((_, order)) = orders.recv_timeout(Duration::from_millis(5)) {
                    match order {
                        Order::Handshake(Told::Send(_, bytes)) => self.take(bytes.into()),
                        Order::Handshake(Told::Keys { send, receive, .. }) => keys = Some(Channel::follow(None, send, receive)),
                        other => panic!("{other:?}"),
                    }
                }
                while let Ok((_, order)) = self.orders.recv_timeout(Duration::from_millis(5)) {
                    self.session.obey(order, &self.world.at(self.now));
                }
                for datagram in self.datagrams() {
                    client.datagram(1, self.remote, &datagram);
                }
                // No time passes for the call, but a moment for its sockets.
                if let Some(Connection { secure: Some(secure), .. }) = &mut self.session.connection {
                    secure.rest();
                }
            }
            keys.expect("the loop waits for them")
        }

        /// What the peer's RTP port received, as it came.
        fn datagrams(&mut self) -> Vec<Vec<u8>> {
            let mut buffer = [0; 2048];
            std::iter::from_fn(|| read(&self.rtp, &mut buffer).map(|(length, _)| buffer[..length].to_vec())).collect()
        }

        /// The peer says these frames of [`speech`], 20 ms each.
        fn talk(&mut self, frames: std::ops::Range<usize>) {
            for index in frames {
                self.hear(&frame(index));
                self.pass(FRAME);
            }
        }

        fn pass(&mut self, time: Duration) {
            let until = self.now + time;
            while self.now + FRAME <= until {
                self.now += FRAME;
                self.session.visit(&self.world.at(self.now));
            }
            self.now = until;
        }

        fn events(&mut self) -> Vec<MediaEvent> {
            std::iter::from_fn(|| self.events.try_recv().ok()).collect()
        }

        /// Waits for the writer to tell the end of the recording.
        fn recording_done(&mut self) -> (Duration, u64, RecordingEnd) {
            let (id, order) = self.orders.recv_timeout(SECOND * 20).expect("the end of the recording");
            assert_eq!(id, 1);
            let Order::Recorded(event @ MediaEvent::RecordingDone { id, kept, written, ended_by }) = order else {
                panic!("an end of a recording: {order:?}")
            };
            assert_eq!(id, RecordingId(7));
            self.session.obey(Order::Recorded(event), &self.world.at(self.now));
            let events = self.events();
            assert_eq!(events.last(), Some(&event));
            for event in &events[..events.len() - 1] {
                self.session.events.try_send(*event).expect("room");
            }
            (kept, written, ended_by)
        }

        fn recorded(&mut self) -> Vec<u8> {
            let mut audio = Vec::new();
            self.file.rewind().expect("a file");
            self.file.read_to_end(&mut audio).expect("a file");
            audio
        }

        fn sent(&mut self) -> Vec<Received> {
            let mut buffer = [0; 2048];
            std::iter::from_fn(|| read(&self.rtp, &mut buffer).map(|(length, _)| Received::new(&buffer[..length]))).collect()
        }

        fn reports(&mut self) -> Vec<Vec<Rtcp>> {
            let mut buffer = [0; 2048];
            std::iter::from_fn(|| read(&self.rtcp, &mut buffer).and_then(|(length, _)| rtcp::parse(&buffer[..length]))).collect()
        }
    }

    /// A packet that the peer received.
    #[derive(Debug, PartialEq, Eq)]
    struct Received {
        marker: bool,
        payload_type: u8,
        sequence: u16,
        timestamp: u32,
        ssrc: u32,
        payload: Vec<u8>,
    }

    impl Received {
        fn new(datagram: &[u8]) -> Self {
            let Packet { marker, payload_type, sequence, timestamp, ssrc, payload } =
                Packet::parse(datagram).expect("we send valid RTP");
            Self { marker, payload_type, sequence, timestamp, ssrc, payload: payload.to_vec() }
        }

        fn borrow(&self) -> Packet<'_> {
            let Self { marker, payload_type, sequence, timestamp, ssrc, ref payload } = *self;
            Packet { marker, payload_type, sequence, timestamp, ssrc, payload }
        }
    }

    /// Something loud in which no two frames are alike.
    static SPEECH: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        let mut noise = 1_u32;
        (0..5000 * FRAME_SAMPLES)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8 & 0xbf
            })
            .collect()
    });

    fn speech(frames: std::ops::Range<usize>) -> Vec<u8> {
        SPEECH[frames.start * FRAME_SAMPLES..frames.end * FRAME_SAMPLES].to_vec()
    }

    fn frame(index: usize) -> Packet<'static> {
        Packet {
            marker: index == 0,
            payload_type: 0,
            sequence: (index as u16).wrapping_add(65_530),
            timestamp: (index as u32 * 160).wrapping_sub(4000),
            ssrc: 1,
            payload: &SPEECH[index * FRAME_SAMPLES..(index + 1) * FRAME_SAMPLES],
        }
    }

    fn protected(packet: &Packet<'_>, peer: &mut Channel) -> Vec<u8> {
        let mut datagram = packet.to_bytes();
        let length = datagram.len();
        datagram.resize(length + LONGEST_TRAILER, 0);
        let length = peer.protector.protect(&mut datagram, length).expect("room");
        datagram.truncate(length);
        datagram
    }

    /// The payloads of a press of 100 ms.
    fn event(digit: char) -> Vec<[u8; 4]> {
        let mut sender = KeySender::new(digit, Duration::from_millis(100)).expect("a key");
        std::iter::from_fn(|| sender.next_packet()).map(|packet| packet.payload).collect()
    }
}
