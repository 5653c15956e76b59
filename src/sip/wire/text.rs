//! Text that came as bytes: kept without loss in a `String`, and cut at separators outside quotes and angle brackets.

/// Why a piece of text is not what the grammar asks for; a few words for a log or a reason phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// A byte that is not UTF-8 is kept as the private-use character `U+10FE00 + byte`.
const ESCAPED: u32 = 0x10_FE00;

/// Keeps any bytes in a `String` without loss: UTF-8 as it is, other bytes as private-use characters.
///
/// Should the text itself contain those characters, their bytes are kept one by one, so that [`push_bytes`] undoes this always.
pub(super) fn from_bytes(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes)
        // 0xF4 starts every character of the plane that the escapes are in.
        && !bytes.contains(&0xF4)
    {
        return text.to_owned();
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if escaped_byte(character).is_some() {
                character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| text.push(escape(byte)));
            } else {
                text.push(character);
            }
        }
        chunk.invalid().iter().for_each(|&byte| text.push(escape(byte)));
    }
    text
}

/// Appends the bytes that [`from_bytes`] was given. Line ends become spaces, so that no value can begin a new header line.
pub(super) fn push_bytes(text: &str, out: &mut Vec<u8>) {
    if text.is_ascii() && !text.contains(['\r', '\n']) {
        return out.extend_from_slice(text.as_bytes());
    }
    for character in text.chars() {
        match (character, escaped_byte(character)) {
            ('\r' | '\n', _) => out.push(b' '),
            (_, Some(byte)) => out.push(byte),
            (character, None) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// A received value as text for people: bytes that were not UTF-8 are read as ISO 8859-1, which is what such devices mean.
#[must_use]
pub fn readable(text: &str) -> String {
    text.chars()
        .map(|character| match escaped_byte(character) {
            Some(byte) if byte >= 0xA0 => char::from(byte),
            Some(_) => char::REPLACEMENT_CHARACTER,
            None if character.is_control() => ' ',
            None => character,
        })
        .collect()
}

fn escape(byte: u8) -> char {
    char::from_u32(ESCAPED + u32::from(byte)).expect("U+10FE00 to U+10FEFF are characters")
}

fn escaped_byte(character: char) -> Option<u8> {
    u8::try_from(u32::from(character).checked_sub(ESCAPED)?).ok().filter(|byte| *byte >= 0x80)
}

/// Linear white space after unfolding.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// Trims what the grammar calls LWS, and nothing else that Unicode takes for a space.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Whether the byte may be in a token (RFC 3261 §25.1).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Whether the text is a token: not empty, only token characters.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// The first place of one of the separators outside quoted strings and angle brackets.
pub(super) fn find_outside(text: &str, separators: &[u8]) -> Result<Option<usize>, Malformed> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            byte if separators.contains(&byte) => return Ok(Some(at)),
            b'"' => at += quoted_length(&text[at..])?,
            b'<' => match bytes[at..].iter().position(|&byte| byte == b'>') {
                Some(length) => at += length + 1,
                None => return Err(Malformed("unterminated angle bracket")),
            },
            _ => at += 1,
        }
    }
    Ok(None)
}

/// Cuts at the separator outside quoted strings and angle brackets; the pieces are trimmed, and may be empty.
pub(super) fn split(text: &str, separator: u8) -> Result<Vec<&str>, Malformed> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = find_outside(rest, &[separator])? {
        pieces.push(trim(&rest[..at]));
        rest = &rest[at + 1..];
    }
    pieces.push(trim(rest));
    Ok(pieces)
}

/// Length of the quoted string that the text begins with, quotes included.
fn quoted_length(text: &str) -> Result<usize, Malformed> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return Ok(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    Err(Malformed("unterminated quoted string"))
}

/// Takes the quoted string that the text begins with: its content without escapes, and what follows it.
pub(super) fn take_quoted(text: &str) -> Result<(String, &str), Malformed> {
    let length = quoted_length(text)?;
    let mut content = String::with_capacity(length);
    let mut characters = text[1..length - 1].chars();
    while let Some(character) = characters.next() {
        content.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    Ok((content, &text[length..]))
}

/// Writes a quoted string.
pub(super) fn write_quoted(content: &str, f: &mut impl std::fmt::Write) -> std::fmt::Result {
    f.write_char('"')?;
    for character in content.chars() {
        match character {
            '"' | '\\' => {
                f.write_char('\\')?;
                f.write_char(character)?;
            }
            '\r' | '\n' => f.write_char(' ')?,
            _ => f.write_char(character)?,
        }
    }
    f.write_char('"')
}

/// Undoes `%41` escapes; a `%` that is not an escape stays, and bytes that are not UTF-8 stay without loss.
pub fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let hex = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut raw = Vec::with_capacity(text.len());
    push_bytes(text, &mut raw);
    let mut decoded = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        match (byte, hex(raw.get(at + 1)), hex(raw.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"));
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    from_bytes(&decoded)
}

/// Escapes what must not stand as itself in a URI's user part or header.
pub(super) fn percent_encode(text: &str) -> String {
    let mut raw = Vec::with_capacity(text.len());
    push_bytes(text, &mut raw);
    let mut encoded = String::with_capacity(raw.len());
    for byte in raw {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()+".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf_8_survive() {
        for bytes in
            [&b"M\xFCller"[..], b"\xFF\x80\xF4", "plain, grün".as_bytes(), "\u{10FEFC}".as_bytes(), b"\xF4\x8F\xBB\xBC\xFC"]
        {
            let mut back = Vec::new();

            push_bytes(&from_bytes(bytes), &mut back);

            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn latin_1_is_readable() {
        assert_eq!(readable(&from_bytes(b"J\xF6rg M\xFCller")), "Jörg Müller");
        assert_eq!(readable(&from_bytes("Jörg".as_bytes())), "Jörg");
    }

    #[test]
    fn a_value_cannot_begin_a_new_line() {
        let mut out = Vec::new();

        push_bytes("a\r\nVia: b", &mut out);

        assert_eq!(out, b"a  Via: b");
    }

    #[test]
    fn separators_inside_quotes_and_brackets_do_not_separate() {
        assert_eq!(split(r#""a,\",b" <sip:a,b@c> , d,"#, b','), Ok(vec![r#""a,\",b" <sip:a,b@c>"#, "d", ""]));
        assert_eq!(split("\"a, b", b','), Err(Malformed("unterminated quoted string")));
        assert_eq!(split("\"a\\", b','), Err(Malformed("unterminated quoted string")));
        assert_eq!(split("<a, b", b','), Err(Malformed("unterminated angle bracket")));
    }

    #[test]
    fn percent_escapes_are_undone_and_made() {
        assert_eq!(percent_decode("u%40ex%c3%A4mple%2"), "u@exämple%2");
        assert_eq!(percent_encode("SIP;cause=302"), "SIP%3Bcause%3D302");
    }
}
