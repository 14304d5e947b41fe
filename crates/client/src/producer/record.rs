//! A record to be written.

use std::borrow::Cow;

/// Bytes of a key, a value or a header: borrowed or owned. Made from text and bytes of any usual kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBytes<'a>(pub Cow<'a, [u8]>);

macro_rules! borrowed {
    ($($type:ty),*) => {$(
        impl<'a> From<&'a $type> for RecordBytes<'a> {
            fn from(bytes: &'a $type) -> Self {
                Self(Cow::Borrowed(bytes.as_ref()))
            }
        }
    )*};
}

borrowed!(str, [u8], String, Vec<u8>, bytes::Bytes);

impl<'a, const N: usize> From<&'a [u8; N]> for RecordBytes<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

impl From<String> for RecordBytes<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text.into_bytes()))
    }
}

impl From<Vec<u8>> for RecordBytes<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Cow::Owned(bytes))
    }
}

impl From<bytes::Bytes> for RecordBytes<'_> {
    fn from(bytes: bytes::Bytes) -> Self {
        Self(Cow::Owned(bytes.into()))
    }
}

/// A header of a record to be written: its name, and its value, which may be null.
pub type NewHeader<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

/// A record to be written: borrows what it is made of, and owns it only where it has to wait or is given back.
///
/// Java: `ProducerRecord`.
///
/// # Examples
/// ```
/// use felice::NewRecord;
/// let record = NewRecord::to("orders").key("u42").value(b"hello").header("trace", "abc").partition(3);
/// assert_eq!(record.topic, "orders");
/// let kept: NewRecord<'static> = record.into_owned();
/// assert_eq!(kept.value.as_deref(), Some(b"hello".as_slice()));
///
/// let tombstone = NewRecord::to("users").key("u42");
/// assert_eq!(tombstone.value, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct NewRecord<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// The partition; `None` leaves it to the partitioner: the key's hash, or, without a key, one that changes from batch to batch.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Cow<'a, [u8]>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Cow<'a, [u8]>>,
    /// The headers; a name may come twice.
    pub headers: Vec<NewHeader<'a>>,
    /// Milliseconds since 1970; `None` takes the time of the call.
    pub timestamp: Option<i64>,
}

impl<'a> NewRecord<'a> {
    /// A record to this topic, without key or value.
    pub fn to(topic: impl Into<Cow<'a, str>>) -> Self {
        Self { topic: topic.into(), partition: None, key: None, value: None, headers: Vec::new(), timestamp: None }
    }

    /// With this key.
    pub fn key(mut self, key: impl Into<RecordBytes<'a>>) -> Self {
        self.key = Some(key.into().0);
        self
    }

    /// With this value.
    pub fn value(mut self, value: impl Into<RecordBytes<'a>>) -> Self {
        self.value = Some(value.into().0);
        self
    }

    /// With this header behind those it has.
    pub fn header(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<RecordBytes<'a>>) -> Self {
        self.headers.push((name.into(), Some(value.into().0)));
        self
    }

    /// To this partition.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// With this timestamp, in milliseconds since 1970.
    pub fn timestamp(mut self, millis: i64) -> Self {
        self.timestamp = Some(millis);
        self
    }

    /// The same record, owning all of its bytes.
    pub fn into_owned(self) -> NewRecord<'static> {
        NewRecord {
            topic: Cow::Owned(self.topic.into_owned()),
            partition: self.partition,
            key: self.key.map(|key| Cow::Owned(key.into_owned())),
            value: self.value.map(|value| Cow::Owned(value.into_owned())),
            headers: self
                .headers
                .into_iter()
                .map(|(name, value)| (Cow::Owned(name.into_owned()), value.map(|value| Cow::Owned(value.into_owned()))))
                .collect(),
            timestamp: self.timestamp,
        }
    }

    /// About how many bytes it takes while it waits.
    pub(crate) fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(n, v)| n.len() + v.as_ref().map_or(0, |v| v.len()) + 32).sum();
        self.key.as_ref().map_or(0, |k| k.len()) + self.value.as_ref().map_or(0, |v| v.len()) + headers + 128
    }
}
