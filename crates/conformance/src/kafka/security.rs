//! Certificates, users and properties of the secured listeners.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// The user that every SASL mechanism knows.
pub const USER: &str = "alice";
/// That user's password.
pub const PASSWORD: &str = "alice-secret";

/// Writes `ca.pem` (the authority, for clients) and `node.pem` (key and chain, as Kafka's PEM key store wants them) for `localhost`
/// and 127.0.0.1.
pub(super) fn write_certificates(dir: &Path) -> anyhow::Result<()> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    authority.distinguished_name.push(DnType::CommonName, "conformance authority");
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut node = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    node.distinguished_name.push(DnType::CommonName, "localhost");
    node.use_authority_key_identifier_extension = true;
    let node_key = KeyPair::generate()?;
    let certificate = node.signed_by(&node_key, &issuer)?.pem();
    fs::write(dir.join("ca.pem"), &ca).context("ca.pem")?;
    fs::write(dir.join("node.pem"), format!("{}{certificate}{ca}", node_key.serialize_pem())).context("node.pem")?;
    Ok(())
}

/// Arguments of the storage tool that store the user's SCRAM credentials.
pub(super) fn scram_arguments() -> Vec<String> {
    let credentials = ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(|m| format!("{m}=[name={USER},password={PASSWORD}]"));
    credentials.into_iter().flat_map(|c| ["--add-scram".to_owned(), c]).collect()
}

/// Server properties of the secured listeners.
pub(super) fn properties(dir: &Path) -> Vec<String> {
    let security = "org.apache.kafka.common.security";
    let mut lines = vec![
        "ssl.keystore.type=PEM".to_owned(),
        format!("ssl.keystore.location={}", dir.join("node.pem").display()),
        "ssl.truststore.type=PEM".to_owned(),
        format!("ssl.truststore.location={}", dir.join("ca.pem").display()),
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned(),
    ];
    for listener in ["sasl_plaintext", "sasl_ssl"] {
        lines.push(format!(
            "listener.name.{listener}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";"
        ));
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            lines.push(format!(
                "listener.name.{listener}.{mechanism}.sasl.jaas.config={security}.scram.ScramLoginModule required;"
            ));
        }
    }
    lines
}
