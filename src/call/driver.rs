//! Drives the menus of one call: events in, effects out. What a key means and what comes next is decided in `ivr`.

use std::{
    collections::{HashMap, VecDeque},
    future::{Future, pending},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{debug, error, info};

use super::{
    Calls,
    key::{self, Keys, Way},
    question::{Asking, Outcome},
    record::RunningRecord,
    session::CallSession,
    tape::Tape,
    transfer::{Handing, Transfer, TrustedPeer},
};
use crate::{
    audio::{codec::Codec, stretch::stretch, volume::amplify, wav},
    domain::{
        caller::Caller,
        dialling::DialRule,
        id::{AudioKey, CallId, MailboxId, MessageId},
        language::LanguageCode,
        listening::Playback,
        message::Marks,
        rules,
    },
    ivr::{self, Answer, Digit, Effect, Entry, Input, Item, PlayFrom, RecordingEnd, Seek},
    media::{Clip, DigitSet, EncodedAudio, MediaEvent, PlayId, RecordSpec, RecordingId},
    sip::{
        event::{Command, Event},
        wire::Reason,
    },
    store::record::RecordedTransfer,
};

type Asked = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type Fetching = Pin<Box<dyn Future<Output = Option<Fetched>> + Send>>;

/// What a phrase or a message is made of.
enum Fetched {
    Phrase(Vec<Clip>),
    Message(Prepared),
}

/// A message as it is played.
#[derive(Clone)]
struct Prepared {
    audio: Arc<EncodedAudio>,
    playback: Playback,
}

impl Prepared {
    /// The message from a place in it on. Places are those of the message as it was spoken, however fast it is played.
    fn from(&self, place: Duration) -> Clip {
        Clip::Audio(self.audio.clone(), self.playback.speed.time_for(place))
    }

    fn length(&self) -> Duration {
        self.playback.speed.heard_in(self.audio.duration())
    }
}

/// One call between its ACK and its end.
pub struct Driver {
    calls: Arc<Calls>,
    session: CallSession,
    line: Line,
    record: RunningRecord,
    menus: ivr::Session,
    /// What the menus do first.
    opening: Vec<Effect>,
    /// What the menus asked and was not answered yet; never two at once.
    asked: Option<Asked>,
    /// What is to be played and is still being fetched; what replaces it drops it.
    fetching: Option<Fetching>,
    playing: Playing,
    /// Each play has a number, so that the end of one that was replaced is told from the end of the current one.
    latest_play: PlayId,
    latest_recording: RecordingId,
    recording: Recording,
    /// The message that is being deposited.
    storing: Option<MessageId>,
    /// A mailbox that is being opened, and by whom.
    changing_to: Option<(MailboxId, MailboxId)>,
    /// The shared mailbox that is open, and its owner, who does what is done there.
    acting: Option<(MailboxId, MailboxId)>,
    /// Whether it was the own line from which the passcode was typed.
    logged_in_on_own_line: bool,
    /// What the other side was asked for last; its answer is awaited in `asked`.
    transfer: Option<Transfer>,
    /// Where messages were when something else replaced them.
    stopped_at: HashMap<MessageId, Duration>,
    /// The caller is gone; what is open is finished, and nothing new is waited for.
    gone: bool,
    /// The media thread is gone, and tells nothing any more.
    media_gone: bool,
    deadline: Option<Instant>,
    /// Since when the caller has us on hold, if that is so.
    held_since: Option<Instant>,
    /// When the latest recording began.
    recording_since: Instant,
    keys: Keys,
}

/// Which call it is, and what is known about its other end.
#[derive(Clone)]
pub struct Line {
    /// The call.
    pub id: CallId,
    /// Who calls.
    pub caller: Caller,
    /// Whether somebody vouches for the caller's number who is believed.
    pub verified: bool,
    /// The number that the caller dialled, if the mailbox has it beside its own.
    pub called: Option<String>,
    /// What tells this guesser of passcodes from others.
    pub guesser: String,
    /// The address it came from.
    pub source: IpAddr,
    /// The domain in which an access code was dialled; may be empty.
    pub domain: String,
    /// The language that callers of the number dialled are spoken to in, if it has one.
    pub language: Option<LanguageCode>,
    /// What the tenant says in its own words.
    pub phrases: ivr::TenantPhrases,
    /// Whether the caller's number is the word of a trusted peer or of a line's password, and no stranger's.
    pub believed: bool,
    /// Whether it is the own line of the mailbox whose passcode was typed last.
    pub own_line: bool,
    /// How numbers are written where it came from, if that is known.
    pub rule: Option<DialRule>,
    /// Who sent it, if that is a trusted peer: the only one that can be asked to connect the caller with somebody else.
    pub peer: Option<TrustedPeer>,
}

/// What is playing, as far as the next key or effect must know.
enum Playing {
    Nothing,
    Phrase { interruptible: bool, paused: bool },
    Message(PlayingMessage),
}

/// A message that is playing, held, or being fetched.
struct PlayingMessage {
    id: MessageId,
    audio: AudioKey,
    /// How it is to be played.
    playback: Playback,
    /// The place from which it plays.
    from: Duration,
    /// What plays; nothing while it is still being fetched.
    prepared: Option<Prepared>,
    paused: bool,
}

/// Whether the call has lasted too long.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overdue {
    No,
    Now,
    /// The menus know.
    Told,
}

/// What was prepared for recording, and how far it is.
enum Recording {
    Nothing,
    Prepared(Tape),
    /// With the length of what was recorded before.
    Running(Tape, Duration),
    Done {
        tape: Tape,
        kept: Duration,
    },
}

impl Driver {
    /// Puts a call together. Nothing is played before [`Driver::run`].
    #[must_use]
    pub fn new(calls: Arc<Calls>, session: CallSession, line: Line, entry: Entry, record: RunningRecord) -> Self {
        let (callers_language, phrases) = (line.language.clone(), line.phrases.clone());
        let settings = ivr::Settings { callers_language, phrases, ..calls.menus.clone() };
        let (menus, opening) = ivr::Session::new(entry, settings);
        Self {
            opening,
            calls,
            session,
            line,
            record,
            menus,
            asked: None,
            fetching: None,
            playing: Playing::Nothing,
            latest_play: PlayId(0),
            latest_recording: RecordingId(0),
            recording: Recording::Nothing,
            storing: None,
            changing_to: None,
            acting: None,
            logged_in_on_own_line: false,
            transfer: None,
            stopped_at: HashMap::new(),
            gone: false,
            media_gone: false,
            deadline: None,
            held_since: None,
            recording_since: Instant::now(),
            keys: Keys::default(),
        }
    }

    /// Leads the call to its end. Returns when everything that was recorded is stored or discarded.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let opening = std::mem::take(&mut self.opening);
        self.perform(opening).await;
        let (began, mut overdue) = (Instant::now(), Overdue::No);
        while !self.is_finished() {
            let input = tokio::select! {
                event = self.session.sip.next_event(), if !self.gone => self.sip_event(event),
                event = self.session.media_events.recv(), if !self.media_gone => self.media_event(event),
                outcome = awaited(&mut self.asked) => {
                    self.asked = None;
                    self.asked(outcome)
                }
                fetched = awaited(&mut self.fetching) => {
                    self.fetching = None;
                    self.fetched(fetched)
                }
                () = due(self.deadline), if !self.gone && !self.is_recording_on_hold() => Some(Input::Timeout),
                () = sleep_until(began + self.menus.longest()), if !self.gone && overdue == Overdue::No => {
                    self.record.ended("it lasted too long");
                    overdue = Overdue::Now;
                    None
                }
                _ = stop.wait_for(|stop| *stop), if !self.gone => {
                    self.session.sip.send(Command::Hangup { reason: Some(Reason::sip(503, "the server stops")) });
                    self.record.ended("the server stopped");
                    self.caller_gone()
                }
            };
            let effects = match input {
                Some(input) => self.menus.handle(input),
                None if overdue == Overdue::Now => {
                    overdue = Overdue::Told;
                    self.menus.end()
                }
                None => continue,
            };
            self.perform(effects).await;
        }
        if !matches!(self.recording, Recording::Nothing) {
            // The menus store or discard every recording; what a mistake of theirs leaves is recovered at the next start.
            error!("a recording was neither stored nor discarded");
        }
        info!("a call is over");
    }

    /// Takes what came of a question; it may be that the other side is to be asked first.
    fn asked(&mut self, outcome: Outcome) -> Option<Input> {
        if let Some(tape) = outcome.tape {
            self.recording = Recording::Prepared(tape);
        }
        if let Some(deposited) = outcome.deposited {
            // Of several mailboxes the first may have become full.
            self.storing = Some(deposited);
        }
        if let Some(recorded) = outcome.recorded {
            self.record.transfer(*recorded);
        }
        match outcome.answer {
            Ok(answer) => {
                self.note(&answer);
                Some(Input::Answer(answer))
            }
            Err(handing) => {
                self.hand_on(*handing);
                None
            }
        }
    }

    /// Asks the other side to connect the caller with somebody else.
    fn hand_on(&mut self, handing: Handing) {
        let referral = Box::new(handing.referral.clone());
        let (mut transfer, answer) = Transfer::begin(self.calls.clone(), handing);
        if self.gone {
            self.record_transfer(transfer.never_asked());
        } else {
            self.session.sip.send(Command::Transfer(referral));
        }
        self.transfer = Some(transfer);
        self.asked = Some(Box::pin(async move { Outcome::answer(answer.await) }));
    }

    fn record_transfer(&mut self, recorded: Option<RecordedTransfer>) {
        if let Some(recorded) = recorded {
            self.record.transfer(recorded);
        }
    }

    /// Keeps in the record what the store answered.
    fn note(&mut self, answer: &Answer) {
        match answer {
            Answer::Stored => {
                if let Some(message) = self.storing.take() {
                    self.record.message(message);
                }
            }
            Answer::Mailbox(Some(mailbox)) => {
                self.record.mailbox(&**mailbox);
                if let Some((opened, owner)) = self.changing_to.take() {
                    self.acting = (opened != owner).then_some((opened, owner));
                }
            }
            _ => {}
        }
    }

    fn is_finished(&self) -> bool {
        self.menus.is_over() && self.asked.is_none() && !matches!(self.recording, Recording::Running(..))
    }

    fn sip_event(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Info { content_type, body } => {
                let key = key::of_info(&content_type, &body)?;
                if self.keys.is_new(key, Way::Info, Instant::now()) { self.key(key) } else { None }
            }
            Event::Reoffer { offer } => {
                self.session.reoffer(offer.as_deref());
                self.held_or_resumed(Instant::now());
                None
            }
            Event::Acknowledged { answer } => {
                self.session.acknowledged(answer.as_deref());
                self.held_or_resumed(Instant::now());
                None
            }
            Event::Ended(reason) => {
                debug!(?reason, "the call ended");
                self.record.ended_by(&reason);
                self.caller_gone()
            }
            Event::Refreshed { answer } => {
                self.session.refreshed(&answer);
                self.held_or_resumed(Instant::now());
                None
            }
            Event::Transferred(end) => {
                let recorded = self.transfer.as_mut().and_then(|transfer| transfer.ended(end));
                self.record_transfer(recorded);
                // If the caller was silent meanwhile, that was for a reason; if nobody is there any more, we shall notice now.
                self.session.listen_anew();
                None
            }
            Event::Incoming(_) | Event::EarlyAnswer { .. } => None,
        }
    }

    /// The clock of a recording stands still while the caller has us on hold, and so does what the menus wait for meanwhile.
    fn held_or_resumed(&mut self, now: Instant) {
        if self.session.is_on_hold() {
            self.held_since.get_or_insert(now);
        } else if let Some(since) = self.held_since.take()
            && matches!(self.recording, Recording::Running(..))
            && let Some(deadline) = &mut self.deadline
        {
            *deadline += now - since.max(self.recording_since);
        }
    }

    fn is_recording_on_hold(&self) -> bool {
        self.held_since.is_some() && matches!(self.recording, Recording::Running(..))
    }

    fn media_event(&mut self, event: Option<MediaEvent>) -> Option<Input> {
        match event {
            Some(MediaEvent::Digit { digit }) => {
                if self.keys.is_new(digit, Way::Media, Instant::now()) {
                    self.key(digit)
                } else {
                    None
                }
            }
            Some(MediaEvent::PlaybackDone { id }) => (id == self.latest_play).then(|| self.playback_done()),
            Some(MediaEvent::RecordingDone { id, kept, ended_by, .. }) if id == self.latest_recording => {
                self.recording_done(kept, ended_by)
            }
            Some(MediaEvent::RecordingDone { .. }) => None,
            // Whoever is being connected with somebody else may be on hold.
            Some(MediaEvent::RtpTimeout) if self.transfer.as_ref().is_some_and(Transfer::is_open) => None,
            Some(MediaEvent::RtpTimeout) => {
                self.session.sip.send(Command::Hangup { reason: Some(Reason::sip(408, "no audio from the caller")) });
                self.record.ended("no audio from the caller");
                self.caller_gone()
            }
            Some(MediaEvent::FirstPacket) => None,
            None => {
                error!("a call is cut off: its media thread is gone");
                self.media_gone = true;
                self.session.sip.send(Command::Hangup { reason: Some(Reason::sip(500, "media stopped")) });
                self.record.ended("its media thread is gone");
                match std::mem::replace(&mut self.recording, Recording::Nothing) {
                    // Its end would never be told. A message's journal stays in the spool and becomes an interrupted one.
                    Recording::Running(tape, _) => {
                        drop(tape);
                        self.gone = true;
                        Some(Input::RecordingDone { kept: Duration::ZERO, ended_by: RecordingEnd::Hangup })
                    }
                    other => {
                        self.recording = other;
                        self.caller_gone()
                    }
                }
            }
        }
    }

    fn key(&mut self, key: char) -> Option<Input> {
        let digit = Digit::from_char(key)?;
        if let Recording::Running(..) = self.recording
            && self.gone
        {
            return None;
        }
        if let Playing::Phrase { interruptible: true, .. } = self.playing {
            self.stop_playing();
        }
        Some(Input::Digit(digit))
    }

    fn playback_done(&mut self) -> Input {
        if let Playing::Message(message) = &self.playing {
            self.stopped_at.remove(&message.id);
        }
        self.playing = Playing::Nothing;
        // It may have been on its way at another speed.
        self.fetching = None;
        Input::PlaybackDone
    }

    fn caller_gone(&mut self) -> Option<Input> {
        if std::mem::replace(&mut self.gone, true) {
            return None;
        }
        self.stop_playing();
        let recorded = self.transfer.as_mut().and_then(Transfer::call_ended);
        self.record_transfer(recorded);
        match self.recording {
            // Told as the end of the recording, once its last bytes are written.
            Recording::Running(..) => {
                self.session.media.stop_recording();
                None
            }
            Recording::Nothing | Recording::Prepared(_) | Recording::Done { .. } => Some(Input::Hangup),
        }
    }

    fn recording_done(&mut self, kept: Duration, ended_by: crate::media::RecordingEnd) -> Option<Input> {
        use crate::media::RecordingEnd as Media;
        let Recording::Running(tape, before) = std::mem::replace(&mut self.recording, Recording::Nothing) else { return None };
        let kept = before + kept;
        self.recording = Recording::Done { tape, kept };
        let ended_by = match ended_by {
            _ if self.gone => RecordingEnd::Hangup,
            Media::Digit(key) => {
                self.keys.is_new(key, Way::Media, Instant::now());
                Digit::from_char(key).map_or(RecordingEnd::Stopped, RecordingEnd::Digit)
            }
            Media::Silence => RecordingEnd::Silence,
            Media::Longest => RecordingEnd::Longest,
            Media::Stopped => RecordingEnd::Stopped,
            Media::WriteFailed => RecordingEnd::Failed,
        };
        Some(Input::RecordingDone { kept, ended_by })
    }

    async fn perform(&mut self, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Play { items, language, interruptible } => {
                    self.leave_playing();
                    self.playing = Playing::Phrase { interruptible, paused: false };
                    self.fetching = Some(self.fetch(items, language));
                }
                Effect::PlayMessage { id, audio, from, playback } => {
                    self.leave_playing();
                    let from = match from {
                        PlayFrom::Start => Duration::ZERO,
                        PlayFrom::WhereItStopped => self.stopped_at.get(&id).copied().unwrap_or_default(),
                    };
                    self.fetching = Some(self.fetch_message(audio.clone(), playback));
                    let message = PlayingMessage { id, audio, playback, from, prepared: None, paused: false };
                    self.playing = Playing::Message(message);
                }
                Effect::ChangePlayback(playback) => self.change_playback(playback),
                Effect::StopPlaying => self.stop_playing(),
                Effect::PausePlaying => self.pause(true),
                Effect::ResumePlaying => self.pause(false),
                Effect::Seek(seek) => self.seek(seek),
                Effect::Record { longest, trailing_silence, end_digits, .. } => {
                    if let Some(failed) = self.record(false, longest, trailing_silence, &end_digits).await {
                        effects.extend(self.menus.handle(failed));
                    }
                }
                Effect::RecordMore { longest, trailing_silence, end_digits } => {
                    if let Some(failed) = self.record(true, longest, trailing_silence, &end_digits).await {
                        effects.extend(self.menus.handle(failed));
                    }
                }
                Effect::MarkMessage(marks) => self.mark(marks).await,
                Effect::StopRecording => {
                    if let Recording::Running(..) = self.recording {
                        self.session.media.stop_recording();
                    }
                }
                Effect::DiscardRecording => self.discard().await,
                Effect::Ask(question) => self.ask(question),
                Effect::HangUp => {
                    self.gone = true;
                    self.session.sip.send(Command::Hangup { reason: None });
                    self.record.ended("we hung up");
                }
            }
        }
        self.deadline = self.menus.timeout().map(|span| Instant::now() + span);
    }

    /// Remembers where a message was, before something else plays.
    fn leave_playing(&mut self) {
        self.fetching = None;
        let position = self.position();
        if let Playing::Message(message) = &self.playing {
            self.stopped_at.insert(message.id.clone(), position);
        }
        self.playing = Playing::Nothing;
        // Should it end by itself before the next play has begun, that is not the end of the next one.
        self.latest_play = PlayId(self.latest_play.0.wrapping_add(1));
    }

    fn stop_playing(&mut self) {
        self.leave_playing();
        self.session.media.stop_playing();
    }

    /// How far into the message we are.
    fn position(&self) -> Duration {
        let Playing::Message(PlayingMessage { from, prepared, .. }) = &self.playing else { return Duration::ZERO };
        let Some(prepared) = prepared else { return *from };
        *from + prepared.playback.speed.heard_in(self.session.media.position(self.latest_play).unwrap_or_default())
    }

    /// Prepares the message anew, unless it is being prepared already. Meanwhile it goes on as it is.
    fn change_playback(&mut self, playback: Playback) {
        let Playing::Message(message) = &mut self.playing else { return };
        message.playback = playback;
        let audio = message.audio.clone();
        if self.fetching.is_none() {
            self.fetching = Some(self.fetch_message(audio, playback));
        }
    }

    fn pause(&mut self, pause: bool) {
        match &mut self.playing {
            Playing::Nothing => {}
            Playing::Phrase { paused, .. } => *paused = pause,
            Playing::Message(message) => message.paused = pause,
        }
        if pause {
            self.session.media.pause_playing();
        } else {
            self.session.media.resume_playing();
        }
    }

    /// Plays the same message from another place; one that is held stays held.
    fn seek(&mut self, seek: Seek) {
        let position = self.position();
        let Playing::Message(message) = &mut self.playing else { return };
        message.from = match seek {
            Seek::Back(span) => position.saturating_sub(span),
            Seek::Ahead(span) => position + span,
            Seek::Start => Duration::ZERO,
        };
        // One that is still being fetched will begin there.
        let Some(prepared) = &message.prepared else { return };
        message.from = message.from.min(prepared.length());
        let (clip, paused) = (prepared.from(message.from), message.paused);
        self.play(vec![clip], paused);
    }

    fn play(&mut self, clips: Vec<Clip>, paused: bool) {
        self.latest_play = PlayId(self.latest_play.0.wrapping_add(1));
        self.session.media.play(self.latest_play, clips);
        if paused {
            self.session.media.pause_playing();
        }
    }

    /// Puts what was fetched on the line, unless nothing could be.
    fn fetched(&mut self, fetched: Option<Fetched>) -> Option<Input> {
        let position = self.position();
        match (fetched, &mut self.playing) {
            (Some(Fetched::Phrase(clips)), playing) => {
                let paused = matches!(playing, Playing::Phrase { paused: true, .. });
                self.play(clips, paused);
            }
            (Some(Fetched::Message(prepared)), Playing::Message(message)) => {
                message.from = position.min(prepared.length());
                let (clip, paused) = (prepared.from(message.from), message.paused);
                let wished = (message.playback != prepared.playback).then(|| (message.audio.clone(), message.playback));
                message.prepared = Some(prepared);
                self.play(vec![clip], paused);
                if let Some((audio, playback)) = wished {
                    self.fetching = Some(self.fetch_message(audio, playback));
                }
            }
            // What plays goes on as it is, if only another speed could not be had.
            (None, Playing::Message(PlayingMessage { prepared: Some(_), .. })) => {}
            (Some(Fetched::Message(_)) | None, _) => {
                self.stop_playing();
                return Some(Input::PlaybackFailed);
            }
        }
        None
    }

    fn fetch(&self, items: Vec<Item>, language: LanguageCode) -> Fetching {
        let (calls, codec) = (self.calls.clone(), self.session.codec());
        let recording = match &self.recording {
            Recording::Done { tape, kept } if items.contains(&Item::TheRecording) => Some(tape.read(*kept, codec)),
            _ => None,
        };
        Box::pin(async move {
            let recording = match recording {
                Some(reading) => reading.await.ok().map(Arc::new),
                None => None,
            };
            let mut clips = Vec::with_capacity(items.len());
            for item in items {
                match item {
                    Item::Prompt(prompt) => clips.extend(calls.library.prompt(&language, prompt, codec).map(Clip::from)),
                    Item::Beep => clips.push(Clip::from(calls.library.beep(codec))),
                    Item::Pause(span) => clips.push(Clip::Silence(span)),
                    Item::Greeting(key) | Item::SpokenName(key) => clips.extend(calls.audio(&key, codec).await.map(Clip::from)),
                    Item::TheRecording => clips.push(Clip::from(recording.clone()?)),
                }
            }
            Some(Fetched::Phrase(clips))
        })
    }

    fn fetch_message(&self, key: AudioKey, playback: Playback) -> Fetching {
        let (calls, codec) = (self.calls.clone(), self.session.codec());
        Box::pin(async move {
            let audio = calls.message_audio(&key, codec, playback).await?;
            Some(Fetched::Message(Prepared { audio, playback }))
        })
    }

    /// Starts recording, or goes on behind what was kept; answers what to tell the menus if that fails.
    async fn record(
        &mut self,
        goes_on: bool,
        longest: Duration,
        trailing_silence: Option<Duration>,
        end_digits: &[Digit],
    ) -> Option<Input> {
        // What was said since the end of the tone belongs to the recording.
        if !matches!(self.playing, Playing::Nothing) {
            self.stop_playing();
        }
        let (tape, before) = match std::mem::replace(&mut self.recording, Recording::Nothing) {
            Recording::Done { tape, kept } if goes_on => (tape, kept),
            Recording::Prepared(tape) | Recording::Done { tape, .. } => (tape, Duration::ZERO),
            other => {
                self.recording = other;
                return None;
            }
        };
        let (tape, file) = if goes_on { tape.going_on(before).await } else { tape.restarted().await };
        match file {
            Ok(file) => {
                self.latest_recording = RecordingId(self.latest_recording.0.wrapping_add(1));
                self.session.media.record(RecordSpec {
                    id: self.latest_recording,
                    file,
                    form: tape.form(),
                    longest,
                    trailing_silence,
                    end_digits: DigitSet::of(&end_digits.iter().map(|digit| digit.as_char()).collect::<String>()),
                });
                self.recording = Recording::Running(tape, before);
                self.recording_since = Instant::now();
                None
            }
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "what is recorded cannot be written");
                self.recording = Recording::Done { tape, kept: before };
                Some(Input::RecordingDone { kept: before, ended_by: RecordingEnd::Failed })
            }
        }
    }

    /// Marks the message that is being recorded, durably, so that a crash keeps the marks.
    async fn mark(&mut self, marks: Marks) {
        let (tape, kept) = match std::mem::replace(&mut self.recording, Recording::Nothing) {
            Recording::Prepared(tape) => (tape, None),
            Recording::Done { tape, kept } => (tape, Some(kept)),
            other => {
                self.recording = other;
                return;
            }
        };
        let (tape, marked) = tape.marked(marks).await;
        if let Err(error) = marked {
            error!(error = &error as &dyn std::error::Error, "the marks of a message would not outlive a crash");
        }
        self.recording = match kept {
            Some(kept) => Recording::Done { tape, kept },
            None => Recording::Prepared(tape),
        };
    }

    /// Returns when the recording is gone for good, so that nobody is told so before.
    async fn discard(&mut self) {
        match std::mem::replace(&mut self.recording, Recording::Nothing) {
            Recording::Prepared(tape) | Recording::Done { tape, .. } => {
                if let Err(error) = tape.discard().await {
                    error!(error = &error as &dyn std::error::Error, "a discarded recording could not be removed");
                }
            }
            other => self.recording = other,
        }
    }

    fn ask(&mut self, question: ivr::Question) {
        let taken = match question {
            _ if takes_recording(&question) => match std::mem::replace(&mut self.recording, Recording::Nothing) {
                Recording::Done { tape, kept } => Some((tape, kept)),
                other => {
                    self.recording = other;
                    None
                }
            },
            _ => None,
        };
        match &question {
            ivr::Question::CheckPasscode { own_line, .. } => {
                (self.line.own_line, self.logged_in_on_own_line) = (*own_line, *own_line);
            }
            // An owner's line is not the shared mailbox's own. Back in the owner's, it is what it was.
            ivr::Question::OpenMailbox { mailbox, owner } => {
                self.line.own_line = mailbox == owner && self.logged_in_on_own_line;
            }
            _ => {}
        }
        if let Some((Tape::Message(journal), _)) = &taken {
            self.storing = Some(journal.envelope().message.clone());
        }
        if let ivr::Question::OpenMailbox { mailbox, owner } = &question {
            self.changing_to = Some((mailbox.clone(), owner.clone()));
        }
        let asking = Asking {
            calls: self.calls.clone(),
            line: self.line.clone(),
            codec: self.session.codec(),
            recording: taken,
            acting: self.acting.clone(),
        };
        self.asked = Some(Box::pin(asking.carry_out(question)));
    }
}

impl Calls {
    /// A stored recording, encoded for the line; `None` when it cannot be had, which is logged.
    async fn audio(&self, key: &AudioKey, codec: Codec) -> Option<Arc<EncodedAudio>> {
        self.message_audio(key, codec, Playback::default()).await
    }

    /// The same, as fast and as loud as it is wished.
    async fn message_audio(&self, key: &AudioKey, codec: Codec, playback: Playback) -> Option<Arc<EncodedAudio>> {
        let wav = match self.store.audio(key).await {
            Ok(wav) => wav,
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, audio = %key, "stored audio cannot be read");
                return None;
            }
        };
        // Five minutes take up to two seconds, as Opus, which would hold up other calls' tasks.
        let encoded = tokio::task::spawn_blocking(move || {
            let rate = codec.sample_rate();
            wav::read_at(rate, &wav, rules::LONGEST_FORWARDED).map(|samples| {
                let mut samples = stretch(&samples, rate, playback.speed.percent());
                amplify(&mut samples, rate, playback.volume.decibels());
                EncodedAudio::new(codec, &samples, rate)
            })
        });
        match encoded.await {
            Ok(Ok(audio)) => Some(Arc::new(audio)),
            Ok(Err(error)) => {
                error!(error = &error as &dyn std::error::Error, audio = %key, "stored audio is no WAV");
                None
            }
            // It panicked, or the server is being torn down.
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, audio = %key, "stored audio was not decoded");
                None
            }
        }
    }
}

/// Whether the recording is taken over by a question.
fn takes_recording(question: &ivr::Question) -> bool {
    match question {
        ivr::Question::StoreMessage
        | ivr::Question::SetGreeting(..)
        | ivr::Question::Account(ivr::AccountQuestion::SetPhrase(..)) => true,
        ivr::Question::SendMessage(letter) => letter.recorded,
        _ => false,
    }
}

/// Waits for a future that may not be there.
async fn awaited<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

async fn due(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
