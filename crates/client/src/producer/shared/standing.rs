//! How far a producer is, for statistics.

use std::sync::PoisonError;

use felice_client_core::producer::sender::SenderStanding;

use super::ProducerShared;

impl ProducerShared {
    /// What the driver has sent, and what waits in the accumulators; `None` where there is no driver any more.
    pub(crate) async fn standing(&self) -> Option<SenderStanding> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let (key, slots) = (self.key()?, self.slots.clone());
        self.driver.command(move |driver, _| {
            let Some(mut standing) = driver.core.sender(key).map(|sender| sender.standing()) else { return };
            for (slot, partition) in
                slots.lock().unwrap_or_else(PoisonError::into_inner).iter().zip(&mut standing.partitions)
            {
                slot.accumulator().count(&mut partition.queued);
            }
            // Whoever asked may have gone.
            let _ = tell.send(standing);
        });
        told.await.ok()
    }
}
