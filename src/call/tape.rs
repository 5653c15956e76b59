//! What a call records into: a journal for a message, which outlives a crash, or a scratch for the subscriber's own recordings,
//! which does not. Whatever waits for the disk waits apart from the tasks of calls.

use std::{fs::File, future::Future, io, time::Duration};

use crate::{
    audio::{codec::Codec, form::Form},
    domain::message::Marks,
    media::EncodedAudio,
    store::{
        greeting::Scratch,
        journal::{Journal, blocking},
    },
};

/// A file that media appends to.
pub enum Tape {
    /// A message, with its envelope.
    Message(Box<Journal>),
    /// A greeting or a spoken name.
    Scratch(Scratch),
}

impl Tape {
    /// Gives the tape back with an empty file to append to; what was recorded before is forgotten.
    pub async fn restarted(self) -> (Self, io::Result<File>) {
        blocking(move || {
            let file = match &self {
                Self::Message(journal) => journal.restart(),
                Self::Scratch(scratch) => scratch.restart(),
            };
            (self, file)
        })
        .await
    }

    /// Gives the tape back with a file to append to, behind the first `kept` of it; what was behind that is forgotten.
    pub async fn going_on(self, kept: Duration) -> (Self, io::Result<File>) {
        blocking(move || {
            let file = match &self {
                Self::Message(journal) => journal.go_on(kept),
                Self::Scratch(_) => Err(io::ErrorKind::Unsupported.into()),
            };
            (self, file)
        })
        .await
    }

    /// Gives the tape back with its message marked; that a greeting is none is not said.
    pub async fn marked(self, marks: Marks) -> (Self, io::Result<()>) {
        blocking(move || match self {
            Self::Message(mut journal) => {
                let marked = journal.mark(marks);
                (Self::Message(journal), marked)
            }
            scratch @ Self::Scratch(_) => (scratch, Ok(())),
        })
        .await
    }

    /// What the bytes in it are.
    #[must_use]
    pub fn form(&self) -> Form {
        match self {
            Self::Message(journal) => journal.envelope().encoding.form(),
            Self::Scratch(scratch) => scratch.encoding().form(),
        }
    }

    /// The first `kept` of it, for the line.
    pub fn read(&self, kept: Duration, codec: Codec) -> impl Future<Output = io::Result<EncodedAudio>> + Send + use<> {
        let form = self.form();
        let read: Box<dyn FnOnce() -> io::Result<Vec<u8>> + Send> = match self {
            Self::Message(journal) => Box::new(journal.reader(kept)),
            Self::Scratch(scratch) => Box::new(scratch.reader(kept)),
        };
        blocking(move || {
            let mut bytes = read()?;
            Ok(match (form, codec.law()) {
                (Form::G711(own), Some(law)) => {
                    own.transcode(law, &mut bytes);
                    EncodedAudio::from_g711(law, &bytes)
                }
                (form, _) => EncodedAudio::new(codec, &form.samples(&bytes), form.sample_rate()),
            })
        })
    }

    /// Forgets it.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub async fn discard(self) -> io::Result<()> {
        blocking(move || match self {
            Self::Message(journal) => journal.discard("the caller discarded it"),
            Self::Scratch(_) => Ok(()),
        })
        .await
    }
}
