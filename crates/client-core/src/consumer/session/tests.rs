//! The session alone: no group, no broker, no clock.
