//! Giving records up before their time, and what partitioners ask.

use std::sync::Arc;

use felice_client_core::error::{Error, ErrorKind};

use super::ProducerShared;

impl ProducerShared {
    pub(crate) fn start_purge(self: &Arc<Self>, waiting: bool, in_flight: bool) {
        self.purge_then(waiting, in_flight, || ());
    }

    /// Once this is done, all that was given up has been told.
    pub(crate) async fn purge(self: &Arc<Self>, waiting: bool, in_flight: bool) {
        let (told, done) = tokio::sync::oneshot::channel();
        self.purge_then(waiting, in_flight, move || {
            // Whoever waited may have gone.
            let _ = told.send(());
        });
        // Without a driver everything has been given up.
        let _ = done.await;
    }

    fn purge_then(self: &Arc<Self>, waiting: bool, in_flight: bool, then: impl FnOnce() + Send + 'static) {
        let this = self.clone();
        self.driver.command(move |driver, now| {
            if waiting {
                let error = Error::new(ErrorKind::Purged, "given up by the application before its topic was known");
                for topic in this.topics.load().iter() {
                    this.fail_line(topic, &error.clone().on_topic(&topic.name));
                }
            }
            if let Some(key) = this.key() {
                driver.core.purge(now, key, waiting, in_flight);
            }
            // What the core gave up is told at the end of this round, and commands from now on are for the next.
            this.driver.command(move |_, _| then());
        });
    }

    /// Looks the topic up, where that was not done before.
    pub(crate) fn want_topic(&self, name: &str) {
        if self.topics.load().find(name).is_none() {
            self.topic(name);
        }
    }

    pub(crate) fn is_available(&self, topic: &str, partition: i32) -> bool {
        let table = self.topics.load();
        let Some(topic) = table.find(topic) else { return false };
        let partitions = topic.known.load();
        let slot = usize::try_from(partition).ok().and_then(|at| partitions.as_ref()?.slots.get(at));
        slot.is_some_and(|slot| slot.has_leader())
    }
}
