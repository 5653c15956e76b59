//! Keys that come by SIP INFO.

/// The key in an INFO body: `application/dtmf-relay` (`Signal=5`), or `application/dtmf` (the bare key).
#[must_use]
pub fn of_info(content_type: &str, body: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(body).ok()?;
    let key = match content_type {
        "application/dtmf-relay" => text.lines().find_map(|line| {
            let (name, value) = line.split_once(['=', ':'])?;
            name.trim().eq_ignore_ascii_case("signal").then_some(value.trim())
        })?,
        "application/dtmf" => text.trim(),
        _ => return None,
    };
    match key {
        // Some phones send the event's number instead of the key (RFC 4733 §3.2).
        "10" => Some('*'),
        "11" => Some('#'),
        key => {
            let mut keys = key.chars();
            let key = keys.next()?.to_ascii_uppercase();
            (keys.next().is_none() && "0123456789*#ABCD".contains(key)).then_some(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_phones_write_them() {
        assert_eq!(of_info("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(of_info("application/dtmf-relay", b"Signal= #\nDuration= 250\n"), Some('#'));
        assert_eq!(of_info("application/dtmf-relay", b"signal=11\r\nduration=100"), Some('#'));
        assert_eq!(of_info("application/dtmf", b"*"), Some('*'));
        assert_eq!(of_info("application/dtmf", b"10\r\n"), Some('*'));
    }

    #[test]
    fn what_is_no_key_is_none() {
        for body in [&b""[..], b"Duration=160", b"Signal=", b"Signal=55", b"Signal=x", b"\xff\xfe"] {
            assert_eq!(of_info("application/dtmf-relay", body), None, "{body:?}");
        }
        assert_eq!(of_info("text/plain", b"5"), None);
    }
}
