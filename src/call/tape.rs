//! What a call records into: a journal for a message, which outlives a crash, or a scratch for the subscriber's own recordings,
//! which does not.

use std::{fs::File, io, time::Duration};

use crate::{
    audio::codec::Codec,
    media::EncodedAudio,
    store::{
        greeting::Scratch,
        journal::{Encoding, Journal},
    },
};

/// A file that media appends to.
pub enum Tape {
    /// A message, with its envelope.
    Message(Journal),
    /// A greeting or a spoken name.
    Scratch(Scratch),
}

impl Tape {
    /// An empty file to append to; what was recorded before is forgotten.
    ///
    /// # Errors
    ///
    /// When the file cannot be emptied or opened.
    pub fn restart(&self) -> io::Result<File> {
        match self {
            Self::Message(journal) => journal.restart(),
            Self::Scratch(scratch) => scratch.restart(),
        }
    }

    /// The codec of the bytes in it.
    #[must_use]
    pub fn codec(&self) -> Codec {
        match self.encoding() {
            Encoding::Mulaw => Codec::Pcmu,
            Encoding::Alaw => Codec::Pcma,
            Encoding::Linear16 => unreachable!("tapes are made by `encoding_of` a codec"),
        }
    }

    /// The first `kept` of it, for the line.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read(&self, kept: Duration, codec: Codec) -> io::Result<EncodedAudio> {
        let mut bytes = match self {
            Self::Message(journal) => journal.read(kept)?,
            Self::Scratch(scratch) => scratch.read(kept)?,
        };
        self.codec().transcode(codec, &mut bytes);
        Ok(EncodedAudio::from_bytes(codec, &bytes))
    }

    /// Forgets it.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub fn discard(self) -> io::Result<()> {
        match self {
            Self::Message(journal) => journal.discard("the caller discarded it"),
            Self::Scratch(_) => Ok(()),
        }
    }

    fn encoding(&self) -> Encoding {
        match self {
            Self::Message(journal) => journal.envelope().encoding,
            Self::Scratch(scratch) => scratch.encoding(),
        }
    }
}

/// How a codec's bytes are kept.
#[must_use]
pub fn encoding_of(codec: Codec) -> Encoding {
    match codec {
        Codec::Pcmu => Encoding::Mulaw,
        Codec::Pcma => Encoding::Alaw,
    }
}
