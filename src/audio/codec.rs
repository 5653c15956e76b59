//! The codecs we speak, as SDP and RTP know them. What they do to samples is in [`encoder`](super::encoder) and
//! [`decoder`](super::decoder).

use super::{FRAME_SAMPLES, g722, g729, law::Law, opus};

/// An audio codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, 8000 samples a second.
    Pcmu,
    /// G.711 A-law, 8000 samples a second.
    Pcma,
    /// G.722 at 64 kbit/s, 16,000 samples a second.
    G722,
    /// Opus (RFC 6716), taken and sent as mono at 16,000 samples a second.
    Opus,
    /// G.729 Annex A at 8 kbit/s, 8000 samples a second.
    G729,
}

impl Codec {
    /// All of them, in the order we offer them: the ones that sound best first.
    pub const ALL: [Self; 5] = [Self::Opus, Self::G722, Self::Pcmu, Self::Pcma, Self::G729];

    /// Those that every telephone has.
    pub const G711: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// The RTP payload type: the static one (RFC 3551 table 4), or for Opus the dynamic one we offer it with.
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 107,
            Self::G729 => 18,
        }
    }

    /// The codec with this static payload type.
    #[must_use]
    pub const fn from_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            18 => Some(Self::G729),
            _ => None,
        }
    }

    /// The encoding name in SDP and in our configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::G729 => "G729",
        }
    }

    /// The codec of this encoding name, in any case (RFC 4855 §3).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// RTP timestamp units a second. G.722 counts 8000 for historical reasons (RFC 3551 §4.5.2), Opus always 48,000
    /// (RFC 7587 §4.1).
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::G729 => 8000,
            Self::Opus => 48_000,
        }
    }

    /// RTP timestamp units in an 8000th of a second.
    #[must_use]
    pub const fn clock_factor(self) -> u32 {
        self.clock_rate() / 8000
    }

    /// Channels in SDP: Opus always says two (RFC 7587 §7), and carries one.
    #[must_use]
    pub const fn channels(self) -> u8 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::G729 => 1,
            Self::Opus => 2,
        }
    }

    /// Samples a second of the audio that goes in and comes out.
    #[must_use]
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G729 => 8000,
            Self::G722 | Self::Opus => 16_000,
        }
    }

    /// Whether there is more in it than a telephone line carries.
    #[must_use]
    pub const fn is_wideband(self) -> bool {
        self.sample_rate() > 8000
    }

    /// Samples in a frame of 20 ms.
    #[must_use]
    pub const fn frame_samples(self) -> usize {
        FRAME_SAMPLES * (self.sample_rate() / 8000) as usize
    }

    /// The law, if it is G.711.
    #[must_use]
    pub const fn law(self) -> Option<Law> {
        match self {
            Self::Pcmu => Some(Law::Mu),
            Self::Pcma => Some(Law::A),
            Self::G722 | Self::Opus | Self::G729 => None,
        }
    }

    /// How long the audio of a payload is, in 8000ths of a second; `None` when it is no payload of this codec.
    #[must_use]
    pub fn length(self, payload: &[u8]) -> Option<u64> {
        match self {
            Self::Pcmu | Self::Pcma => Some(payload.len() as u64),
            Self::G722 => Some(g722::length(payload)),
            Self::Opus => opus::length(payload),
            Self::G729 => g729::length(payload),
        }
    }

    /// What a payload says about the silence after it, as a payload of comfort noise (RFC 3389).
    #[must_use]
    pub fn comfort(self, payload: &[u8]) -> Option<[u8; 1]> {
        match self {
            Self::G729 => g729::comfort(payload),
            // Opus decodes its own silence.
            Self::Pcmu | Self::Pcma | Self::G722 | Self::Opus => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_payload_types_lead_back() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_name(&codec.name().to_lowercase()), Some(codec));
            let fixed = Codec::from_payload_type(codec.payload_type());
            assert_eq!(fixed, Some(codec).filter(|_| codec.payload_type() < 96));
        }
        assert_eq!(Codec::from_name("GSM"), None);
        assert_eq!(Codec::from_payload_type(3), None);
    }

    #[test]
    fn a_frame_is_twenty_milliseconds_in_every_unit() {
        for codec in Codec::ALL {
            assert_eq!(codec.frame_samples() * 50, codec.sample_rate() as usize);
            assert_eq!(codec.clock_factor() * 8000, codec.clock_rate());
        }
    }
}
