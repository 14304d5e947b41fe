//! ApiVersions (18): what this broker can do.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::api_versions::response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use felice_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use felice_protocol::primitives::ByteStr;

use super::{OFFERED, Refusal, Reply, RequestContext};
use crate::broker::BrokerCore;

/// Name, lowest, highest supported and finalized level. A feature appears here when what it switches on works.
pub(crate) const FEATURES: &[(&str, i16, i16, i16)] = &[("group.version", 0, 1, 1), ("metadata.version", 7, 30, 30)];

pub(super) fn handle(core: &BrokerCore, context: &RequestContext, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    if context.version >= 3
        && !(is_valid_software(&request.client_software_name) && is_valid_software(&request.client_software_version))
    {
        return ApiVersionsResponse { error_code: ErrorCode::INVALID_REQUEST, ..Default::default() };
    }
    ApiVersionsResponse {
        api_keys: OFFERED.iter().map(api_version).collect(),
        supported_features: FEATURES
            .iter()
            .map(|(name, min, max, _)| SupportedFeatureKey {
                name: ByteStr::from_static(name),
                min_version: *min,
                max_version: *max,
                ..Default::default()
            })
            .collect(),
        finalized_features_epoch: core.controller.metadata_offset(),
        finalized_features: FEATURES
            .iter()
            .map(|(name, min, _, finalized)| FinalizedFeatureKey {
                name: ByteStr::from_static(name),
                min_version_level: *min,
                max_version_level: *finalized,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

/// A newer client than this broker: version 0 of the answer, which everyone can read, with the versions of this API, so that it asks again.
pub(super) fn unsupported_version(context: &RequestContext) -> Result<Reply, Refusal> {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: OFFERED.iter().filter(|(key, ..)| *key == ApiKey::API_VERSIONS).map(api_version).collect(),
        ..Default::default()
    };
    RequestContext { version: 0, ..context.clone() }.encode(&response).map(Reply::Frame)
}

fn api_version((key, min, max): &(ApiKey, i16, i16)) -> ApiVersion {
    ApiVersion { api_key: key.0, min_version: *min, max_version: *max, ..Default::default() }
}

/// Letters, digits, dots and dashes, the last two not at either end (KIP-511).
fn is_valid_software(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    text.bytes().all(inner) && edge(text.as_bytes().first()) && edge(text.as_bytes().last())
}
