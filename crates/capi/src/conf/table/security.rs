//! TLS and SASL.

use super::{Check, Property, alias, choice, int, internal, invalid, pointer, text, yes_no};

const MAX: i32 = i32::MAX;

const NO_HTTPS: &str = "HTTPS calls depend on libcurl and OpenSSL which were not available at build time";
const NO_OIDC: &str = "OAuth/OIDC depends on libcurl and OpenSSL which were not available at build time";
const NO_ENGINE: &str = "OpenSSL >= 1.1.x not available at build time";
const NO_PROVIDERS: &str = "OpenSSL >= 3.0.0 not available at build time";
const NOT_WINDOWS: &str = "configuration only valid on Windows";
const NO_TRUSTSTORE: &str = "Java TrustStores are not supported, use `ssl.ca.location` and a certificate file instead. \
    See https://github.com/confluentinc/librdkafka/wiki/Using-SSL-with-librdkafka for more information.";
const NO_JAAS: &str = "Java JAAS configuration is not supported, \
    see https://github.com/confluentinc/librdkafka/wiki/Using-SASL-with-librdkafka for more information.";

/// Security.
pub(super) const PROPERTIES: &[Property] = &[
    choice("security.protocol", 0, &[(0, "plaintext"), (1, "ssl"), (2, "sasl_plaintext"), (3, "sasl_ssl")]).high(),
    text("ssl.cipher.suites"),
    text("ssl.curves.list"),
    text("ssl.sigalgs.list"),
    text("ssl.key.location").sensitive(),
    text("ssl.key.password").sensitive(),
    text("ssl.key.pem").sensitive(),
    internal("ssl_key").sensitive(),
    text("ssl.certificate.location"),
    text("ssl.certificate.pem"),
    internal("ssl_certificate"),
    text("ssl.ca.location"),
    text("https.ca.location").unsupported(NO_HTTPS),
    text("https.ca.pem").unsupported(NO_HTTPS),
    text("ssl.ca.pem").sensitive(),
    internal("ssl_ca"),
    text("ssl.ca.certificate.stores").or("Root").unsupported(NOT_WINDOWS),
    text("ssl.crl.location"),
    text("ssl.keystore.location"),
    text("ssl.keystore.password").sensitive(),
    text("ssl.providers").unsupported(NO_PROVIDERS),
    text("ssl.engine.location").deprecated().unsupported(NO_ENGINE),
    text("ssl.engine.id").or("dynamic").unsupported(NO_ENGINE),
    pointer("ssl_engine_callback_data").unsupported(NO_ENGINE),
    yes_no("enable.ssl.certificate.verification", true),
    choice("ssl.endpoint.identification.algorithm", 1, &[(0, "none"), (1, "https")]),
    pointer("ssl.certificate.verify_cb"),
    invalid("ssl.truststore.location", NO_TRUSTSTORE),
    invalid("sasl.jaas.config", NO_JAAS),
    text("sasl.mechanisms").or("GSSAPI").checked(Check::SingleWord).high(),
    alias("sasl.mechanism", "sasl.mechanisms").high(),
    text("sasl.kerberos.service.name").or("kafka"),
    text("sasl.kerberos.principal").or("kafkaclient"),
    text("sasl.kerberos.kinit.cmd").or("kinit -R -t \"%{sasl.kerberos.keytab}\" -k %{sasl.kerberos.principal} || kinit -t \"%{sasl.kerberos.keytab}\" -k %{sasl.kerberos.principal}"),
    text("sasl.kerberos.keytab"),
    int("sasl.kerberos.min.time.before.relogin", 0, 86_400_000, 60_000),
    text("sasl.username").high().sensitive(),
    text("sasl.password").high().sensitive(),
    text("sasl.oauthbearer.config").sensitive(),
    yes_no("enable.sasl.oauthbearer.unsecure.jwt", false),
    pointer("oauthbearer_token_refresh_cb"),
    yes_no("enable_sasl_queue", false).hidden(),
    choice("sasl.oauthbearer.method", 0, &[(0, "default"), (1, "oidc")]).unsupported(NO_OIDC),
    text("sasl.oauthbearer.client.id").unsupported(NO_OIDC),
    alias("sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.id"),
    alias("sasl.oauthbearer.client.credentials.client.secret", "sasl.oauthbearer.client.secret"),
    text("sasl.oauthbearer.client.secret").sensitive().unsupported(NO_OIDC),
    text("sasl.oauthbearer.scope").unsupported(NO_OIDC),
    text("sasl.oauthbearer.extensions").unsupported(NO_OIDC),
    text("sasl.oauthbearer.token.endpoint.url").unsupported(NO_OIDC),
    text("sasl.oauthbearer.sub.claim.name").or("sub").unsupported(NO_OIDC),
    choice("sasl.oauthbearer.grant.type", 0, &[(0, "client_credentials"), (1, "urn:ietf:params:oauth:grant-type:jwt-bearer")]).unsupported(NO_OIDC),
    choice("sasl.oauthbearer.assertion.algorithm", 0, &[(0, "RS256"), (1, "ES256")]).unsupported(NO_OIDC),
    text("sasl.oauthbearer.assertion.private.key.file").sensitive().unsupported(NO_OIDC),
    text("sasl.oauthbearer.assertion.private.key.passphrase").sensitive().unsupported(NO_OIDC),
    text("sasl.oauthbearer.assertion.private.key.pem").sensitive().unsupported(NO_OIDC),
    text("sasl.oauthbearer.assertion.file").unsupported(NO_OIDC),
    text("sasl.oauthbearer.assertion.claim.aud").unsupported(NO_OIDC),
    int("sasl.oauthbearer.assertion.claim.exp.seconds", 1, MAX, 300).unsupported(NO_OIDC),
    text("sasl.oauthbearer.assertion.claim.iss").unsupported(NO_OIDC),
    yes_no("sasl.oauthbearer.assertion.claim.jti.include", false).unsupported(NO_OIDC),
    int("sasl.oauthbearer.assertion.claim.nbf.seconds", 0, MAX, 60).unsupported(NO_OIDC),
    text("sasl.oauthbearer.assertion.claim.sub").unsupported(NO_OIDC),
    text("sasl.oauthbearer.assertion.jwt.template.file").unsupported(NO_OIDC),
    choice("sasl.oauthbearer.metadata.authentication.type", 0, &[(0, "none"), (1, "azure_imds"), (2, "aws_iam")]).unsupported(NO_OIDC),
];
