//! How old the first record is that a group has not committed: lag in time.

use std::collections::BTreeMap;
use std::time::Duration;

use felice_client_core::consumer::TopicPartition;
use felice_client_core::error::Error;

use super::group::{Group, PartitionLag};
use crate::clock;
use crate::reader::Seek;

impl Group {
    /// For each partition with a lag, how long ago the first record was written that is not committed, by the records' timestamps and this
    /// machine's clock. That record is read; a partition whose record does not come within `wait` is left out.
    ///
    /// # Errors
    /// Where a partition cannot be read.
    ///
    /// # Cancel safety
    /// Nothing is changed by this.
    pub async fn behind(
        &self,
        lags: &[PartitionLag],
        wait: Duration,
    ) -> Result<BTreeMap<TopicPartition, Duration>, Error> {
        let mut open: BTreeMap<TopicPartition, i64> = lags
            .iter()
            .filter(|row| row.lag.is_some_and(|lag| lag > 0))
            .filter_map(|row| Some((row.partition.clone(), row.committed?.max(row.log_start_offset?))))
            .collect();
        let mut behind = BTreeMap::new();
        if open.is_empty() {
            return Ok(behind);
        }
        // One record is wanted of each: a broker gives one whole batch, however little is asked for.
        let mut reader = self.admin.client.reader().set("max.partition.fetch.bytes", "1");
        for (p, offset) in &open {
            reader = reader.partition_from(p.topic.as_str(), p.partition, Seek::Offset(*offset));
        }
        let mut reader = reader.open().await?;
        let deadline = clock::instant() + wait;
        while !open.is_empty() {
            let left = clock::until(deadline);
            let Some(batch) = self.admin.client.driver().timeout(left, reader.next_batch()).await else { break };
            let Some(mut batch) = batch? else { break };
            let partition = TopicPartition::new(batch.topic(), batch.partition());
            if open.contains_key(&partition)
                && let Some(record) = batch.next()
            {
                let age = clock::wall_millis().saturating_sub(record?.timestamp());
                behind.insert(partition.clone(), Duration::from_millis(u64::try_from(age).unwrap_or(0)));
                open.remove(&partition);
            }
        }
        Ok(behind)
    }
}
