//! Host and `:authority`: one spelling for one place, read as browsers read it.

use std::net::Ipv6Addr;

use sekisho::authz::{Host, HostPattern, NormalTarget, RawTarget};

fn parse(authority: &[u8], secure: bool) -> Option<NormalTarget> {
    NormalTarget::parse(RawTarget { target: b"/", authority: Some(authority), secure }).ok()
}

/// The first byte says whether it comes over TLS; the rest is the authority.
pub fn check(data: &[u8]) {
    let Some((flags, raw)) = data.split_first() else { return };
    let secure = flags & 1 == 0;
    let Some(target) = parse(raw, secure) else { return };
    let (host, authority) = (target.host().as_str(), target.authority());

    let again = parse(authority.as_bytes(), secure).expect("the canonical form is an authority");
    assert_eq!(again, target, "the canonical form is another's");
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.[]:".contains(&b);
    assert!(authority.bytes().all(fine), "{authority}");
    assert!(!host.is_empty() && host.len() <= 253 && !host.starts_with('.') && !host.ends_with('.'), "{host}");
    assert!(host.starts_with('[') || !host.contains([':', '[', ']']), "{host}");
    assert_eq!(Host::parse(host).as_ref(), Ok(target.host()));
    assert!(http::HeaderValue::from_str(&authority).is_ok());
    assert_ne!(target.port(), Some(if secure { 443 } else { 80 }));
    spelt_otherwise(raw, &target, secure);
    as_browsers_read_it(raw, &target, secure);
    as_patterns_read_it(target.host());
}

/// Case says nothing, nor does the port that the scheme implies.
fn spelt_otherwise(raw: &[u8], target: &NormalTarget, secure: bool) {
    assert_eq!(parse(&raw.to_ascii_uppercase(), secure).as_ref(), Some(target));
    if target.port().is_none() {
        let with_port = format!("{}:{}", target.host(), if secure { 443 } else { 80 });
        assert_eq!(parse(with_port.as_bytes(), secure).as_ref(), Some(target));
    }
    // As an absolute-form it says the same, and never anything beside another Host.
    let scheme = if secure { "https" } else { "http" };
    let absolute = format!("{scheme}://{}/", target.authority());
    let both = |authority: &[u8]| {
        NormalTarget::parse(RawTarget { target: absolute.as_bytes(), authority: Some(authority), secure })
    };
    assert_eq!(both(raw).as_ref(), Ok(target));
    assert!(both(b"not-the-same.test").is_err() || target.authority() == "not-the-same.test");
}

fn as_browsers_read_it(raw: &[u8], target: &NormalTarget, secure: bool) {
    let text = std::str::from_utf8(raw).expect("it was accepted");
    let scheme = if secure { "https" } else { "http" };
    let Ok(url) = url::Url::parse(&format!("{scheme}://{text}/")) else {
        // Browsers look into A-labels, and know some that stand for nothing.
        assert!(text.to_ascii_lowercase().contains("xn--"), "no browser takes {text}");
        return;
    };
    let theirs = url.host_str().unwrap_or_default();
    let address = |host: &str| host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let host = target.host().as_str();
    assert!(theirs.trim_end_matches('.') == host || (address(theirs).is_some() && address(theirs) == address(host)));
    assert_eq!(url.port(), target.port());
    assert!(url.username().is_empty() && url.path() == "/");
}

fn as_patterns_read_it(host: &Host) {
    assert_eq!(HostPattern::parse(host.as_str()), Ok(HostPattern::Exact(host.clone())));
    if let Ok(HostPattern::Wildcard(suffix)) = HostPattern::parse(&format!("*.{host}")) {
        assert_eq!(&suffix, host);
    }
}
