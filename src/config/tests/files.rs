//! What stands in other files: keys, certificates, secrets; and that none of it is repeated.

use super::*;

/// Writes a new certificate and its key.
pub(super) fn write_certificate(folder: &TempDir, certificate: &str, key: &str) {
    let made = rcgen::generate_simple_self_signed(["tool.example.com".to_owned()]).unwrap();
    write(folder, certificate, &made.cert.pem(), 0o644);
    write(folder, key, &made.signing_key.serialize_pem(), 0o600);
}

/// An authority of clients' certificates, and its list of those that it has revoked: none.
pub(super) fn write_authority(folder: &TempDir, certificate: &str, list: &str) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    write(folder, certificate, &params.self_signed(&key).unwrap().pem(), 0o644);
    let revoked = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2020, 1, 1),
        next_update: rcgen::date_time_ymd(2999, 1, 1),
        crl_number: vec![1].into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    write(folder, list, &revoked.signed_by(&rcgen::Issuer::new(params, key)).unwrap().pem().unwrap(), 0o644);
}

const TLS: &str = "server: {tls: {listen: [\"127.0.0.1:0\"], certificates: [{certificate: cert.pem, key: key.pem}]}}";

#[test]
fn a_certificate_and_its_key_are_read() {
    let folder = folder();
    write_certificate(&folder, "cert.pem", "key.pem");
    let loaded = load_in(&folder, &completed(TLS)).unwrap();
    assert_eq!(loaded.warnings, []);
    let tls = loaded.config.server.tls.unwrap();
    assert_eq!(tls.certificates.len(), 1);
    assert!(tls.redirect_http);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = folder();
    write_certificate(&folder, "other.pem", "key.pem");
    write_certificate(&folder, "cert.pem", "other-key.pem");
    let said = said_in(&folder, TLS);
    assert!(matches!(said.as_slice(), [line] if line.contains("is not the key of the certificate")), "{said:#?}");
}

#[test]
fn each_of_certificate_and_key_that_cannot_be_read_is_told() {
    let folder = folder();
    write(&folder, "cert.pem", "no PEM\n", 0o644);
    let said = said_in(&folder, TLS);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("cert.pem holds no certificate"), "{said:#?}");
    assert!(said[1].contains("key.pem: there is no such file"), "{said:#?}");
}

#[test]
fn a_tls_key_that_everybody_can_read_is_warned_of() {
    let folder = folder();
    write_certificate(&folder, "cert.pem", "key.pem");
    let content = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
    write(&folder, "key.pem", &content, 0o644);
    let said = said_in(&folder, TLS);
    assert!(matches!(said.as_slice(), [line] if line.contains("warning") && line.contains("chmod o= ")), "{said:#?}");
}

#[test]
fn a_key_file_is_refused_with_the_reason() {
    let folder = folder();
    let good = std::fs::read_to_string(folder.path().join("secret.key")).unwrap();
    let cases = [
        (good.as_str(), 0o644, "every account of this machine can get at"),
        (good.as_str(), 0o602, "every account of this machine can get at"),
        ("", 0o600, "holds no key"),
        ("# nothing\nsekisho-key-1:hunter2\n", 0o600, "line 2 of"),
    ];
    for (content, mode, text) in cases {
        write(&folder, "bad.key", content, mode);
        let said = said_in(&folder, "secrets: {key_file: bad.key}");
        assert!(
            matches!(said.as_slice(), [line] if line.starts_with("1:21: error:") && line.contains(text)),
            "{said:#?}"
        );
        assert!(!said[0].contains("hunter2") && !said[0].contains(good.trim()), "{said:#?}");
    }
    let said = said_in(&folder, "secrets: {key_file: .}");
    assert!(said[0].contains("not a regular file"), "{said:#?}");
}

#[test]
fn a_secret_comes_from_a_file_a_variable_or_a_credential() {
    let folder = folder();
    write(&folder, "smtp", "hunter2\n", 0o600);
    for given in ["password_file: smtp", "password: \"${PASSWORD}\"", "password: credential:smtp", "password: hunter2"]
    {
        let text = completed(&format!(
            "mail: {{from: a@example.com, smtp: {{host: localhost, username: u, {given}}}}}\nportal: {{url: \"https://a.example\"}}"
        ));
        let variables = |name: &str| match name {
            "PASSWORD" => Some("hunter2".to_owned()),
            "CREDENTIALS_DIRECTORY" => Some(folder.path().display().to_string()),
            _ => None,
        };
        let file = folder.path().join("sekisho.yaml");
        let ctx = reader::Context::new(&file, &variables);
        let config = load::read(&text, &ctx).unwrap().0;
        let (_, password) = config.mail.unwrap().smtp.credentials.unwrap();
        assert_eq!(password.expose_secret(), "hunter2", "{given}");
    }
}

#[test]
fn no_message_repeats_a_secret() {
    let folder = folder();
    write(&folder, "secret.txt", "hunter2 hunter2", 0o600);
    let snippets = [
        "store: {engine: postgres, url: \"mysql://u:hunter2@h\"}",
        "store: {engine: postgres, url_file: secret.txt}",
        "store: {engine: postgres, url: \"${PASSWORD}\"}",
        "store: {engine: \"${PASSWORD}\"}",
        "session: {idle_timeout: \"${PASSWORD}\"}",
        "session: {max_per_user: \"${PASSWORD}\"}",
        "session: {idle_timeout: \"credential:secret.txt\"}",
        "mail: {from: \"${PASSWORD}\", smtp: {host: \"hunter2@\", username: u, password: [hunter2]}}",
        "mail: {from: a@example.com, smtp: {host: a.example, passwrd: hunter2, password: hunter2}}",
        "routes: [{name: a, upstream: \"http://u:hunter2@a\"}]",
        "routes: [{name: a, upstream: \"http://a/hunter2\"}]",
        "routes: [{name: a, upstream: \"unix:hunter2\"}]",
        "routes: [{name: a, upstreams: [{url: \"http://hunter2@a\"}]}]",
        "routes: [{name: a, upstream: \"http://a\", upstream_auth: {basic: {username: [hunter2], password: hunter2}}}]",
        "portal: {url: \"https://u:hunter2@a\"}",
    ];
    for snippet in snippets {
        let said = said_in(&folder, snippet);
        assert!(said.iter().any(|line| line.contains("error")), "{snippet}");
        // A host or sender is no secret where it was written in its own key.
        let allowed = |line: &&String| !line.contains("mail.smtp.host");
        assert!(!said.iter().filter(allowed).any(|line| line.contains("hunter2")), "{snippet}\n{said:#?}");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_one_error() {
    let folder = folder();
    let absent = load(&folder.path().join("absent.yaml")).unwrap_err();
    assert!(absent[0].message.contains("there is no such file"), "{absent:?}");
    let is_folder = load(folder.path()).unwrap_err();
    assert!(is_folder[0].message.contains("cannot read"), "{is_folder:?}");
    let path = folder.path().join("latin1.yaml");
    std::fs::write(&path, b"log: {}\nportal: {title: \"caf\xe9\"}\n").unwrap();
    let latin1 = load(&path).unwrap_err();
    assert_eq!((latin1[0].line, latin1[0].message.as_str()), (2, "the file is not UTF-8 text"));
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let folder = folder();
    let config =
        load_in(&folder, &completed("server: {listen: [\"127.0.0.1:0\"], admin_socket: admin.sock}")).unwrap().config;
    assert_eq!(config.server.admin_socket, folder.path().join("admin.sock"));
    assert_eq!(config.key_file, folder.path().join("secret.key"));
    let Store::Sled { path } = config.store else { panic!("not sled") };
    assert_eq!(path, folder.path().join("data"));
}

#[test]
fn what_tls_to_an_upstream_needs_is_read_and_proved() {
    let folder = folder();
    write_certificate(&folder, "ca.pem", "ca.key");
    write_certificate(&folder, "cert.pem", "key.pem");
    let route =
        |tls: &str| completed(&format!("routes: [{{name: a, upstream: \"https://a\", upstream_tls: {{{tls}}}}}]"));
    let tls = |text: &str| load_in(&folder, &route(text)).unwrap().config.upstreams[0].tls.clone().unwrap();
    let whole = tls("ca: ca.pem, server_name: tool.example.com, certificate: cert.pem, key: key.pem");
    assert_eq!(whole.authorities.len(), 1);
    assert_eq!(whole.server_name.as_deref(), Some("tool.example.com"));
    assert_eq!(whole.client.as_ref().unwrap().chain.len(), 1);
    // Whatever differs must tell two routes' connections apart.
    let others = [
        "",
        "ca: ca.pem",
        "ca: cert.pem",
        "ca: ca.pem, server_name: tool.example.com",
        "certificate: cert.pem, key: key.pem",
    ];
    let mut numbers: Vec<u64> =
        others.iter().map(|text| tls(text).fingerprint()).chain([whole.fingerprint()]).collect();
    assert_eq!(tls("ca: ca.pem").fingerprint(), tls("ca: ca.pem").fingerprint());
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), others.len() + 1);

    write(&folder, "empty.pem", "", 0o644);
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    write(&folder, "damaged.pem", damaged, 0o644);
    for (text, problem) in [
        ("ca: empty.pem", "holds no certificate"),
        ("ca: damaged.pem", "its certificate 1 is damaged"),
        ("certificate: cert.pem", "`routes[0].upstream_tls.key` is missing"),
        ("certificate: cert.pem, key: ca.key", "is not the key of the certificate"),
        ("certificate: damaged.pem, key: key.pem", "error"),
    ] {
        let said = said_in(&folder, &route(text));
        assert!(matches!(said.as_slice(), [line] if line.contains(problem)), "{text}: {said:#?}");
    }
}
