//! A telephone of our own: for the terminal (`afterbeep call`), for the quickstart's self-test, and for the tests.

pub mod line;
pub mod listen;
