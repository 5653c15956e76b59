//! SIPp as the caller: a scenario is written from steps, and SIPp plays it over UDP or TCP.

use std::{
    fmt::Write as _,
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use super::server::CALLER;

/// What a SIPp call does between ACK and BYE.
pub enum Step<'a> {
    Wait(Duration),
    /// One RFC 4733 digit, from the captures that SIPp ships (payload type 101, its own SSRC).
    Digit(char),
    /// One digit by SIP INFO, `application/dtmf-relay`.
    Info(char),
    /// A raw file of the call's format, streamed once in the background.
    Speak(&'a Path),
    /// A re-INVITE with `a=inactive`: nobody sends.
    Hold,
    /// A re-INVITE with `a=sendrecv`.
    Resume,
}

/// Who calls whom.
pub struct Call<'a> {
    pub service: &'a str,
    pub transport: &'a str,
    /// Further headers of the INVITE, each with its line end.
    pub headers: &'a str,
    /// Where the SDP says audio should go, if not to SIPp itself.
    pub media: Option<SocketAddr>,
    /// How many calls begin in a second; all at once if it is not said.
    pub rate: Option<u32>,
    /// The payload type and encoding of the audio: 0 or 18.
    pub format: (u8, &'a str),
}

impl Default for Call<'_> {
    fn default() -> Self {
        Self { service: "1001", transport: "u1", headers: "", media: None, rate: None, format: (0, "PCMU") }
    }
}

impl Call<'_> {
    /// Runs `calls` of these calls, all doing `steps`, and fails the test unless SIPp is content with each.
    pub fn run(&self, server: SocketAddr, steps: &[Step<'_>], calls: u32) {
        self.play(&self.scenario(steps), server, calls);
    }

    /// Plays a scenario that is written already.
    pub fn play(&self, scenario_text: &str, server: SocketAddr, calls: u32) {
        let folder = tempfile::tempdir().expect("a folder for the scenario");
        let scenario = folder.path().join("scenario.xml");
        std::fs::write(&scenario, scenario_text).expect("the scenario is written");
        let rate = self.rate.unwrap_or(calls);
        let patience = format!("{}s", 120 + calls / rate);
        let output = Command::new("sipp")
            .args(["-nostdin", "-i", "127.0.0.1", "-m", &calls.to_string(), "-l", &calls.to_string(), "-r", &rate.to_string()])
            .args(["-p", &free_port().to_string(), "-mp", &media_ports().to_string()])
            .args(["-s", self.service, "-t", self.transport, "-timeout", &patience, "-timeout_error"])
            .arg("-sf")
            .arg(&scenario)
            .args(["-trace_err", "-error_file"])
            .arg(folder.path().join("errors"))
            .arg(server.to_string())
            .current_dir(folder.path())
            .output()
            .expect("sipp is installed (Debian package sip-tester)");
        let errors = std::fs::read_to_string(folder.path().join("errors")).unwrap_or_default();
        assert!(
            output.status.success(),
            "sipp ended with {}\n{}\n{}\n{errors}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn scenario(&self, steps: &[Step<'_>]) -> String {
        let mut cseq = 1;
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"call\">\n");
        self.invite(&mut xml, cseq, "sendrecv");
        for step in steps {
            match step {
                Step::Wait(span) => writeln!(xml, "<pause milliseconds=\"{}\"/>", span.as_millis()),
                Step::Digit(digit) => writeln!(
                    xml,
                    "<nop><action><exec play_pcap_audio=\"/usr/share/sip-tester/dtmf_2833_{}.pcap\"/></action></nop>",
                    match digit {
                        '#' => "pound".to_owned(),
                        '*' => "star".to_owned(),
                        digit => digit.to_string(),
                    }
                ),
                Step::Speak(file) => {
                    writeln!(xml, "<nop><action><exec rtp_stream=\"{},1,{}\"/></action></nop>", file.display(), self.format.0)
                }
                Step::Info(digit) => {
                    cseq += 1;
                    let body = format!("Content-Type: application/dtmf-relay\n\nSignal={digit}\nDuration=160\n");
                    request(&mut xml, "INFO", cseq, &body);
                    writeln!(xml, "<recv response=\"200\"/>")
                }
                Step::Hold | Step::Resume => {
                    cseq += 1;
                    self.invite(&mut xml, cseq, if matches!(step, Step::Hold) { "inactive" } else { "sendrecv" });
                    Ok(())
                }
            }
            .expect("a String takes everything");
        }
        request(&mut xml, "BYE", cseq + 1, "\n");
        xml.push_str("<recv response=\"200\"/>\n</scenario>\n");
        xml
    }

    fn invite(&self, xml: &mut String, cseq: u32, direction: &str) {
        let (address, port) = match self.media {
            Some(media) => (media.ip().to_string(), media.port().to_string()),
            None => ("[media_ip]".to_owned(), "[rtpstream_audio_port]".to_owned()),
        };
        let headers = if cseq == 1 { self.headers } else { "" };
        let (payload_type, encoding) = self.format;
        let body = format!(
            "Contact: <sip:{CALLER}@[local_ip]:[local_port];transport=[transport]>\n{headers}Content-Type: application/sdp\n\n\
             v=0\no=user1 53655765 {} IN IP4 [local_ip]\ns=-\nc=IN IP4 {address}\nt=0 0\nm=audio {port} RTP/AVP {payload_type} 101\n\
             a=rtpmap:{payload_type} {encoding}/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na={direction}\n",
            2_353_687_637_u64 + u64::from(cseq)
        );
        request(xml, "INVITE", cseq, &body);
        for optional in [100, 180, 183] {
            let _ = writeln!(xml, "<recv response=\"{optional}\" optional=\"true\"/>");
        }
        xml.push_str("<recv response=\"200\" rrs=\"true\"/>\n");
        request(xml, "ACK", cseq, "\n");
    }
}

/// A request whose `rest` holds the further headers, an empty line, and the body.
fn request(xml: &mut String, method: &str, cseq: u32, rest: &str) {
    let retransmit = if method == "ACK" { "" } else { " retrans=\"500\"" };
    // A request inside the call goes to the Contact of the answer, by way of the proxies that recorded their routes.
    let (target, tag, routes) = if cseq == 1 && method == "INVITE" {
        ("sip:[service]@[remote_ip]:[remote_port]", "", "")
    } else {
        ("[next_url]", "[peer_tag_param]", "[routes]\n")
    };
    let _ = write!(
        xml,
        "<send{retransmit}><![CDATA[\n{method} {target} SIP/2.0\n\
         Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
         From: \"Ann Lee\" <sip:{CALLER}@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]\n\
         To: <sip:[service]@[remote_ip]:[remote_port]>{tag}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\nMax-Forwards: 70\n{routes}\
         Content-Length: [len]\n{rest}]]></send>\n"
    );
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.local_addr().expect("a bound socket has an address").port()
}

/// The first of 256 ports that no other SIPp of these tests uses, below those that the system and our server choose from.
fn media_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    10_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 64 * 256
}
