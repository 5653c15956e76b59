//! One message out of what logs and traces show of it.

/// What ends a request line.
const VERSION: &str = " SIP/2.0";

/// The bytes of a message as they were sent, when a log, a trace or an editor has changed them.
///
/// What stands before the request line goes; so do the indentation and the dots for unprintable characters that every line has, and
/// what follows the body. Line ends become CRLF. The length of the body is left out where it does not fit, so that the body is
/// what there is. Bytes that are a message already, or none at all, stay as they are.
pub fn as_on_the_wire(bytes: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&bytes);
    let first = text.lines().next().unwrap_or_default().trim_end();
    if request_line(first).is_some_and(|line| line.len() == first.len()) && text.contains("\r\n\r\n") {
        return bytes;
    }
    let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches('\r')).collect();
    // tcpdump repeats the request line in words of its own, but headers follow the real one.
    let begins = |at: &usize| request_line(lines[*at]).is_some() && lines.get(at + 1).is_none_or(|next| may_follow(next));
    let Some(begin) = (0..lines.len()).find(begins) else { return bytes };
    let Some(request) = request_line(lines[begin]) else { return bytes };
    let layout = Layout::of(lines[begin]);
    let mut lines = lines[begin + 1..].iter().map(|line| layout.bare(line));
    let headers: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let is_session = headers.iter().any(|line| value(line, "Content-Type", "c").is_some_and(|it| it.contains("application/sdp")));
    let told: Option<usize> = headers.iter().find_map(|line| value(line, "Content-Length", "l")?.trim().parse().ok());
    let body = body(lines, told, is_session);
    let fits = told == Some(body.len());
    let mut wire = format!("{request}\r\n");
    for line in headers.iter().filter(|line| fits || value(line, "Content-Length", "l").is_none()) {
        wire.push_str(line);
        wire.push_str("\r\n");
    }
    format!("{wire}\r\n{body}").into_bytes()
}

/// What a trace has put around each line of a message.
#[derive(Clone, Copy)]
struct Layout<'a> {
    /// FreeSWITCH indents.
    indentation: &'a str,
    /// ngrep shows the CR of each line as a dot.
    dotted: bool,
}

impl<'a> Layout<'a> {
    fn of(first: &'a str) -> Self {
        let indentation = &first[..first.len() - first.trim_start().len()];
        Self { indentation, dotted: first.trim_end().ends_with("SIP/2.0.") }
    }

    fn bare(self, line: &str) -> &str {
        let line = line.strip_prefix(self.indentation).unwrap_or(line.trim_start());
        if self.dotted { line.strip_suffix('.').unwrap_or(line) } else { line }
    }
}

/// The request line in a line of text: tcpdump shows the packet's own headers before it.
fn request_line(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.strip_suffix('.').filter(|line| line.ends_with(VERSION)).unwrap_or(line);
    let words = line.strip_suffix(VERSION)?;
    match words.rfind("INVITE ") {
        Some(at) => Some(&line[at..]),
        // Another method stays what it is, so that it can be told.
        None => (words.split_whitespace().count() == 2).then_some(line),
    }
}

/// Whether a line can stand after a request line: it is a header, or empty.
fn may_follow(line: &str) -> bool {
    let line = line.trim().trim_end_matches('.');
    let name = line.split_once(':').map(|(name, _)| name.trim_end());
    line.is_empty() || name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

/// The value of a line, if it is this header.
fn value<'a>(line: &'a str, name: &str, compact: &str) -> Option<&'a str> {
    let (this, value) = line.split_once(':')?;
    let this = this.trim();
    (this.eq_ignore_ascii_case(name) || this.eq_ignore_ascii_case(compact)).then_some(value)
}

/// The lines of the body, each with its CRLF: a session description's own, which show where it ends; else as many as the length says.
fn body<'a>(lines: impl Iterator<Item = &'a str>, told: Option<usize>, is_session: bool) -> String {
    let is_of_a_session = |line: &&str| line.as_bytes().get(1) == Some(&b'=') && line.as_bytes()[0].is_ascii_lowercase();
    let mut body = String::new();
    for line in lines.take_while(|line| !is_session || is_of_a_session(line)) {
        if !is_session && told.is_some_and(|told| body.len() >= told) {
            break;
        }
        body.push_str(line);
        body.push_str("\r\n");
    }
    // Some senders leave the last line end out.
    if told.is_some_and(|told| told + 2 == body.len()) {
        body.truncate(body.len() - 2);
    }
    body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: &str =
        "INVITE sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\nContent-Type: application/sdp\r\nContent-Length: 10\r\n\r\nv=0\r\ns=-\r\n";

    #[test]
    fn every_kind_of_trace_is_read_as_what_was_sent() {
        let lines = || SENT.lines();
        let plain = lines().collect::<Vec<_>>().join("\n");
        let asterisk =
            format!("<--- SIP read from UDP:192.0.2.1:5060 --->\n{plain}\n<------------->\n--- (4 headers 2 lines) ---");
        let freeswitch = lines().map(|line| format!("   {line}\n")).collect::<String>();
        let freeswitch = format!("recv 120 bytes from udp/[192.0.2.1]:5060:\n   -----\n{freeswitch}   -----\n");
        let ngrep = lines().map(|line| format!("{line}.\n")).collect::<String>();
        let ngrep = format!(
            "U 192.0.2.1:5060 -> 192.0.2.2:5060 #1\n{ngrep}\nU 192.0.2.2:5060 -> 192.0.2.1:5060 #2\nSIP/2.0 100 Trying.\n"
        );
        let tcpdump = format!(
            "10:00:00.000000 IP 192.0.2.1.5060 > 192.0.2.2.5060: SIP: INVITE sip:a@b SIP/2.0\nE..x....@.{plain}\n\n10:00:01 IP x\n"
        );
        let sngrep = format!("2026/11/27 10:00:00.123456 192.0.2.1:5060 -> 192.0.2.2:5060\n{}\n", SENT);

        for trace in [SENT, &plain, &asterisk, &freeswitch, &ngrep, &tcpdump, &sngrep] {
            assert_eq!(String::from_utf8(as_on_the_wire(trace.as_bytes().to_vec())).unwrap(), SENT, "{trace}");
        }
    }

    #[test]
    fn a_length_that_does_not_fit_is_left_out() {
        let edited = "INVITE sip:a@b SIP/2.0\nl: 5\nc: application/sdp\n\nv=0\ns=longer\n\nmore of the log\n";

        let wire = String::from_utf8(as_on_the_wire(edited.into())).unwrap();

        assert_eq!(wire, "INVITE sip:a@b SIP/2.0\r\nc: application/sdp\r\n\r\nv=0\r\ns=longer\r\n");
    }

    #[test]
    fn what_is_no_message_stays_what_it_is() {
        for text in [&b"\xFFnonsense"[..], b"", b"SIP/2.0 200 OK\r\n\r\n"] {
            assert_eq!(as_on_the_wire(text.to_vec()), text);
        }
        assert_eq!(as_on_the_wire(b"BYE sip:a@b SIP/2.0\n\n".to_vec()), b"BYE sip:a@b SIP/2.0\r\n\r\n");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_reading_twice_changes_nothing(before in ".{0,40}", rest in "(.{0,30}\r?\n){0,8}") {
            for text in [format!("{before}INVITE sip:a@b SIP/2.0\n{rest}"), format!("{before}{rest}")] {
                let once = as_on_the_wire(text.into_bytes());
                if once.starts_with(b"INVITE ") {
                    prop_assert_eq!(as_on_the_wire(once.clone()), once);
                }
            }
        }
    }
}
