//! Certificates and keys in the files that people have: `data/` was written by OpenSSL and `keytool`.

#![expect(clippy::unwrap_used, reason = "a test ends where anything fails")]

#[cfg(feature = "pkcs12")]
use felice_net::Authorities;
use felice_net::{ClientAuth, Identity, ServerTls, TlsConfig, TlsConfigError};

const CERTIFICATE: &[u8] = include_bytes!("data/certificate.pem");
const ENCRYPTED: &[u8] = include_bytes!("data/encrypted.key");

fn serve(identity: Result<Identity, TlsConfigError>) {
    // Fails where the key is not the certificate's.
    ServerTls::new(identity.unwrap(), &ClientAuth::None).unwrap();
}

#[test]
fn an_encrypted_key_opens_with_its_password_only() {
    serve(Identity::from_pem(CERTIFICATE, ENCRYPTED, Some("key-secret")));
    serve(Identity::from_key_store("store.pem", include_bytes!("data/store.pem"), Some("key-secret")));
    for password in [None, Some(""), Some("wrong")] {
        let error = Identity::from_pem(CERTIFICATE, ENCRYPTED, password).unwrap_err().to_string();
        assert!(error.contains("ssl.key.password") && !error.contains("wrong"), "{error}");
    }
    let client = TlsConfig::builder().certificate_pem(CERTIFICATE).key_pem(ENCRYPTED);
    client.key_password("key-secret").build().unwrap();
}

#[test]
#[cfg(not(feature = "pkcs12"))]
fn a_build_without_pkcs_12_says_so() {
    let store = include_bytes!("data/store.p12");
    let error = Identity::from_key_store("store.p12", store, Some("store-secret")).unwrap_err().to_string();
    assert!(error.contains("store.p12") && error.contains("feature `pkcs12`"), "{error}");
}

#[test]
#[cfg(feature = "pkcs12")]
fn a_pkcs_12_store_opens_in_today_s_form_and_in_the_old_one() {
    for store in [&include_bytes!("data/store.p12")[..], include_bytes!("data/legacy.p12")] {
        serve(Identity::from_key_store("store.p12", store, Some("store-secret")));
        let error = Identity::from_key_store("store.p12", store, Some("wrong")).unwrap_err().to_string();
        assert!(error.contains("store.p12") && error.contains("password"), "{error}");
    }
    let trusted = include_bytes!("data/trust.p12");
    Authorities::from_trust_store("trust.p12", trusted, Some("store-secret")).unwrap();
    assert!(Authorities::from_trust_store("trust.p12", trusted, None).is_err());
}

#[test]
fn stores_that_cannot_be_read_say_why() {
    let says = |bytes: &[u8]| Identity::from_key_store("the store", bytes, None).unwrap_err().to_string();
    assert!(says(&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]).contains("keytool -importkeystore"));
    assert!(says(b"").contains("no certificate"));
    assert!(says(CERTIFICATE).contains("no private key"));
    assert!(says(&[0x30, 0x82, 0xff, 0xff, 0]).contains("PKCS#12"));
    let twice = TlsConfig::builder().certificate_pem(CERTIFICATE).key_pem(ENCRYPTED);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/store.p12");
    assert!(twice.key_store_file(path).unwrap().build().unwrap_err().to_string().contains("twice"));
}
