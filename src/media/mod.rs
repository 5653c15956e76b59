//! Media threads: sockets, the tick, players and recorders.
