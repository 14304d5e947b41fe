//! What must hold in every history of a consumer group.
//!
//! - [`one_owner`]: a partition has one owner at a time, and only its owner processes it
//! - [`one_assignment`]: a generation of a classic group gives a partition to one member
//! - [`commits_go_on`]: commits never go back, are never ahead of what was processed, and survive the broker
//! - [`handover`]: a new owner begins where the commits say, skips nothing, and keeps the order
//! - [`at_least_once`]: in the end every record of the log has been processed
//!
//! That every partition has an owner soon after the last disturbance is the world's to check.

pub mod at_least_once;
pub mod commits_go_on;
pub mod handover;
pub mod one_assignment;
pub mod one_owner;

#[cfg(test)]
mod testing {
    //! Events for histories made by hand: of group 0, by first lives.

    use crate::group_history::{End, GroupEvent, Owner};
    use crate::history::{Event, RecordId};

    pub(super) const RECORD: RecordId = RecordId { producer: 0, number: 0 };

    fn owner(member: usize) -> Owner {
        Owner { member, life: 0 }
    }

    pub(super) fn group(event: GroupEvent) -> Event {
        Event::Group(event)
    }

    pub(super) fn took(member: usize, partition: i32, offset: i64) -> Event {
        group(GroupEvent::Took { group: 0, owner: owner(member), from: [(partition, offset)].into(), ghost: false })
    }

    pub(super) fn gave_up(member: usize, partition: i32, end: End) -> Event {
        group(GroupEvent::GaveUp { group: 0, owner: owner(member), partitions: vec![partition], end })
    }

    pub(super) fn processed(member: usize, partition: i32, offset: i64) -> Event {
        group(GroupEvent::Processed { group: 0, owner: owner(member), partition, offset, record: RECORD })
    }

    pub(super) fn committed(partition: i32, offset: i64) -> Event {
        group(GroupEvent::Committed { group: 0, partition, offset })
    }
}
