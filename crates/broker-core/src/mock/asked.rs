//! A request on its way through the mock: read, sent on to the broker in another shape, answered.

use bytes::Bytes;
use felice_protocol::messages::{
    ApiKey, Message, Request, decode_request_header, decode_response, encode_request, encode_response,
};
use felice_protocol::primitives::{ByteStr, Decoder, Frame};

use crate::api::Refusal;

/// A request whose header was read.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The node that it has reached.
    pub(super) node: i32,
    pub(super) api_key: ApiKey,
    pub(super) version: i16,
    correlation_id: i32,
    client_id: Option<ByteStr>,
    body: Decoder,
    /// As it came, without its length.
    pub(super) frame: Bytes,
}

impl Asked {
    pub(super) fn read(node: i32, frame: Bytes) -> Result<Self, Refusal> {
        let mut body = Decoder::new(frame.clone());
        let header = decode_request_header(&mut body)
            .map_err(|error| Refusal(format!("a request whose header cannot be read: {error}")))?;
        Ok(Self {
            node,
            api_key: ApiKey(header.request_api_key),
            version: header.request_api_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
            body,
            frame,
        })
    }

    /// The request itself; bytes behind it are ignored, as the broker does.
    pub(super) fn decode<R: Request>(&self) -> Result<R, Refusal> {
        R::decode(&mut self.body.clone(), self.version)
            .map_err(|error| Refusal(format!("a {} v{} that cannot be read: {error}", self.api_key, self.version)))
    }

    /// Another request in this one's place.
    pub(super) fn instead<R: Request>(&self, request: &R) -> Result<Bytes, Refusal> {
        let frame = encode_request(self.correlation_id, self.client_id.as_deref(), self.version, request)
            .map_err(|error| Refusal(format!("{} v{} cannot be sent on: {error}", self.api_key, self.version)))?;
        Ok(frame.into_bytes().slice(4..))
    }

    /// An answer.
    pub(super) fn answer<M: Message>(&self, response: &M) -> Result<Frame, Refusal> {
        self.answer_in(self.version, response)
    }

    pub(super) fn answer_in<M: Message>(&self, version: i16, response: &M) -> Result<Frame, Refusal> {
        encode_response(self.api_key, version, self.correlation_id, response).map_err(|error| {
            Refusal(format!("the answer to {} v{} cannot be written: {error}", self.api_key, self.version))
        })
    }

    /// What the broker has answered.
    pub(super) fn read_answer<R: Request>(&self, frame: Frame) -> Result<R::Response, Refusal> {
        // A frame has its length in front.
        decode_response::<R>(self.version, frame.into_bytes().slice(4..)).map(|(_, response)| response).map_err(
            |error| {
                Refusal(format!("the broker's answer to {} v{} cannot be read: {error}", self.api_key, self.version))
            },
        )
    }

    /// The whole way: reads what the broker has answered, changes it, writes it again.
    pub(super) fn change<R: Request>(
        &self,
        frame: Frame,
        change: impl FnOnce(&mut R::Response),
    ) -> Result<Frame, Refusal> {
        let mut response = self.read_answer::<R>(frame)?;
        change(&mut response);
        self.answer(&response)
    }
}
