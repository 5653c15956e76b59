//! RTCP (RFC 3550 §6): sender and receiver reports, source descriptions, and goodbyes, in compound packets.

/// One packet of a compound, as far as a voicemail server cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rtcp {
    /// Who talks, how much, and how well they hear us.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// How their clock relates to their timestamps, and how much they sent.
        sent: Sent,
        /// How well they receive, a block for each talker they hear.
        blocks: Vec<ReportBlock>,
    },
    /// How well somebody who does not talk hears us.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// How well they receive, a block for each talker they hear.
        blocks: Vec<ReportBlock>,
    },
    /// Who a stream belongs to.
    SourceDescription {
        /// The stream.
        ssrc: u32,
        /// Its canonical name.
        cname: Vec<u8>,
    },
    /// Streams that end.
    Goodbye(Vec<u32>),
    /// Anything else, by its packet type.
    Other(u8),
}

/// The sender's half of a sender report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The wall clock as an NTP timestamp: seconds since 1900 and their 2^-32 parts.
    pub ntp: u64,
    /// The same moment on the clock of the RTP timestamps.
    pub timestamp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub bytes: u32,
}

/// How well one stream is received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: u32,
    /// The part lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; duplicates make it negative.
    pub lost: i32,
    /// The highest sequence number received, with the number of wraps above it.
    pub highest_sequence: u32,
    /// The interarrival jitter in timestamp units.
    pub jitter: u32,
    /// The middle half of the NTP timestamp of the last sender report, 0 for none.
    pub last_report: u32,
    /// The time since then, in 2^-16 seconds.
    pub since_last_report: u32,
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const CNAME: u8 = 1;

/// Reads a compound; `None` when any part of it is malformed, as nothing in it can be trusted then (RFC 3550 §A.2).
#[must_use]
pub fn parse(mut datagram: &[u8]) -> Option<Vec<Rtcp>> {
    let mut packets = Vec::new();
    if datagram.is_empty() {
        return None;
    }
    while !datagram.is_empty() {
        let [first, kind, high, low] = *datagram.first_chunk::<4>()?;
        let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        if first >> 6 != 2 || !(192..=223).contains(&kind) {
            return None;
        }
        let mut body = datagram.get(4..length)?;
        datagram = &datagram[length..];
        if first & 0x20 != 0 {
            let padding = usize::from(*body.last()?);
            body = if padding == 0 { return None } else { &body[..body.len().checked_sub(padding)?] };
        }
        packets.push(parse_one(kind, usize::from(first & 0x1f), body)?);
    }
    Some(packets)
}

fn parse_one(kind: u8, count: usize, body: &[u8]) -> Option<Rtcp> {
    match kind {
        SENDER_REPORT => {
            let sent = Sent {
                ntp: u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?),
                timestamp: word(body, 12)?,
                packets: word(body, 16)?,
                bytes: word(body, 20)?,
            };
            Some(Rtcp::SenderReport { ssrc: word(body, 0)?, sent, blocks: parse_blocks(body, 24, count)? })
        }
        RECEIVER_REPORT => Some(Rtcp::ReceiverReport { ssrc: word(body, 0)?, blocks: parse_blocks(body, 4, count)? }),
        SOURCE_DESCRIPTION if count > 0 => {
            Some(Rtcp::SourceDescription { ssrc: word(body, 0)?, cname: parse_cname(body.get(4..)?).unwrap_or_default() })
        }
        GOODBYE => (0..count).map(|at| word(body, at * 4)).collect::<Option<_>>().map(Rtcp::Goodbye),
        other => Some(Rtcp::Other(other)),
    }
}

fn parse_blocks(body: &[u8], at: usize, count: usize) -> Option<Vec<ReportBlock>> {
    (0..count)
        .map(|index| {
            let at = at + index * 24;
            let losses = word(body, at + 4)?;
            Some(ReportBlock {
                ssrc: word(body, at)?,
                fraction_lost: (losses >> 24) as u8,
                // Shifted up and down again so that the sign of the 24 bits is kept.
                lost: (losses << 8).cast_signed() >> 8,
                highest_sequence: word(body, at + 8)?,
                jitter: word(body, at + 12)?,
                last_report: word(body, at + 16)?,
                since_last_report: word(body, at + 20)?,
            })
        })
        .collect()
}

fn parse_cname(mut items: &[u8]) -> Option<Vec<u8>> {
    loop {
        let (&kind, rest) = items.split_first()?;
        if kind == 0 {
            return None;
        }
        let (&length, rest) = rest.split_first()?;
        let text = rest.get(..usize::from(length))?;
        if kind == CNAME {
            return Some(text.to_vec());
        }
        items = &rest[text.len()..];
    }
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..at + 4)?.first_chunk::<4>().copied().map(u32::from_be_bytes)
}

/// A report as we send it: a sender report when `sent` is given, a receiver report else; then our canonical name; then a
/// goodbye, when the stream ends with it.
///
/// `cname` is cut to the 255 bytes the format has room for.
#[must_use]
pub fn report(ssrc: u32, sent: Option<Sent>, block: Option<ReportBlock>, cname: &[u8], goodbye: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let count = u8::from(block.is_some());
    packet(&mut out, if sent.is_some() { SENDER_REPORT } else { RECEIVER_REPORT }, count, |out| {
        out.extend(ssrc.to_be_bytes());
        if let Some(sent) = sent {
            out.extend(sent.ntp.to_be_bytes());
            out.extend(sent.timestamp.to_be_bytes());
            out.extend(sent.packets.to_be_bytes());
            out.extend(sent.bytes.to_be_bytes());
        }
        if let Some(block) = block {
            let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
            out.extend(block.ssrc.to_be_bytes());
            out.extend((u32::from(block.fraction_lost) << 24 | lost).to_be_bytes());
            out.extend(block.highest_sequence.to_be_bytes());
            out.extend(block.jitter.to_be_bytes());
            out.extend(block.last_report.to_be_bytes());
            out.extend(block.since_last_report.to_be_bytes());
        }
    });
    packet(&mut out, SOURCE_DESCRIPTION, 1, |out| {
        let cname = &cname[..cname.len().min(255)];
        out.extend(ssrc.to_be_bytes());
        out.extend([CNAME, cname.len() as u8]);
        out.extend(cname);
        out.push(0);
    });
    if goodbye {
        packet(&mut out, GOODBYE, 1, |out| out.extend(ssrc.to_be_bytes()));
    }
    out
}

/// Appends one packet: its header, what `body` writes, and zeros up to a whole word.
fn packet(out: &mut Vec<u8>, kind: u8, count: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0x80 | count, kind, 0, 0]);
    body(out);
    out.resize(out.len().next_multiple_of(4), 0);
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: Sent = Sent { ntp: 0x0102_0304_0506_0708, timestamp: 160, packets: 3, bytes: 480 };
    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 9,
        fraction_lost: 128,
        lost: -2,
        highest_sequence: 65_537,
        jitter: 12,
        last_report: 0xabcd,
        since_last_report: 65_536,
    };

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let bytes = report(7, Some(SENT), Some(BLOCK), b"afterbeep", true);

        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(
            parse(&bytes),
            Some(vec![
                Rtcp::SenderReport { ssrc: 7, sent: SENT, blocks: vec![BLOCK] },
                Rtcp::SourceDescription { ssrc: 7, cname: b"afterbeep".to_vec() },
                Rtcp::Goodbye(vec![7]),
            ])
        );
    }

    #[test]
    fn who_sends_nothing_reports_as_a_receiver() {
        let bytes = report(7, None, None, b"x", false);

        assert_eq!(
            parse(&bytes),
            Some(vec![
                Rtcp::ReceiverReport { ssrc: 7, blocks: vec![] },
                Rtcp::SourceDescription { ssrc: 7, cname: b"x".to_vec() },
            ])
        );
    }

    #[test]
    fn a_name_that_is_too_long_is_cut() {
        let bytes = report(7, None, None, &[b'x'; 300], false);

        let packets = parse(&bytes).expect("a valid report");
        let [_, Rtcp::SourceDescription { cname, .. }] = &packets[..] else { panic!("two packets: {packets:?}") };
        assert_eq!(cname.len(), 255);
    }

    #[test]
    fn a_compound_with_one_bad_part_is_refused_whole() {
        let good = report(7, Some(SENT), Some(BLOCK), b"afterbeep", false);

        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&good[..good.len() - 1]), None, "cut short");
        let mut promised = good.clone();
        promised[0] |= 0x1f;
        assert_eq!(parse(&promised), None, "thirty-one blocks promised, one there");
        let mut version = good;
        version[0] = 0x40;
        assert_eq!(parse(&version), None, "version 1");
    }

    #[test]
    fn application_packets_are_passed_over() {
        assert_eq!(parse(&[0x80, 204, 0, 1, 0, 0, 0, 1]), Some(vec![Rtcp::Other(204)]));
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_refused(datagram in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&datagram);
        }

        #[test]
        fn any_damaged_report_is_read_or_refused(at in 0_usize..80, byte in any::<u8>(), cut in 0_usize..96) {
            let mut bytes = report(7, Some(SENT), Some(BLOCK), b"afterbeep", true);
            let index = at % bytes.len();
            bytes[index] = byte;
            bytes.truncate(cut.max(1));
            let _ = parse(&bytes);
        }
    }
}
