//! RSA keys and their texts.

use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;

use super::*;
use crate::oauth::{RsaPrivateKeyError, RsaPublicKeyError};

/// A key of 1024 bits that is not [`rsa_key`]: that of oauthlib's tests.
pub(super) const STRANGER: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDk1/bxyS8Q8jiheHeYYp/4rEKJ
opeQRRKKpZI4s5i+UPwVpupGAlwXWfzXwSMaKPAoKJNdu7tqKRniqst5uoHXw98g
j0x7zamu0Ck1LtQ4c7pFMVah5IYGhBi2E9ycNS329W27nJPWNCbESTu7snVlG8V8
mfvGGg3xNjTMO7IdrwIDAQAB
-----END PUBLIC KEY-----
";

#[test]
fn a_public_key_is_read_from_each_kind_of_pem_and_is_the_same_key() {
    let key = &rsa_key().public;
    assert_eq!(key.bits(), 2048);
    assert!(key.to_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"));
    assert!(RsaPublicKey::from_pem(&key.to_pem()).unwrap() == *key);
    assert!(RsaPublicKey::from_pem(&certificate()).unwrap() == *key);
    assert!(RsaPublicKey::from_pem(STRANGER).unwrap() != *key);
}

/// `openssl pkey -pubin -outform DER | sha256sum` prints the same.
#[test]
fn a_fingerprint_is_the_sha_256_of_the_key() {
    assert_eq!(
        RsaPublicKey::from_pem(STRANGER).unwrap().fingerprint(),
        "0b568336f1e422246cf4782261618aadc9f5470ec0709199862ad13a6752821d"
    );
}

#[test]
fn a_pem_may_have_text_around_it_and_other_line_ends() {
    let text = format!(
        "subject=printer\n\n{}\ntrailing",
        STRANGER.replace('\n', "\r\n")
    );
    let key = RsaPublicKey::from_pem(&text).unwrap();
    assert_eq!((key.bits(), key.to_pem()), (1024, STRANGER.to_owned()));
}

#[test]
fn what_is_not_an_rsa_public_key_is_refused_with_its_reason() {
    let of = |pem: &str| RsaPublicKey::from_pem(pem).unwrap_err();
    let ec = rcgen::KeyPair::generate().unwrap();
    for text in [
        "",
        "ssh-rsa AAAA",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        &ec.public_key_pem(),
        &STRANGER.replace("PUBLIC KEY", "X509 CRL"),
    ] {
        assert_eq!(of(text), RsaPublicKeyError::NotAKey, "{text}");
    }
    assert_eq!(
        of(&STRANGER.replace("END PUBLIC", "END RSA PUBLIC")),
        RsaPublicKeyError::NotAKey
    );
    assert_eq!(
        of(&STRANGER.replace("MIGf", "MIG!")),
        RsaPublicKeyError::NotAKey
    );
    assert_eq!(of(&rsa_key().private_pem), RsaPublicKeyError::Private);
    assert_eq!(of(SHORT), RsaPublicKeyError::Length(512));
    assert_eq!(
        of(SHORT).to_string(),
        "the RSA key has 512 bits: expected 1024 to 8192"
    );
}

#[test]
fn a_cut_or_changed_certificate_is_refused_and_never_panics() {
    let (_, der) = crate::oauth::rsa_public::decode_pem(&certificate()).unwrap();
    for len in 0..der.len() {
        assert!(RsaPublicKey::from_pem(&pem("CERTIFICATE", &der[..len])).is_err());
    }
    for at in 0..der.len().min(64) {
        let mut changed = der.clone();
        changed[at] ^= 0xff;
        let _ = RsaPublicKey::from_pem(&pem("CERTIFICATE", &changed));
    }
}

#[test]
fn a_private_key_is_read_from_both_kinds_of_pem() {
    let private = rsa::PrivateKey::from_pkcs8_pem(&rsa_key().private_pem).unwrap();
    let pkcs1 = private.to_pkcs1_pem(rsa::pkcs8::LineEnding::LF).unwrap();
    assert!(RsaPrivateKey::from_pem(&pkcs1).is_ok());
    assert_eq!(
        RsaPrivateKey::from_pem(STRANGER).unwrap_err(),
        RsaPrivateKeyError
    );
    assert_eq!(RsaPrivateKey::from_pem("").unwrap_err(), RsaPrivateKeyError);
}

#[test]
fn a_private_key_is_never_shown() {
    assert_eq!(
        format!("{:?}", rsa_key().private),
        "RsaPrivateKey(redacted)"
    );
}

fn certificate() -> String {
    let pair = rcgen::KeyPair::from_pem(&rsa_key().private_pem).unwrap();
    rcgen::CertificateParams::new(["printer.example.com".to_owned()])
        .unwrap()
        .self_signed(&pair)
        .unwrap()
        .pem()
}

/// 512 bits.
const SHORT: &str = "-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMX3hTaLeByTxVhrHJ2ZTlCcD+FDe3yV
vgJPBwT02OGvzusLn/oSjMglhwNMWsUzf7fbgzImB/7MjffBVArQz+UCAwEAAQ==
-----END PUBLIC KEY-----
";
