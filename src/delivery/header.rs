//! Mail header fields: folded, ASCII, and with nothing in them that could begin another field.
//!
//! `mail-builder` 0.4 writes CR LF in a text header as it stands (a caller named `x\r\nBcc: …` would add recipients), puts
//! encoded words inside quotation marks, where RFC 2047 §5 forbids them, and does not split them; so it makes the body
//! only, and the fields are written here.

use std::fmt::Write as _;

/// A header block being written.
#[derive(Default)]
pub(super) struct Headers(String);

/// RFC 2047 §2: a line with encoded words has at most 76 characters; RFC 5322 §2.1.1 recommends 78 for all.
const LONGEST_LINE: usize = 76;
const WORD_START: &str = "=?utf-8?B?";
const WORD_END: &str = "?=";

impl Headers {
    /// Adds free text, as in `Subject`. Line breaks and control characters become spaces.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        let value = without_controls(value);
        self.0.push_str(name);
        self.0.push(':');
        let column = name.len() + 1;
        if is_plain(&value) {
            self.words(column, &value);
        } else {
            self.encoded_words(column, &value);
        }
        self.0.push_str("\r\n");
    }

    /// Adds a field with one address: `From`, `To`. The address was checked by whoever parsed it.
    pub(super) fn address(&mut self, field: &str, display_name: &str, address: &str) {
        let display_name = without_controls(display_name);
        let address = without_controls(address);
        self.0.push_str(field);
        self.0.push(':');
        let mut column = field.len() + 1;
        if !display_name.is_empty() {
            let quoted = format!("\"{}\"", display_name.replace('\\', "\\\\").replace('"', "\\\""));
            // Judged with its backslashes: they can make a word too long to be folded.
            column = if is_plain(&quoted) { self.words(column, &quoted) } else { self.encoded_words(column, &display_name) };
        }
        self.words(column, &format!("<{address}>"));
        self.0.push_str("\r\n");
    }

    /// Adds a field whose value is ours and short: a date, an id, a token.
    pub(super) fn token(&mut self, name: &str, value: &str) {
        debug_assert!(value.bytes().all(|b| (0x20..0x7F).contains(&b)), "tokens are ours");
        let _ = write!(self.0, "{name}: {value}\r\n");
    }

    /// The block, without the empty line that ends it.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    /// Writes words after a space each, folding before one that would not fit.
    fn words(&mut self, mut column: usize, text: &str) -> usize {
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            column = self.word(column, word);
        }
        column
    }

    fn word(&mut self, column: usize, word: &str) -> usize {
        let fits = column + 1 + word.len() <= LONGEST_LINE;
        self.0.push_str(if fits { " " } else { "\r\n " });
        self.0.push_str(word);
        if fits { column + 1 + word.len() } else { 1 + word.len() }
    }

    /// Writes the whole text as encoded words, split between characters; white space between them is not part of the text.
    fn encoded_words(&mut self, mut column: usize, text: &str) -> usize {
        let mut rest = text;
        while !rest.is_empty() {
            let room = |column: usize| {
                let letters = LONGEST_LINE.saturating_sub(column + 1 + WORD_START.len() + WORD_END.len());
                rest.floor_char_boundary((letters / 4 * 3).min(rest.len()))
            };
            let length = match room(column) {
                // Not one character fits on this line: the word will be folded onto the next.
                0 => room(0),
                length => length,
            };
            let (piece, tail) = rest.split_at(length);
            column = self.word(column, &format!("{WORD_START}{}{WORD_END}", base64(piece.as_bytes())));
            rest = tail;
        }
        column
    }
}

/// Text that may stand unencoded: printable ASCII that nobody can mistake for an encoded word, of words that can be folded.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7F).contains(&b))
        && !text.contains("=?")
        && text.split(' ').all(|word| word.len() < LONGEST_LINE - 12)
}

fn without_controls(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect::<String>()
        .trim_matches(' ')
        .to_owned()
}

fn base64(bytes: &[u8]) -> String {
    let encoded = mail_builder::encoders::base64::base64_encode(bytes).expect("writing to memory cannot fail");
    String::from_utf8(encoded).expect("base 64 is ASCII")
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;
    use proptest::prelude::*;

    use super::*;

    fn text(value: &str) -> String {
        let mut headers = Headers::default();
        headers.text("Subject", value);
        String::from_utf8(headers.into_bytes()).unwrap()
    }

    fn from(name: &str) -> String {
        let mut headers = Headers::default();
        headers.address("From", name, "ann@example.com");
        String::from_utf8(headers.into_bytes()).unwrap()
    }

    #[test]
    fn plain_text_stays_readable() {
        assert_eq!(text("Voice message from Ann Lee, 0:42"), "Subject: Voice message from Ann Lee, 0:42\r\n");
        assert_eq!(from("Ann \"A\" Lee"), "From: \"Ann \\\"A\\\" Lee\" <ann@example.com>\r\n");
        assert_eq!(from(""), "From: <ann@example.com>\r\n");
    }

    #[test]
    fn a_name_full_of_quotation_marks_makes_no_long_line() {
        let header = from(&"\"".repeat(63));

        assert!(header.trim_end().split("\r\n").all(|line| line.len() <= LONGEST_LINE), "{header:?}");
        let parsed = MessageParser::new().parse(header.as_bytes()).unwrap();
        assert_eq!(parsed.from().and_then(|from| from.first()).and_then(|from| from.name()), Some("\"".repeat(63).as_str()));
    }

    #[test]
    fn nobody_begins_another_field() {
        assert_eq!(text("x\r\nBcc: all@example.com"), "Subject: x  Bcc: all@example.com\r\n".replace("  ", " "));
        assert_eq!(from("x\r\n\r\nbody"), "From: \"x body\" <ann@example.com>\r\n");
    }

    #[test]
    fn what_looks_encoded_is_encoded() {
        assert_eq!(text("=?utf-8?Q?Bank?="), "Subject: =?utf-8?B?PT91dGYtOD9RP0Jhbms/PQ==?=\r\n");
        assert_eq!(from("Æ"), "From: =?utf-8?B?w4Y=?= <ann@example.com>\r\n");
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_no_line_is_long(value in "[^\\p{C}\u{2028}\u{2029}]{0,200}") {
            let header = text(&value);

            prop_assert!(header.is_ascii());
            prop_assert!(header.trim_end().split("\r\n").all(|line| line.len() <= LONGEST_LINE), "{header:?}");
            let parsed = MessageParser::new().parse(header.as_bytes()).unwrap();
            let collapsed = |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(collapsed(parsed.subject().unwrap_or_default()), collapsed(&value));
        }

        #[test]
        fn any_bytes_make_one_field(value in any::<String>(), name in any::<String>()) {
            let mut headers = Headers::default();
            headers.text("Subject", &value);
            headers.address("To", &name, "ann@example.com");

            let block = String::from_utf8(headers.into_bytes()).unwrap();
            let fields = block.trim_end().split("\r\n").filter(|line| !line.starts_with(' ')).count();
            prop_assert!(block.bytes().all(|b| (0x20..0x7F).contains(&b) || b == b'\r' || b == b'\n'));
            prop_assert_eq!(fields, 2);
            prop_assert!(block.contains("<ann@example.com>\r\n"));
        }
    }
}
