//! The telephone menus as pure state machines.
