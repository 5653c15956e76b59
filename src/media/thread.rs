//! A media thread: every 5 ms it takes what has arrived for all of its calls, and sends a quarter of them their next frame.
//!
//! The tick is what makes thousands of calls cheap: packets do not wake the thread, they wait for the next tick, and one
//! system call tells which sockets have some. Orders do wake it.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Receiver, SyncSender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll},
};

use super::{
    MediaConfig,
    handshake::Handshakes,
    journal::Writer,
    order::Order,
    session::{Context, Session, read},
};
use crate::audio::FRAME;

/// How often packets are taken and frames sent.
const TICK: Duration = Duration::from_millis(5);
/// Each call is sent its frame in one tick of these, so that work is spread over 20 ms.
const PHASES: usize = 4;
/// When the thread is later than this, because the machine was asleep or busy, the ticks in between are left out.
const LATE: Duration = Duration::from_millis(200);
/// How many orders wait at most. Who orders more waits until some are taken.
const ORDERS: usize = 8192;
/// How many sockets one question to the system can tell of.
const READY: usize = 4096;
/// How many datagrams are taken from one socket in one tick when they pile up.
const BACKLOG: usize = 64;
/// Larger than any datagram we take; the rest of a larger one is cut off.
const DATAGRAM: usize = 2048;

/// The way to a media thread. The thread ends when the last of these is gone.
#[derive(Debug)]
pub(super) struct Orders {
    sender: Option<SyncSender<(u64, Order)>>,
    wake: Arc<OwnedFd>,
    /// How many sessions the thread has.
    pub(super) sessions: AtomicUsize,
    gone: AtomicBool,
}

impl Orders {
    /// Gives an order for a session, and says whether there is a thread to take it. Waits only while thousands are waiting
    /// before it.
    pub(super) fn send(&self, session: u64, order: Order) -> bool {
        let taken = self.sender.as_ref().is_some_and(|sender| sender.send((session, order)).is_ok());
        if taken {
            self.wake();
        } else if !self.gone.swap(true, Ordering::Relaxed) {
            tracing::error!("a media thread is gone; its calls end, and new ones are given to the others");
        }
        taken
    }

    /// Whether the thread was found to have ended, which only a mistake of ours can make it do.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// A way to nobody, and what was sent on it.
    #[cfg(test)]
    pub(super) fn unserved() -> (Arc<Self>, Receiver<(u64, Order)>) {
        let (sender, orders) = mpsc::sync_channel(ORDERS);
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("a descriptor");
        (
            Arc::new(Self {
                sender: Some(sender),
                wake: Arc::new(wake),
                sessions: AtomicUsize::new(0),
                gone: AtomicBool::new(false),
            }),
            orders,
        )
    }

    fn wake(&self) {
        // It can only fail when so many are counted already that the thread is awake.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        self.sender = None;
        self.wake();
    }
}

/// Starts a media thread.
pub(super) fn start(index: usize, config: Arc<MediaConfig>, writer: Writer, handshakes: Handshakes) -> io::Result<Arc<Orders>> {
    let (sender, orders) = mpsc::sync_channel(ORDERS);
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let way = Arc::new(Orders {
        sender: Some(sender),
        wake: Arc::clone(&wake),
        sessions: AtomicUsize::new(0),
        gone: AtomicBool::new(false),
    });
    let mut thread = MediaThread {
        started: Instant::now(),
        config,
        writer,
        handshakes,
        orders,
        way: Arc::downgrade(&way),
        wake,
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        slots: Vec::new(),
        free: Vec::new(),
        by_id: HashMap::new(),
        phases: Default::default(),
        tick: 0,
        datagram: Box::new([0; DATAGRAM]),
    };
    thread::Builder::new().name(format!("media-{index}")).spawn(move || thread.run())?;
    Ok(way)
}

struct MediaThread {
    started: Instant,
    config: Arc<MediaConfig>,
    writer: Writer,
    handshakes: Handshakes,
    orders: Receiver<(u64, Order)>,
    way: Weak<Orders>,
    wake: Arc<OwnedFd>,
    epoll: OwnedFd,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    by_id: HashMap<u64, usize>,
    /// The slots that are served in each phase.
    phases: [Vec<usize>; PHASES],
    tick: u64,
    datagram: Box<[u8; DATAGRAM]>,
}

struct Slot {
    session: Box<Session>,
    phase: usize,
    /// The tick in which its RTP port last had something.
    ready_at: u64,
}

impl MediaThread {
    fn run(&mut self) {
        // Frames that are late are heard. Without the right to it we are as good as any other thread.
        if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), -10) {
            tracing::debug!(%error, "media threads run at ordinary priority");
        }
        let mut ready = Vec::with_capacity(READY);
        let mut due = self.started.elapsed() + TICK;
        loop {
            let was_idle = self.by_id.is_empty();
            let woken = self.sleep_until(due);
            let now = self.started.elapsed();
            if woken && !self.take_orders(now) {
                return self.close_all(now);
            }
            // Without a session no tick is due, so none is late.
            if was_idle || self.by_id.is_empty() {
                due = now + TICK;
                continue;
            }
            if now < due {
                continue;
            }
            let late = now - due;
            if late > LATE {
                tracing::warn!(?late, "a media thread is late; callers hear a gap");
                due += self.leave_out(now, late);
            }
            self.tick += 1;
            self.receive(&mut ready, now, late > TICK);
            self.serve(now);
            due += TICK;
        }
    }

    /// Sleeps until the next tick, without a session until there is an order; answers whether there is one.
    fn sleep_until(&self, due: Duration) -> bool {
        let timeout = (!self.by_id.is_empty()).then(|| {
            let rest = due.saturating_sub(self.started.elapsed());
            Timespec { tv_sec: rest.as_secs().cast_signed(), tv_nsec: rest.subsec_nanos().into() }
        });
        let mut fds = [PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN)];
        if !matches!(poll(&mut fds, timeout.as_ref()), Ok(1..)) {
            return false;
        }
        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
        true
    }

    /// Obeys what was ordered; answers whether anybody is left to order more.
    fn take_orders(&mut self, now: Duration) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok((_, Order::Open(session))) => self.open(session),
                Ok((id, order)) => {
                    // What arrived before the call hung up was said before, and belongs to the recording.
                    if matches!(order, Order::StopRecording | Order::Close) {
                        self.receive_for(id, now);
                    }
                    self.with_session(id, now, |session, context| session.obey(order, context));
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn open(&mut self, session: Box<Session>) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if let Some(ports) = session.ports() {
            for (socket, is_rtcp) in [(&ports.rtp, 0), (&ports.rtcp, 1)] {
                let data = epoll::EventData::new_u64((index as u64) << 1 | is_rtcp);
                if let Err(error) = epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN) {
                    // The call will end for want of packets.
                    tracing::error!(%error, "listening to a call's socket failed");
                }
            }
        }
        let phase = (0..PHASES).min_by_key(|&phase| self.phases[phase].len()).unwrap_or(0);
        self.phases[phase].push(index);
        self.by_id.insert(session.id, index);
        self.slots[index] = Some(Slot { session, phase, ready_at: 0 });
    }

    fn with_session(&mut self, id: u64, now: Duration, act: impl FnOnce(&mut Session, &Context<'_>)) {
        let Some(&index) = self.by_id.get(&id) else { return };
        let context =
            Context { now, config: &self.config, writer: &self.writer, handshakes: &self.handshakes, orders: &self.way };
        if let Some(slot) = &mut self.slots[index] {
            act(&mut slot.session, &context);
            if slot.session.is_over() {
                self.remove(index);
            }
        }
    }

    /// Its sockets leave the epoll as they are closed.
    fn remove(&mut self, index: usize) {
        if let Some(slot) = self.slots[index].take() {
            self.by_id.remove(&slot.session.id);
            self.phases[slot.phase].retain(|&other| other != index);
            self.free.push(index);
            if let Some(way) = self.way.upgrade() {
                way.sessions.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes what has arrived. A session is asked for one datagram a tick, four times as often as they should come, so that
    /// asking in vain is rare; for more only when they pile up: in two ticks in a row, or after a late tick.
    fn receive(&mut self, ready: &mut Vec<epoll::Event>, now: Duration, late: bool) {
        loop {
            ready.clear();
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            if epoll::wait(&self.epoll, spare_capacity(ready), Some(&at_once)).is_err() {
                return;
            }
            let context =
                Context { now, config: &self.config, writer: &self.writer, handshakes: &self.handshakes, orders: &self.way };
            for event in &*ready {
                let data = event.data.u64();
                let Some(Some(slot)) = self.slots.get_mut((data >> 1) as usize) else { continue };
                let is_rtcp = data & 1 == 1;
                let piling_up = late || !is_rtcp && std::mem::replace(&mut slot.ready_at, self.tick) + 1 == self.tick;
                for _ in 0..if piling_up { BACKLOG } else { 1 } {
                    let Some(ports) = slot.session.ports() else { break };
                    let socket = if is_rtcp { &ports.rtcp } else { &ports.rtp };
                    let Some((length, source)) = read(socket, &mut self.datagram[..]) else { break };
                    if is_rtcp {
                        slot.session.take_report(&mut self.datagram[..length], source, now);
                    } else {
                        slot.session.take(&mut self.datagram[..length], source, &context);
                    }
                }
            }
            if ready.len() < READY {
                return;
            }
        }
    }

    /// Takes what has arrived for one session.
    fn receive_for(&mut self, id: u64, now: Duration) {
        let Some(Some(slot)) = self.by_id.get(&id).and_then(|&index| self.slots.get_mut(index)) else { return };
        let context =
            Context { now, config: &self.config, writer: &self.writer, handshakes: &self.handshakes, orders: &self.way };
        for _ in 0..BACKLOG {
            let Some(ports) = slot.session.ports() else { return };
            let Some((length, source)) = read(&ports.rtp, &mut self.datagram[..]) else { return };
            slot.session.take(&mut self.datagram[..length], source, &context);
        }
    }

    /// Leaves out the frames that should have been sent by now; answers how long they are, in whole frames.
    fn leave_out(&mut self, now: Duration, late: Duration) -> Duration {
        let frames = u32::try_from(late.as_millis() / FRAME.as_millis()).unwrap_or(u32::MAX);
        let context =
            Context { now, config: &self.config, writer: &self.writer, handshakes: &self.handshakes, orders: &self.way };
        for slot in self.slots.iter_mut().flatten() {
            slot.session.leave_out(frames, &context);
        }
        FRAME * frames
    }

    /// Serves the calls whose phase it is.
    fn serve(&mut self, now: Duration) {
        let phase = (self.tick % PHASES as u64) as usize;
        let context =
            Context { now, config: &self.config, writer: &self.writer, handshakes: &self.handshakes, orders: &self.way };
        let mut over = Vec::new();
        for &index in &self.phases[phase] {
            if let Some(slot) = &mut self.slots[index] {
                slot.session.visit(&context);
                if slot.session.is_over() {
                    over.push(index);
                }
            }
        }
        over.into_iter().for_each(|index| self.remove(index));
    }

    fn close_all(&mut self, now: Duration) {
        let ids: Vec<u64> = self.by_id.keys().copied().collect();
        for id in ids {
            self.with_session(id, now, |session, context| session.obey(Order::Close, context));
        }
    }
}
