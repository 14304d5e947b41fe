//! TLS of a listener from Kafka's properties: `ssl.keystore.*`, `ssl.truststore.*`, `ssl.client.auth`, in files or as text (KIP-651).

use std::path::Path;

use felice_broker_core::{BrokerConfig, ConfigError};
use felice_net::{Authorities, ClientAuth, Identity, ServerTls, TlsConfigError};

use crate::Error;

/// Reads what holds for this listener.
pub(crate) fn of_listener(config: &BrokerConfig, listener: &str) -> Result<ServerTls, Error> {
    let of = |property| config.listener_property(listener, property).filter(|value| !value.is_empty());
    let wrong = |source: TlsConfigError| Error::Tls { listener: listener.to_owned(), source };
    let key_password = of("ssl.key.password");
    let identity = match (of("ssl.keystore.certificate.chain"), of("ssl.keystore.key"), of("ssl.keystore.location")) {
        (Some(chain), Some(key), None) => Identity::from_pem(chain.as_bytes(), key.as_bytes(), key_password),
        (None, None, Some(path)) => {
            let bytes = read("the key store", path).map_err(wrong)?;
            let password = of("ssl.keystore.password").or(key_password);
            Identity::from_key_store(&format!("the key store {path}"), &bytes, password)
        }
        (Some(_), None, None) => Err(TlsConfigError::Half("ssl.keystore.key")),
        (None, Some(_), None) => Err(TlsConfigError::Half("ssl.keystore.certificate.chain")),
        (None, None, None) => {
            return Err(ConfigError::Invalid(format!(
                "listener {listener} speaks TLS and has no certificate: set ssl.keystore.location to a file with key and certificate (PEM or \
                 PKCS#12), or ssl.keystore.certificate.chain and ssl.keystore.key to PEM texts"
            ))
            .into());
        }
        (_, _, Some(_)) => Err(TlsConfigError::Twice),
    };
    let trusted = || {
        match (of("ssl.truststore.certificates"), of("ssl.truststore.location")) {
        (Some(pem), None) => Authorities::from_pem(pem.as_bytes()).map_err(wrong),
        (None, Some(path)) => {
            let bytes = read("the trust store", path).map_err(wrong)?;
            let password = of("ssl.truststore.password");
            Authorities::from_trust_store(&format!("the trust store {path}"), &bytes, password).map_err(wrong)
        }
        (Some(_), Some(_)) => Err(wrong(TlsConfigError::Twice)),
        (None, None) => Err(ConfigError::Invalid(format!(
            "ssl.client.auth of listener {listener} asks clients for certificates; set ssl.truststore.location or ssl.truststore.certificates to \
             the authorities that sign them"
        ))
        .into()),
    }
    };
    let client_auth = match of("ssl.client.auth") {
        Some("required") => ClientAuth::Required(trusted()?),
        Some("requested") => ClientAuth::Requested(trusted()?),
        _ => ClientAuth::None,
    };
    ServerTls::new(identity.map_err(wrong)?, &client_auth).map_err(wrong)
}

fn read(what: &'static str, path: &str) -> Result<Vec<u8>, TlsConfigError> {
    std::fs::read(path).map_err(|source| TlsConfigError::File { what, path: Path::new(path).to_owned(), source })
}
