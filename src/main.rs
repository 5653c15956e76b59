//! The `afterbeep` command.

fn main() {}
