//! Connections that deliver frames in order, late, or never.
//!
//! The unit is the frame: half a frame is as good as none to either core. A connection is *cut* (both sides are told, what was under way is
//! gone), turned *half-open* (one side is told or none, what it sends vanishes) or closed by one side (what that side sent before still arrives).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use felice_protocol::time::Instant;

use crate::rng::Rng;

/// A connection's number; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link(pub u64);

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Who connected.
    Client,
    /// Who accepted.
    Broker,
}

impl Side {
    /// The other end.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Broker,
            Self::Broker => Self::Client,
        }
    }
}

/// What arrives at an end of a connection.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A whole frame, without its length prefix.
    Frame(Bytes),
    /// The other side closed, or the connection was cut.
    Closed,
}

/// How long bytes take: of all connections, as the seed has it.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The shortest way, in microseconds.
    pub latency_min_micros: u64,
    /// The longest usual way.
    pub latency_max_micros: u64,
    /// Frames in a thousand that take up to fifty times as long.
    pub late_per_mille: u64,
    /// Bytes a second.
    pub bytes_per_second: u64,
}

#[derive(Debug)]
struct Connection {
    client: usize,
    /// Whether what this side sends gets anywhere, and the other's still gets here.
    dead: [bool; 2],
    /// A side that was told, or that closed itself, hears nothing more.
    closed: [bool; 2],
    /// When the last frame towards each side arrives: order is kept.
    last_arrival: [Instant; 2],
    /// Arrivals towards a side that are of an earlier generation are lost.
    generation: [u64; 2],
    slow: u64,
}

/// All connections of a world.
#[derive(Debug)]
pub struct Network {
    connections: BTreeMap<Link, Connection>,
    next: u64,
    weather: Weather,
    /// While it holds, nobody reaches anybody, and nobody is told.
    blackout: bool,
    rng: Rng,
    frames: u64,
}

/// Something on its way, for the world to put into its queue.
#[derive(Clone, Debug)]
pub struct UnderWay {
    /// When it arrives.
    pub at: Instant,
    /// On which connection.
    pub link: Link,
    /// At which end.
    pub to: Side,
    /// What.
    pub arrival: Arrival,
    generation: u64,
}

fn at(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Broker => 1,
    }
}

impl Network {
    /// No connections yet.
    pub fn new(weather: Weather, rng: Rng) -> Self {
        Self { connections: BTreeMap::new(), next: 1, weather, blackout: false, rng, frames: 0 }
    }

    /// Frames that were sent so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// One way's time, drawn anew.
    pub fn latency(&mut self) -> Duration {
        let usual = self.rng.between(self.weather.latency_min_micros, self.weather.latency_max_micros);
        let factor = if self.rng.chance(self.weather.late_per_mille) { self.rng.between(2, 50) } else { 1 };
        Duration::from_micros(usual * factor)
    }

    /// A connection between a client and the broker.
    pub fn open(&mut self, client: usize) -> Link {
        let link = Link(self.next);
        self.next += 1;
        let slow = if self.rng.chance(50) { self.rng.between(2, 20) } else { 1 };
        let connection = Connection {
            client,
            dead: [false; 2],
            closed: [false; 2],
            last_arrival: [Instant(0); 2],
            generation: [0; 2],
            slow,
        };
        self.connections.insert(link, connection);
        link
    }

    /// The client at one end.
    pub fn client(&self, link: Link) -> Option<usize> {
        self.connections.get(&link).map(|connection| connection.client)
    }

    /// All connections that some side still holds open.
    pub fn links(&self) -> Vec<Link> {
        self.connections.keys().copied().collect()
    }

    /// Nobody reaches anybody while this is on; connections stay, and what is sent meanwhile is lost for good (so they are of no use after).
    pub fn set_blackout(&mut self, on: bool) {
        self.blackout = on;
        if on {
            for connection in self.connections.values_mut() {
                connection.dead = [true; 2];
                // nothing of what is under way arrives, not even after: a gap in a stream of bytes there is not
                connection.generation[0] += 1;
                connection.generation[1] += 1;
            }
        }
    }

    /// Whether a blackout is on.
    pub fn is_blackout(&self) -> bool {
        self.blackout
    }

    /// Slow weather, or better.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Sends a frame from one side; `None` where it goes nowhere.
    pub fn send(&mut self, now: Instant, link: Link, from: Side, frame: Bytes) -> Option<UnderWay> {
        self.frames += 1;
        let latency = self.latency();
        let connection = self.connections.get_mut(&link)?;
        if connection.dead[at(from)] || connection.closed[at(from)] {
            return None;
        }
        let bandwidth = self.weather.bytes_per_second / connection.slow;
        let transfer = Duration::from_nanos(frame.len() as u64 * 1_000_000_000 / bandwidth.max(1));
        Some(connection.put(
            now,
            link,
            from.other(),
            latency * u32::try_from(connection.slow).unwrap_or(1) + transfer,
            Arrival::Frame(frame),
        ))
    }

    /// One side closes: it hears nothing more; the other gets what was sent before, and then the end.
    pub fn close(&mut self, now: Instant, link: Link, from: Side) -> Option<UnderWay> {
        let latency = self.latency();
        let connection = self.connections.get_mut(&link)?;
        let was_closed = std::mem::replace(&mut connection.closed[at(from)], true);
        let told = connection.closed[at(from.other())];
        if told {
            self.connections.remove(&link);
            return None;
        }
        if was_closed || connection.dead[at(from)] {
            return None;
        }
        Some(connection.put(now, link, from.other(), latency, Arrival::Closed))
    }

    /// The connection breaks: what is under way is lost, and both sides are told, each at its time.
    pub fn cut(&mut self, now: Instant, link: Link) -> Vec<UnderWay> {
        [Side::Client, Side::Broker].into_iter().filter_map(|side| self.break_towards(now, link, side)).collect()
    }

    /// The connection breaks, and only this side is told.
    pub fn cut_for(&mut self, now: Instant, link: Link, side: Side) -> Option<UnderWay> {
        self.black_hole(link);
        self.break_towards(now, link, side)
    }

    /// The connection breaks and nobody is told.
    pub fn black_hole(&mut self, link: Link) {
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.dead = [true; 2];
            connection.generation[0] += 1;
            connection.generation[1] += 1;
        }
    }

    fn break_towards(&mut self, now: Instant, link: Link, side: Side) -> Option<UnderWay> {
        let latency = self.latency();
        let connection = self.connections.get_mut(&link)?;
        connection.dead = [true; 2];
        connection.generation[at(side)] += 1;
        connection.last_arrival[at(side)] = now;
        if connection.closed[at(side)] {
            return None;
        }
        Some(connection.put(now, link, side, latency, Arrival::Closed))
    }

    /// Whether what was under way still arrives. An end that arrives closes the connection for that side.
    pub fn arrives(&mut self, under_way: &UnderWay) -> bool {
        let Some(connection) = self.connections.get_mut(&under_way.link) else { return false };
        let side = at(under_way.to);
        if connection.closed[side] || connection.generation[side] != under_way.generation || self.blackout {
            return false;
        }
        if matches!(under_way.arrival, Arrival::Closed) {
            connection.closed[side] = true;
            if connection.closed[at(under_way.to.other())] {
                self.connections.remove(&under_way.link);
            }
        }
        true
    }

    /// Whether this side still holds the connection open.
    pub fn is_open(&self, link: Link, side: Side) -> bool {
        self.connections.get(&link).is_some_and(|connection| !connection.closed[at(side)])
    }
}

impl Connection {
    fn put(&mut self, now: Instant, link: Link, to: Side, delay: Duration, arrival: Arrival) -> UnderWay {
        let side = at(to);
        let when = (now + delay).max(self.last_arrival[side] + Duration::from_nanos(1));
        self.last_arrival[side] = when;
        UnderWay { at: when, link, to, arrival, generation: self.generation[side] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        let weather = Weather {
            latency_min_micros: 50,
            latency_max_micros: 5000,
            late_per_mille: 100,
            bytes_per_second: 10_000_000,
        };
        Network::new(weather, Rng::new(5))
    }

    #[test]
    fn frames_of_a_connection_arrive_in_order() {
        let mut network = network();
        let link = network.open(0);
        let times: Vec<Instant> = (0..200)
            .map(|_| network.send(Instant(1), link, Side::Client, Bytes::from_static(b"x")).unwrap().at)
            .collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_cut_loses_what_is_under_way_and_tells_both() {
        let mut network = network();
        let link = network.open(0);
        let frame = network.send(Instant(1), link, Side::Client, Bytes::from_static(b"x")).unwrap();
        let told = network.cut(Instant(2), link);
        assert!(!network.arrives(&frame));
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|arrival| network.arrives(arrival)));
        assert!(network.links().is_empty());
    }

    #[test]
    fn a_side_that_closes_is_heard_to_the_end() {
        let mut network = network();
        let link = network.open(0);
        let frame = network.send(Instant(1), link, Side::Broker, Bytes::from_static(b"x")).unwrap();
        let end = network.close(Instant(2), link, Side::Broker).unwrap();
        assert!(frame.at < end.at);
        assert!(network.arrives(&frame));
        assert!(network.arrives(&end));
    }

    #[test]
    fn a_half_open_connection_swallows_what_is_sent() {
        let mut network = network();
        let link = network.open(0);
        let told = network.cut_for(Instant(1), link, Side::Broker).unwrap();
        assert_eq!(told.to, Side::Broker);
        assert!(network.send(Instant(2), link, Side::Client, Bytes::from_static(b"x")).is_none());
        assert!(network.is_open(link, Side::Client));
    }
}
