//! Whether who commits or fetches offsets may do so.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::ByteStr;

use super::{ConsumerGroup, GroupError};
use crate::groups::topics_view::TopicsView;

/// The first version of OffsetCommit and OffsetFetch that members of the consumer protocol may use.
const FIRST_MEMBER_EPOCH_VERSION: i16 = 9;

impl ConsumerGroup {
    /// Whether these partitions may be committed: by a member with its epoch; with an older one only what it has had since then
    /// (KIP-1251); by anyone (epoch -1, no member) as long as the group is empty.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH; ILLEGAL_GENERATION for classic members; UNSUPPORTED_VERSION.
    pub(crate) fn check_commit<'a>(
        &self,
        view: TopicsView<'_>,
        member_id: &ByteStr,
        epoch: i32,
        version: i16,
        partitions: impl Iterator<Item = (&'a str, i32)>,
    ) -> Result<(), GroupError> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.known(member_id)?;
        let Some(member) = self.members.get(member_id) else { return Ok(()) };
        let is_classic = member.uses_classic_protocol();
        if !is_classic && version < FIRST_MEMBER_EPOCH_VERSION {
            return Err(GroupError::new(
                ErrorCode::UNSUPPORTED_VERSION,
                "OffsetCommit version 9 or above must be used by members using the consumer group protocol",
            ));
        }
        let current = &member.current;
        if epoch == current.epoch {
            return Ok(());
        }
        if epoch > current.epoch {
            let what = if is_classic { "generation id" } else { "member epoch" };
            return Err(stale(
                is_classic,
                format!("Received {what} {epoch} is newer than current member epoch {}.", current.epoch),
            ));
        }
        for (name, partition) in partitions {
            let held = view.get(name).and_then(|(id, _)| {
                current
                    .assigned
                    .epoch_of(&id, partition)
                    .or_else(|| current.pending_revocation.epoch_of(&id, partition))
            });
            match held {
                Some(since) if since <= epoch => {}
                Some(since) => {
                    return Err(stale(
                        is_classic,
                        format!(
                            "Received member epoch {epoch} is older than assignment epoch {since} for partition {name}-{partition}."
                        ),
                    ));
                }
                None => {
                    return Err(stale(
                        is_classic,
                        format!("Partition {name}-{partition} is not assigned or pending revocation for member."),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether offsets may be fetched: by anyone who names no member, and by a member with its very epoch.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH; ILLEGAL_GENERATION for classic members.
    pub(crate) fn check_fetch(&self, member_id: Option<&ByteStr>, epoch: i32) -> Result<(), GroupError> {
        let Some(member_id) = member_id else {
            // No member, no epoch: who only looks.
            return if epoch < 0 { Ok(()) } else { self.known(&ByteStr::default()).map(drop) };
        };
        self.known(member_id)?;
        match self.members.get(member_id) {
            Some(member) if member.current.epoch != epoch => {
                let is_classic = member.uses_classic_protocol();
                let what = if is_classic { "generation id" } else { "member epoch" };
                Err(stale(
                    is_classic,
                    format!(
                        "The received {what} {epoch} does not match the expected member epoch {}.",
                        member.current.epoch
                    ),
                ))
            }
            _ => Ok(()),
        }
    }
}

fn stale(is_classic: bool, message: String) -> GroupError {
    let code = if is_classic { ErrorCode::ILLEGAL_GENERATION } else { ErrorCode::STALE_MEMBER_EPOCH };
    GroupError { code, message }
}
