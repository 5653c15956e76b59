//! A caller without a telephone: a call as text, from any address of this machine, with whatever audio a test wants to send.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use afterbeep::rtp::packet::Packet;

use super::raw::{status, values};

/// How long an answer is awaited.
const PATIENCE: Duration = Duration::from_secs(30);

/// An INVITE with an offer of PCMU and telephone-event 101.
pub fn invite(number: &str, caller: &str, call: &str, sip: SocketAddr, media: SocketAddr) -> String {
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n",
        ip = media.ip(),
        port = media.port()
    );
    format!(
        "INVITE sip:{number}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {sip};rport;branch=z9hG4bK{call}i\r\nMax-Forwards: 70\r\n\
         From: <sip:{caller}@127.0.0.1>;tag=f{call}\r\nTo: <sip:{number}@127.0.0.1>\r\nCall-ID: {call}@raw\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:{caller}@{sip}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

/// A call that was answered and acknowledged.
pub struct RawCall {
    sip: UdpSocket,
    server: SocketAddr,
    /// Where audio is sent from and expected.
    pub rtp: UdpSocket,
    /// Where the server wants audio.
    pub media: SocketAddr,
    /// What all requests of the call have in common.
    dialog: String,
    target: String,
    call: String,
}

impl RawCall {
    /// Calls from an address, and offers to take audio at another.
    ///
    /// # Errors
    ///
    /// The status the call is refused with.
    pub fn begin(server: SocketAddr, from: IpAddr, audio_at: IpAddr, number: &str, caller: &str) -> Result<Self, u16> {
        let sip = UdpSocket::bind((from, 0)).expect("a socket");
        let rtp = UdpSocket::bind((audio_at, 0)).expect("a socket");
        let (own, own_media) = (sip.local_addr().expect("bound"), rtp.local_addr().expect("bound"));
        let call = format!("{:016x}", rand::random::<u64>());
        let request = invite(number, caller, &call, own, own_media);
        sip.set_read_timeout(Some(Duration::from_millis(500))).expect("a socket has a time-out");
        let (begin, mut buffer) = (Instant::now(), vec![0; 65_536]);
        let mut is_provisional = false;
        let answer = loop {
            assert!(begin.elapsed() < PATIENCE, "no answer within {PATIENCE:?}");
            if !is_provisional {
                sip.send_to(request.as_bytes(), server).expect("a datagram is sent");
            }
            match sip.recv(&mut buffer) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    is_provisional = status(&text) < 200;
                    if !is_provisional {
                        break text;
                    }
                }
                Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
            }
        };
        let (to, code) = (values(&answer, "To")[0].to_owned(), status(&answer));
        let dialog =
            format!("From: <sip:{caller}@127.0.0.1>;tag=f{call}\r\nTo: {to}\r\nCall-ID: {call}@raw\r\nMax-Forwards: 70\r\n");
        let is_taken = code == 200;
        let contact = values(&answer, "Contact").first().map(|it| it.trim_matches(['<', '>']).to_owned());
        let target = contact.unwrap_or_else(|| format!("sip:{number}@127.0.0.1"));
        // The ACK of a refusal belongs to the INVITE's transaction.
        let branch = if is_taken { "a" } else { "i" };
        let port = answer.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok());
        let media = SocketAddr::new(server.ip(), port.unwrap_or(0));
        let this = Self { sip, server, rtp, media, dialog, target, call };
        this.send("ACK", 1, branch);
        if is_taken { Ok(this) } else { Err(code) }
    }

    fn send(&self, method: &str, sequence: u32, branch: &str) {
        self.sends(method, sequence, branch, "", "");
    }

    /// Sends a request in the dialog with more headers and a body.
    pub fn sends(&self, method: &str, sequence: u32, branch: &str, more: &str, body: &str) {
        let own = self.sip.local_addr().expect("bound");
        let Self { target, call, dialog, .. } = self;
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK{call}{branch}\r\n{dialog}\
             CSeq: {sequence} {method}\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sip.send_to(text.as_bytes(), self.server).expect("a datagram is sent");
    }

    /// The next message that the server sends, if one comes within a while.
    pub fn receives(&self, within: Duration) -> Option<String> {
        self.sip.set_read_timeout(Some(within)).expect("a socket has a time-out");
        let mut buffer = vec![0; 65_536];
        let length = self.sip.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// Waits for a request of the server's.
    pub fn receives_request(&self, method: &str) -> String {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            match self.receives(Duration::from_millis(500)) {
                Some(text) if text.starts_with(&format!("{method} ")) => return text,
                Some(_) | None => {}
            }
        }
        panic!("no {method} within {PATIENCE:?}");
    }

    /// Answers a request of the server's, with more headers.
    pub fn answers(&self, request: &str, status: &str, more: &str) {
        let echoed = |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
        let lines: Vec<&str> = request.split("\r\n").filter(echoed).collect();
        let text = format!("SIP/2.0 {status}\r\n{}\r\n{more}Content-Length: 0\r\n\r\n", lines.join("\r\n"));
        self.sip.send_to(text.as_bytes(), self.server).expect("a datagram is sent");
    }

    /// Hangs up, and waits until that has been heard.
    pub fn hang_up(self) {
        let (begin, mut buffer) = (Instant::now(), vec![0; 65_536]);
        while begin.elapsed() < PATIENCE {
            self.send("BYE", 2, "b");
            while let Ok(length) = self.sip.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                if text.starts_with("SIP/2.0 ") && text.contains("\r\nCSeq: 2 BYE\r\n") {
                    return;
                }
                if text.starts_with("SIP/2.0 200 ") {
                    // Our ACK was lost.
                    self.send("ACK", 1, "a");
                }
            }
        }
        panic!("nobody has heard that we hung up");
    }

    /// Sends one packet of audio.
    pub fn speak(&self, payload: &[u8], sequence: u16, timestamp: u32) {
        send_rtp(&self.rtp, self.media, (0, sequence, timestamp), payload);
    }

    /// Presses and releases a key (RFC 4733) in packets from `sequence` on: six of them.
    pub fn press(&self, event: u8, sequence: u16, timestamp: u32) {
        for (at, (end, duration)) in
            [(0, 160_u16), (0, 320), (0, 480), (0x80, 640), (0x80, 640), (0x80, 640)].into_iter().enumerate()
        {
            let [high, low] = duration.to_be_bytes();
            let at = u16::try_from(at).expect("six");
            send_rtp(&self.rtp, self.media, (101, sequence.wrapping_add(at), timestamp), &[event, end | 10, high, low]);
        }
    }

    /// Whether audio comes within a while.
    pub fn hears(&self, within: Duration) -> bool {
        self.rtp.set_read_timeout(Some(within)).expect("a socket has a time-out");
        self.rtp.recv(&mut [0; 2048]).is_ok()
    }
}

/// Sends one RTP packet from a socket: payload type, sequence number, timestamp.
pub fn send_rtp(socket: &UdpSocket, to: SocketAddr, (payload_type, sequence, timestamp): (u8, u16, u32), payload: &[u8]) {
    let packet = Packet { marker: false, payload_type, sequence, timestamp, ssrc: 0x5eed, payload };
    // What the system does not take is lost like on any way.
    let _ = socket.send_to(&packet.to_bytes(), to);
}
