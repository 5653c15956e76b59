//! One SUBSCRIBE: what is wished, and the subscriber as it is kept and read again.

#![no_main]

use afterbeep::sip::{
    flow::Flow,
    mwi::{State, Summary, Watcher, Wish},
    request::OutsideRequest,
    wire::{Message, parse},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Message::Request(request)) = parse(bytes) else { return };
    let flow = Flow::udp("192.0.2.9:5060".parse().expect("an address"), "192.0.2.1:5060".parse().expect("an address"));
    let request = OutsideRequest { request, flow, credentials: None };
    let Ok(wish) = Wish::of(&request) else { return };
    assert!(wish.life.as_secs() <= 86_400);
    let Ok(watcher) = Watcher::subscribing(&request, &wish, "ours") else { return };
    let kept = Watcher::from_text(&watcher.to_text()).expect("what we write is valid");
    assert_eq!(kept, watcher);
    let _ = kept.notify(1, State::TimedOut, Summary { new: 1, old: 0 });
});
