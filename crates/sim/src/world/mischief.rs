//! What each fault does to the world, and how it is undone.

use std::time::Duration;

use super::{Job, Phase, World};
use crate::disk::Ailment;
use crate::faults::FaultKind;
use crate::history::{Event, Outage};
use crate::network::{Side, Weather};

impl World {
    pub(super) fn next_fault(&mut self) {
        if self.phase != Phase::Active {
            return;
        }
        let kind = self.plan.faults[self.rng.index(self.plan.faults.len())];
        self.make_fault(kind);
        let after = self.random_millis(self.plan.fault_gap_millis * 2);
        self.after(after, Job::NextFault);
    }

    fn make_fault(&mut self, kind: FaultKind) {
        let duration = Duration::from_millis(kind.duration_millis(&mut self.rng));
        match kind {
            FaultKind::Cut | FaultKind::CutForClient | FaultKind::CutForBroker | FaultKind::BlackHole => {
                let links = self.network.links();
                if links.is_empty() {
                    return;
                }
                let link = links[self.rng.index(links.len())];
                self.fault(kind, &format!("link {}", link.0));
                let now = self.clock.instant();
                match kind {
                    FaultKind::Cut => {
                        let told = self.network.cut(now, link);
                        self.under_way(told);
                    }
                    FaultKind::CutForClient => {
                        let told = self.network.cut_for(now, link, Side::Client);
                        self.under_way(told);
                    }
                    FaultKind::CutForBroker => {
                        let told = self.network.cut_for(now, link, Side::Broker);
                        self.under_way(told);
                    }
                    _ => self.network.black_hole(link),
                }
            }
            FaultKind::Blackout => {
                self.fault(kind, &format!("for {duration:?}"));
                self.network.set_blackout(true);
                self.after(duration, Job::FaultEnds(kind));
            }
            FaultKind::SlowNetwork => {
                self.fault(kind, &format!("for {duration:?}"));
                let mut weather = self.plan.weather;
                weather.latency_max_micros = weather.latency_max_micros * self.rng.between(2, 50) + 10_000;
                weather.bytes_per_second /= self.rng.between(1, 20);
                self.network.set_weather(weather);
                self.after(duration, Job::FaultEnds(kind));
            }
            FaultKind::Shutdown => {
                if self.broker.is_up() {
                    self.fault(kind, &format!("for {duration:?}"));
                    self.shut_down(duration);
                }
            }
            FaultKind::ProcessCrash | FaultKind::MachineCrash => {
                if !self.broker.is_up() || self.broker.dying.is_some() {
                    return;
                }
                let outage = if kind == FaultKind::ProcessCrash { Outage::Process } else { Outage::Machine };
                let operations = self.rng.below(30);
                self.fault(kind, &format!("within {operations} operations of the disk"));
                self.broker.dying = Some(outage);
                self.broker.disk.stop_after(operations);
                // where there is nothing to write it dies all the same
                let at_last = self.random_millis(2000);
                self.after(at_last, Job::BrokerDies(self.broker.incarnation));
            }
            FaultKind::SlowDisk => {
                let slow_nanos = self.rng.pick([1_000_000, 10_000_000, 100_000_000]);
                self.fault(kind, &format!("up to {slow_nanos} ns for {duration:?}"));
                self.broker.disk.set_ailment(Ailment { slow_nanos, failing_per_mille: 0 });
                self.after(duration, Job::FaultEnds(kind));
            }
            FaultKind::FailingDisk => {
                let failing_per_mille = self.rng.pick([10, 100, 500]);
                self.fault(kind, &format!("{failing_per_mille} in a thousand for {duration:?}"));
                self.broker.disk.set_ailment(Ailment { slow_nanos: 0, failing_per_mille });
                self.after(duration, Job::FaultEnds(kind));
            }
        }
    }

    fn fault(&mut self, kind: FaultKind, how: &str) {
        self.faults.add(kind);
        self.tell(&Event::Fault(format!("{kind:?} {how}")));
    }

    pub(super) fn fault_ends(&mut self, kind: FaultKind) {
        if self.phase != Phase::Active {
            // all have ended together: an operator who restarts the broker now would be a fault after the last one
            return;
        }
        match kind {
            FaultKind::Blackout => self.network.set_blackout(false),
            FaultKind::SlowNetwork => self.network.set_weather(self.plan.weather),
            FaultKind::SlowDisk => self.broker.disk.set_ailment(Ailment::default()),
            FaultKind::FailingDisk => {
                self.broker.disk.set_ailment(Ailment::default());
                // its operator sees partitions offline, and restarts it
                if self.broker.is_up() && self.broker.dying.is_none() {
                    let pause = self.random_millis(500);
                    self.shut_down(pause);
                }
            }
            FaultKind::Cut
            | FaultKind::CutForClient
            | FaultKind::CutForBroker
            | FaultKind::BlackHole
            | FaultKind::Shutdown
            | FaultKind::ProcessCrash
            | FaultKind::MachineCrash => return,
        }
        self.tell(&Event::Fault(format!("{kind:?} is over")));
    }

    pub(super) fn end_all_faults(&mut self) {
        self.network.set_blackout(false);
        self.network.set_weather(Weather {
            latency_min_micros: 50,
            latency_max_micros: 1000,
            late_per_mille: 0,
            bytes_per_second: 1_000_000_000,
        });
        let failed = self.broker.disk.failures() > 0;
        self.broker.disk.set_ailment(Ailment::default());
        self.tell(&Event::Fault("all faults are over".to_owned()));
        if self.broker.dying.is_some() {
            let outage = self.broker.dying.unwrap_or(Outage::Process);
            self.broker_dies(outage);
        } else if failed && self.broker.is_up() {
            self.shut_down(Duration::from_millis(100));
        }
    }

    // ----- The broker's deaths and lives.

    fn shut_down(&mut self, down: Duration) {
        let outcome = self.broker.shutdown(self.clock.now());
        if let Err(error) = outcome {
            self.tell(&Event::Note(format!("shutdown: {error}")));
        }
        let outage =
            if self.broker.disk.is_stopped() { self.broker.dying.unwrap_or(Outage::Process) } else { Outage::Shutdown };
        self.take_down(outage, down);
    }

    pub(super) fn broker_dies_at_last(&mut self, incarnation: u64) {
        if incarnation == self.broker.incarnation
            && let Some(outage) = self.broker.dying
        {
            self.broker_dies(outage);
        }
    }

    pub(super) fn broker_dies(&mut self, outage: Outage) {
        let kind = if outage == Outage::Machine { FaultKind::MachineCrash } else { FaultKind::ProcessCrash };
        let down = Duration::from_millis(kind.duration_millis(&mut self.rng));
        self.take_down(outage, down);
    }

    fn take_down(&mut self, outage: Outage, down: Duration) {
        self.tell(&Event::Fault(format!("the broker is down: {outage:?}")));
        let links = self.broker.drop_process();
        self.tap_forgets();
        self.broker_runs = false;
        self.broker_timer = None;
        let now = self.clock.instant();
        for link in links {
            match outage {
                Outage::Shutdown => {
                    let told = self.network.close(now, link, Side::Broker);
                    self.under_way(told);
                }
                Outage::Process => {
                    // the system closes what the process had; what was sent may still arrive, or be lost to a reset
                    if self.rng.chance(500) {
                        let told = self.network.close(now, link, Side::Broker);
                        self.under_way(told);
                    } else {
                        let told = self.network.cut(now, link);
                        self.under_way(told);
                    }
                }
                Outage::Machine => {
                    if self.rng.chance(500) {
                        self.network.black_hole(link);
                    } else {
                        let told = self.network.cut_for(now, link, Side::Client);
                        self.under_way(told);
                    }
                }
            }
        }
        match outage {
            Outage::Shutdown | Outage::Process => self.broker.disk.crash_process(),
            Outage::Machine => self.broker.disk.crash_machine(),
        }
        self.outage = outage;
        self.after(down, Job::BrokerStarts(outage));
    }

    pub(super) fn broker_starts(&mut self, after: Outage) {
        if self.broker.is_up() {
            return;
        }
        match self.broker.start(self.clock.now()) {
            Ok(_) => {
                self.outage = Outage::Process;
                let keeps_all = after != Outage::Machine || self.plan.flush_batch;
                match self.contents() {
                    Ok(contents) => self.tell(&Event::Started { after, keeps_all, contents }),
                    Err(what) => self.wrong("files are whole", what),
                }
                self.find_commits();
                self.watch_broker_timer();
                self.groups_must_settle();
            }
            Err(error) => {
                self.tell(&Event::Note(format!("the broker does not start: {error}")));
                self.broker.drop_process();
                self.broker.disk.crash_process();
                let pause = self.random_millis(1000);
                self.after(pause, Job::BrokerStarts(after));
            }
        }
    }
}
