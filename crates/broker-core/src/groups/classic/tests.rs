//! The state machine, without a log and a socket.
