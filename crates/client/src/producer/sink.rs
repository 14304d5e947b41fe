//! A producer as the end of a stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Sink;

use super::Producer;
use super::completion::{Pending, ProduceError};
use super::record::NewRecord;

type Enqueueing = Pin<Box<dyn Future<Output = Result<Pending, ProduceError>> + Send>>;

/// A sink of records, from [`Producer::sink`]; flushing it waits for every acknowledgement, and the first that failed ends it.
pub struct ProducerSink {
    producer: Producer,
    enqueueing: Option<Enqueueing>,
    pending: VecDeque<Pending>,
}

impl fmt::Debug for ProducerSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerSink").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

impl ProducerSink {
    pub(crate) fn new(producer: Producer) -> Self {
        Self { producer, enqueueing: None, pending: VecDeque::new() }
    }

    /// Takes acknowledgements that have come, in order.
    fn poll_acknowledged(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ProduceError>> {
        while let Some(first) = self.pending.front_mut() {
            match Pin::new(first).poll(cx) {
                Poll::Ready(result) => {
                    self.pending.pop_front();
                    result?;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Sink<NewRecord<'static>> for ProducerSink {
    type Error = ProduceError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ProduceError>> {
        if let Poll::Ready(Err(error)) = self.poll_acknowledged(cx) {
            return Poll::Ready(Err(error));
        }
        if let Some(enqueueing) = &mut self.enqueueing {
            match enqueueing.as_mut().poll(cx) {
                Poll::Ready(result) => {
                    self.enqueueing = None;
                    self.pending.push_back(result?);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, record: NewRecord<'static>) -> Result<(), ProduceError> {
        let producer = self.producer.clone();
        self.enqueueing = Some(Box::pin(async move { producer.enqueue(record).await }));
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ProduceError>> {
        match self.as_mut().poll_ready(cx) {
            Poll::Ready(Ok(())) => self.poll_acknowledged(cx),
            other => other,
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ProduceError>> {
        self.poll_flush(cx)
    }
}
