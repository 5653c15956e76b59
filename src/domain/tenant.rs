//! The name of a tenant.

/// A tenant's name as it is kept and looked up: a SIP domain in lower case, empty for the default tenant.
///
/// Domains are the same in every letter case (RFC 3261 §19.1.4), and calls are looked up in lower case: a list or phrase under any
/// other name would never be found.
///
/// # Errors
///
/// [`TenantError`] when the text has a character that no host of a SIP URI has.
pub fn tenant_name(text: &str) -> Result<String, TenantError> {
    let name = text.trim().to_ascii_lowercase();
    // The brackets and colons are those of an IPv6 address.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b':' | b']');
    if name.bytes().all(allowed) { Ok(name) } else { Err(TenantError(text.to_owned())) }
}

/// A text that is no tenant's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SIP domain, such as example.com")]
pub struct TenantError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_called_as_calls_look_for_it() {
        for (written, name) in
            [("", ""), ("example.com", "example.com"), (" Example.COM ", "example.com"), ("[2001:DB8::1]", "[2001:db8::1]")]
        {
            assert_eq!(tenant_name(written).as_deref(), Ok(name), "{written:?}");
        }
    }

    #[test]
    fn what_is_no_domain_is_no_tenant() {
        for written in ["example com", "sip:example.com;x", "bücher.example", "1001@example.com", "a,b"] {
            assert!(tenant_name(written).is_err(), "{written:?}");
        }
    }
}
