//! Recordings on their way to the disk: media threads fill buffers, a writer appends them, and syncers see to it that at
//! most a second is lost when the power goes.
//!
//! Nothing here ever makes a media thread wait. When the disk does not keep up, buffers run out, and the recordings that
//! need one end with what they have.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    order::{MediaEvent, Order, RecordingEnd, RecordingId},
    thread::Orders,
};
use crate::audio::duration_of;

/// The size of a buffer: half a second of G.711, an eighth of a second of wideband audio.
pub(super) const BUFFER: usize = 4096;
/// How many buffers there are for all recordings: 64 MB, or five seconds of 1600 recordings in G.711.
const BUFFERS: usize = 16_384;
/// How many recordings may be finishing at once beyond that.
const FINISHING: usize = 16_384;
/// How often files are synced while they grow.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// From so many files on, one call that syncs the whole file system is cheaper than one for each.
const MANY: usize = 4;

/// Where the media threads hand in what is to be written.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    jobs: SyncSender<Job>,
    buffers: Arc<Buffers>,
}

/// A file that a recording is appended to.
#[derive(Debug)]
pub(super) struct JournalFile {
    file: File,
    device: u64,
    written: AtomicU64,
    failed: AtomicBool,
    dirty: AtomicBool,
}

#[derive(Debug)]
enum Job {
    Append(Arc<JournalFile>, Vec<u8>),
    Finish(Finish),
}

/// The end of a recording, told to its session when everything is on the disk.
#[derive(Debug)]
pub(super) struct Finish {
    pub(super) file: Arc<JournalFile>,
    pub(super) session: u64,
    pub(super) orders: Weak<Orders>,
    pub(super) id: RecordingId,
    /// How much of the file is the recording, in 8000ths of a second, and how many bytes each of those has.
    pub(super) kept: u64,
    pub(super) width: usize,
    pub(super) ended_by: RecordingEnd,
}

impl Writer {
    /// Starts the threads. They end when the last `Writer` is gone and all is written.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, todo) = mpsc::sync_channel(BUFFERS + FINISHING);
        let buffers = Arc::new(Buffers::default());
        // Growing files and finished ones apart: who waits for the end of a recording must not wait for all the others.
        let (growing, growing_todo) = mpsc::sync_channel(1);
        let (finished, finished_todo) = mpsc::sync_channel(FINISHING);
        spawn("media-sync", move || sync_growing(&growing_todo))?;
        spawn("media-finish", move || finish(&finished_todo))?;
        spawn("media-write", {
            let buffers = Arc::clone(&buffers);
            move || write(&todo, &buffers, &growing, &finished)
        })?;
        Ok(Self { jobs, buffers })
    }

    /// An empty buffer, or none when the disk is that far behind.
    pub(super) fn buffer(&self) -> Option<Vec<u8>> {
        self.buffers.take()
    }

    /// Has a buffer appended to a file.
    pub(super) fn append(&self, file: &Arc<JournalFile>, buffer: Vec<u8>) {
        if let Err(error) = self.jobs.try_send(Job::Append(Arc::clone(file), buffer)) {
            // There is a place for each buffer, so the writer is gone. Its recordings say so.
            file.failed.store(true, Ordering::Relaxed);
            if let TrySendError::Full(Job::Append(_, buffer)) | TrySendError::Disconnected(Job::Append(_, buffer)) = error {
                self.buffers.give_back(buffer);
            }
        }
    }

    /// Has a recording finished: when all of it is on the disk, its session is told.
    ///
    /// # Errors
    ///
    /// What to tell the session instead, when the writer is gone.
    pub(super) fn finish(&self, finish: Finish) -> Result<(), MediaEvent> {
        match self.jobs.try_send(Job::Finish(finish)) {
            Err(TrySendError::Full(Job::Finish(finish)) | TrySendError::Disconnected(Job::Finish(finish))) => {
                finish.file.failed.store(true, Ordering::Relaxed);
                Err(finish.event())
            }
            Ok(()) | Err(TrySendError::Full(Job::Append(..)) | TrySendError::Disconnected(Job::Append(..))) => Ok(()),
        }
    }
}

impl JournalFile {
    /// Takes a file to append to.
    pub(super) fn new(file: File) -> Self {
        let device = file.metadata().map_or(0, |metadata| metadata.dev());
        Self { file, device, written: AtomicU64::new(0), failed: AtomicBool::new(false), dirty: AtomicBool::new(false) }
    }

    /// Whether the disk has refused any of it.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Notes that no buffer was left for it.
    pub(super) fn overrun(&self) {
        self.fail("keeping up with the recordings", &io::ErrorKind::StorageFull.into());
    }

    fn append(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.has_failed() {
            match (&self.file).write(bytes) {
                Ok(0) => self.fail("appending to a recording", &io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written.fetch_add(count as u64, Ordering::Relaxed);
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.fail("appending to a recording", &error),
            }
        }
    }

    fn fail(&self, what: &str, error: &io::Error) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "{what} failed; the recording ends here");
        }
    }
}

impl Finish {
    /// Tells the session; waits for room among its orders, which its thread takes every few milliseconds.
    fn tell(self) {
        // Without the engine there is nobody to tell.
        if let Some(orders) = self.orders.upgrade() {
            orders.send(self.session, Order::Recorded(self.event()));
        }
    }

    fn event(&self) -> MediaEvent {
        let written = self.file.written.load(Ordering::Relaxed) / self.width as u64;
        let ended_by = if self.file.has_failed() { RecordingEnd::WriteFailed } else { self.ended_by };
        MediaEvent::RecordingDone { id: self.id, kept: duration_of(self.kept.min(written)), written, ended_by }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

fn write(todo: &Receiver<Job>, buffers: &Buffers, growing: &SyncSender<Vec<Arc<JournalFile>>>, finished: &SyncSender<Finish>) {
    let mut dirty = Vec::new();
    let mut synced_at = Instant::now();
    loop {
        let job = if dirty.is_empty() {
            todo.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            todo.recv_timeout(SYNC_EVERY.saturating_sub(synced_at.elapsed()))
        };
        match job {
            Ok(Job::Append(file, buffer)) => {
                file.append(&buffer);
                buffers.give_back(buffer);
                if !file.dirty.swap(true, Ordering::Relaxed) {
                    dirty.push(file);
                }
            }
            Ok(Job::Finish(finish)) => {
                if let Err(mpsc::SendError(finish)) = finished.send(finish) {
                    finish.tell();
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if synced_at.elapsed() >= SYNC_EVERY && !dirty.is_empty() {
            synced_at = Instant::now();
            // While the disk still works on the last second, this one waits for the next.
            if let Err(TrySendError::Full(files) | TrySendError::Disconnected(files)) =
                growing.try_send(std::mem::take(&mut dirty))
            {
                dirty = files;
            }
        }
    }
}

fn sync_growing(todo: &Receiver<Vec<Arc<JournalFile>>>) {
    while let Ok(files) = todo.recv() {
        for file in &files {
            file.dirty.store(false, Ordering::Relaxed);
        }
        // Whoever holds the last reference has finished, or is about to: that sync is the other thread's.
        sync(&files.iter().filter(|file| Arc::strong_count(file) > 1).map(AsRef::as_ref).collect::<Vec<_>>());
    }
}

fn finish(todo: &Receiver<Finish>) {
    while let Ok(first) = todo.recv() {
        // All that came while the disk was busy with the ones before share one sync.
        let batch: Vec<Finish> = std::iter::once(first).chain(todo.try_iter()).collect();
        sync(&batch.iter().map(|finish| finish.file.as_ref()).collect::<Vec<_>>());
        batch.into_iter().for_each(Finish::tell);
    }
}

/// Brings files to the disk. A file that this fails for has failed.
fn sync(files: &[&JournalFile]) {
    let mut rest: Vec<&JournalFile> = files.to_vec();
    while let Some(first) = rest.first().copied() {
        let (together, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|file| file.device == first.device);
        rest = others;
        if together.len() > MANY {
            if let Err(error) = rustix::fs::syncfs(&first.file) {
                together.iter().for_each(|file| file.fail("syncing recordings", &error.into()));
            }
        } else {
            for file in together {
                match rustix::fs::fdatasync(&file.file) {
                    // Neither a pipe nor a terminal has anything to sync.
                    Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                    Err(error) => file.fail("syncing a recording", &error.into()),
                }
            }
        }
    }
}

/// Buffers that are used over and over. The lock is taken twice a second for each recording in G.711, eight times for wideband.
#[derive(Debug, Default)]
struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
    taken: AtomicUsize,
}

impl Buffers {
    fn take(&self) -> Option<Vec<u8>> {
        if self.taken.fetch_add(1, Ordering::Relaxed) >= BUFFERS {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Some(free.unwrap_or_else(|| Vec::with_capacity(BUFFER)))
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
