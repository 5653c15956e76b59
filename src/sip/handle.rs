//! A call in the hands of the task that leads it, a request in the hands of whoever answers it, and a hand for requests of
//! ours that belong to no call.

use std::{net::IpAddr, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::{
    event::{CallRef, Command, EndReason, Event, IncomingCall},
    gate::Note,
    outgoing::{FAIL_OVER, Outcome, OutgoingRequest},
    request::{OutsideRequest, Reply, RequestRef},
    resolve::Place,
    resolver::Resolver,
    timer::TRANSACTION_LIFE,
};

/// How many events may wait for the task that leads a call. INFO requests beyond it are dropped, all others fit in always:
/// the next re-INVITE is let in only when the last was answered.
const EVENT_QUEUE: usize = 32;
/// What an INFO request must leave free for an acknowledgement, a re-INVITE and the end.
const EVENT_RESERVE: usize = 8;

/// A call that arrived, for whoever leads it from here.
#[derive(Debug)]
pub struct NewCall {
    /// What the INVITE said.
    pub invite: IncomingCall,
    /// What happens next, and what can be done.
    pub handle: CallHandle,
}

/// One call: its events and its commands. Dropping the handle ends the call: refused with 500, or hung up.
#[derive(Debug)]
pub struct CallHandle {
    call: CallRef,
    events: mpsc::Receiver<Event>,
    orders: mpsc::UnboundedSender<Order>,
    ended: Option<EndReason>,
}

/// What a handle tells the task that owns the user agent server.
///
/// Their channel has no bound of its own; the number of calls and of waiting requests bounds it, as each call is led by one task of
/// ours that says a few words and then waits for an event, and a request is answered once.
#[derive(Debug)]
pub(super) enum Order {
    Command(CallRef, Command),
    Abandon(CallRef),
    Respond(RequestRef, Reply),
    /// The BYE of the dialog with this tag is answered, or will not be.
    Departed(u64),
}

/// A request outside a call that arrived, for whoever answers it.
#[derive(Debug)]
pub struct NewRequest {
    /// What it says.
    pub request: OutsideRequest,
    /// How it is answered.
    pub handle: RequestHandle,
}

/// The right to answer one request. Dropping it answers with 500.
#[derive(Debug)]
pub struct RequestHandle {
    request: RequestRef,
    orders: Option<mpsc::UnboundedSender<Order>>,
}

impl RequestHandle {
    /// Answers the request, without waiting.
    pub fn respond(mut self, reply: Reply) {
        self.send(reply);
    }

    fn send(&mut self, reply: Reply) {
        if let Some(orders) = self.orders.take() {
            // When nobody listens any more the server has stopped.
            let _ = orders.send(Order::Respond(self.request, reply));
        }
    }
}

impl Drop for RequestHandle {
    fn drop(&mut self) {
        self.send(Reply::status(500));
    }
}

impl CallHandle {
    /// Which call this is, for logs.
    #[must_use]
    pub fn call(&self) -> CallRef {
        self.call
    }

    /// Waits for the next event. After [`Event::Ended`] it is given again each time.
    ///
    /// Nothing is lost when the returned future is dropped, so it can stand in a `select!`.
    pub async fn next_event(&mut self) -> Event {
        if let Some(reason) = &self.ended {
            return Event::Ended(reason.clone());
        }
        let event = self.events.recv().await.unwrap_or(Event::Ended(EndReason::Stopped));
        if let Event::Ended(reason) = &event {
            self.ended = Some(reason.clone());
        }
        event
    }

    /// Does something with the call, without waiting.
    pub fn send(&self, command: Command) {
        // When nobody listens any more the server has stopped, which is told by the next event.
        let _ = self.orders.send(Order::Command(self.call, command));
    }
}

impl Drop for CallHandle {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self.orders.send(Order::Abandon(self.call));
        }
    }
}

/// The other end of a handle's events.
#[derive(Debug)]
pub(super) struct EventSender(mpsc::Sender<Event>);

impl EventSender {
    /// Hands an event over without waiting; whether there was room. Room can be missing only for an INFO request.
    pub(super) fn send(&self, event: Event) -> bool {
        if matches!(event, Event::Info { .. }) && self.0.capacity() <= EVENT_RESERVE {
            return false;
        }
        // A handle that was dropped wants no events.
        !matches!(self.0.try_send(event), Err(mpsc::error::TrySendError::Full(_)))
    }
}

/// Makes the right to answer a request.
pub(super) fn request_handle(request: RequestRef, orders: mpsc::UnboundedSender<Order>) -> RequestHandle {
    RequestHandle { request, orders: Some(orders) }
}

/// How many requests of ours may wait for the task that owns the user agent server.
const OUTGOING_QUEUE: usize = 256;

/// No request is under way for longer: six seconds for the DNS, and four for each place (nine at most) or 32 for a single one.
pub const LONGEST_SEND: Duration = Duration::from_secs(6 + 4 * 9);

/// Sends requests that belong to no call. Clones share one queue.
#[derive(Clone, Debug)]
pub struct OutgoingHandle {
    orders: mpsc::Sender<OutgoingOrder>,
    resolver: Resolver,
}

/// A request to be sent, and where its outcome is awaited.
#[derive(Debug)]
pub(super) struct OutgoingOrder {
    pub(super) request: OutgoingRequest,
    /// When to give it up.
    pub(super) patience: Duration,
    /// Whether it goes where the operator said, and not where somebody said who asked for it.
    pub(super) is_ours: bool,
    pub(super) reply: oneshot::Sender<Outcome>,
}

impl OutgoingHandle {
    /// Sends a request and waits for its outcome, [`LONGEST_SEND`] at most. Where several places were found for the next hop's name, each
    /// but the last gets four seconds (RFC 3263 §4.3). When the future is dropped, what was sent is repeated all the same.
    pub async fn send(&self, request: OutgoingRequest) -> Outcome {
        let is_ours = request.path.is_none();
        let target = request.lookup();
        let was_asked = target.is_some();
        let mut ways = match target {
            Some(target) => request.ways(self.resolver.places(target, is_ours).await).into_iter(),
            None => vec![request.path].into_iter(),
        };
        let mut left = TRANSACTION_LIFE;
        let mut latest = Outcome::NotSent;
        while let Some(path) = ways.next() {
            let patience = if ways.len() == 0 { left.max(FAIL_OVER) } else { FAIL_OVER };
            left = left.saturating_sub(patience);
            latest = self.send_by(OutgoingRequest { path, ..request.clone() }, patience, is_ours).await;
            // Nobody else may put places of the operator's last.
            if let Some(path) = path.filter(|_| was_asked && is_ours) {
                self.resolver.tried(Place { transport: path.transport, address: path.remote }, latest);
            }
            if !latest.wants_another_place() {
                break;
            }
        }
        latest
    }

    async fn send_by(&self, request: OutgoingRequest, patience: Duration, is_ours: bool) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        // Nobody there any more: the server stops.
        if self.orders.send(OutgoingOrder { request, patience, is_ours, reply }).await.is_err() {
            return Outcome::NotSent;
        }
        outcome.await.unwrap_or(Outcome::NotSent)
    }
}

/// Makes the handle and the other end of its queue.
pub(super) fn outgoing(resolver: Resolver) -> (OutgoingHandle, mpsc::Receiver<OutgoingOrder>) {
    let (orders, queue) = mpsc::channel(OUTGOING_QUEUE);
    (OutgoingHandle { orders, resolver }, queue)
}

/// Makes a handle and the other end of its events.
pub(super) fn handle(call: CallRef, orders: mpsc::UnboundedSender<Order>) -> (CallHandle, EventSender) {
    let (sender, events) = mpsc::channel(EVENT_QUEUE);
    (CallHandle { call, events, orders, ended: None }, EventSender(sender))
}

/// How many notes for the gate may wait; more are lost, which forgives somebody something.
const NOTES: usize = 1024;

/// By which whoever checks passwords tells the gate what came of it. Clones tell the same gate.
#[derive(Clone, Debug)]
pub struct GateHandle(mpsc::Sender<Note>);

impl GateHandle {
    /// Somebody at this address has shown the right password.
    pub fn authenticated(&self, source: IpAddr) {
        let _ = self.0.try_send(Note::Authenticated(source));
    }

    /// Somebody at this address has shown a wrong password, for a nonce that we sent there and that is still good.
    pub fn wrong_password(&self, source: IpAddr) {
        let _ = self.0.try_send(Note::WrongPassword(source));
    }
}

/// Makes a handle for the gate and the other end of it.
pub(super) fn gate() -> (GateHandle, mpsc::Receiver<Note>) {
    let (sender, notes) = mpsc::channel(NOTES);
    (GateHandle(sender), notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> Event {
        Event::Info { content_type: "application/dtmf".to_owned(), body: b"1".to_vec() }
    }

    #[tokio::test]
    async fn a_flood_of_info_leaves_room_for_the_end() {
        let (orders, _kept) = mpsc::unbounded_channel();
        let (mut handle, sender) = handle(CallRef(1), orders);

        let taken = (0..1000).filter(|_| sender.send(info())).count();

        assert_eq!(taken, EVENT_QUEUE - EVENT_RESERVE);
        assert!(sender.send(Event::Ended(EndReason::Bye(None))));
        for _ in 0..taken {
            assert!(matches!(handle.next_event().await, Event::Info { .. }));
        }
        assert!(matches!(handle.next_event().await, Event::Ended(EndReason::Bye(_))));
        assert!(matches!(handle.next_event().await, Event::Ended(EndReason::Bye(_))));
    }

    #[tokio::test]
    async fn a_dropped_handle_abandons_its_call_unless_it_ended() {
        let (orders, mut said) = mpsc::unbounded_channel();
        let (dropped, _sender) = handle(CallRef(1), orders.clone());
        let (mut ended, sender) = handle(CallRef(2), orders);
        sender.send(Event::Ended(EndReason::Cancelled(None)));
        ended.next_event().await;

        drop(ended);
        drop(dropped);

        assert!(matches!(said.recv().await, Some(Order::Abandon(CallRef(1)))));
        assert!(said.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_request_is_answered_once_also_when_its_handle_is_dropped() {
        let (orders, mut said) = mpsc::unbounded_channel();

        request_handle(RequestRef(1), orders.clone()).respond(Reply::status(200));
        drop(request_handle(RequestRef(2), orders));

        assert!(matches!(said.recv().await, Some(Order::Respond(RequestRef(1), Reply { status: 200, .. }))));
        assert!(matches!(said.recv().await, Some(Order::Respond(RequestRef(2), Reply { status: 500, .. }))));
        assert!(said.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_server_that_is_gone_ends_its_calls() {
        let (orders, _kept) = mpsc::unbounded_channel();
        let (mut handle, sender) = handle(CallRef(1), orders);

        drop(sender);

        assert!(matches!(handle.next_event().await, Event::Ended(EndReason::Stopped)));
    }
}
