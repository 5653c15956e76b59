//! Text from strangers, made harmless: a caller's name is whatever their network put into a SIP header.

use std::fmt;

use crate::domain::caller::Caller;

/// The most characters of a name that are shown. Longer ones end in an ellipsis.
const LONGEST_NAME: usize = 64;
/// The most characters of a number that are shown.
const LONGEST_NUMBER: usize = 40;

/// The caller with every text fit to be shown: one line, no control or invisible characters, bounded.
pub(super) fn presentable(caller: &Caller) -> Caller {
    let shown =
        |text: &Option<String>, longest| text.as_deref().map(|text| one_line(text, longest)).filter(|text| !text.is_empty());
    Caller { number: shown(&caller.number, LONGEST_NUMBER), name: shown(&caller.name, LONGEST_NAME) }
}

/// A subscriber's name fit to be shown; they are written by operators, but end up in headers all the same.
pub(super) fn presentable_name(name: &str) -> String {
    one_line(name, LONGEST_NAME)
}

/// One line of at most `longest` characters, without control characters, and without the invisible ones that can make
/// text look like other text (direction overrides, zero-width spaces, tags). White space is collapsed.
pub(super) fn one_line(text: &str, longest: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    let mut space = false;
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() {
            space = !line.is_empty();
            continue;
        }
        if is_invisible(character) {
            continue;
        }
        if length + usize::from(space) >= longest {
            line.push('…');
            break;
        }
        if space {
            line.push(' ');
            length += 1;
            space = false;
        }
        line.push(character);
        length += 1;
    }
    line
}

/// Characters that draw nothing but change how their neighbours are drawn. The joiners U+200C and U+200D stay: Persian
/// and Hindi names, and emoji, are spelt with them.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFD}' | '\u{FFFE}' | '\u{FFFF}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}' | '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}')
}

/// Text kept from turning its surroundings around: a right-to-left name goes between U+2068 and U+2069, so that the
/// number and the duration that follow it stay where they are.
pub(super) struct Isolated<'a>(pub &'a str);

impl fmt::Display for Isolated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.chars().any(is_right_to_left) { write!(f, "\u{2068}{}\u{2069}", self.0) } else { f.write_str(self.0) }
    }
}

fn is_right_to_left(character: char) -> bool {
    matches!(character, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}' | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
}

/// Text inside HTML, isolated from its surroundings by the tag around it.
pub(super) struct Html<'a>(pub &'a str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => fmt::Write::write_char(f, other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_without_tricks() {
        for (name, shown) in [
            ("Ann Lee", "Ann Lee"),
            ("Ann\r\nBcc: all@example.com", "Ann Bcc: all@example.com"),
            ("  Ann \t\u{0}\u{1b}[31m Lee ", "Ann [31m Lee"),
            ("Bank\u{202E}ynnA\u{202C}", "BankynnA"),
            ("A\u{200B}n\u{FEFF}n\u{E0041}", "Ann"),
            ("Ann\u{2028}Lee\u{85}!", "Ann Lee !"),
            ("Σωκράτης Ольга 山田", "Σωκράτης Ольга 山田"),
            ("👩\u{200D}🚀", "👩\u{200D}🚀"),
            ("\r\n\u{202E}", ""),
        ] {
            assert_eq!(one_line(name, 64), shown, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_ends_in_an_ellipsis() {
        assert_eq!(one_line(&"n".repeat(64), 64), "n".repeat(64));
        assert_eq!(one_line(&"n".repeat(65), 64), format!("{}…", "n".repeat(64)));
        assert_eq!(one_line("ab cd", 3), "ab…");
    }

    #[test]
    fn a_caller_with_nothing_to_show_is_private() {
        let caller = Caller { number: Some("\u{202E}".into()), name: Some("\r\n".into()) };

        assert_eq!(presentable(&caller), Caller::private());
    }

    #[test]
    fn only_right_to_left_text_is_isolated() {
        assert_eq!(Isolated("Ann").to_string(), "Ann");
        assert_eq!(Isolated("משה").to_string(), "\u{2068}משה\u{2069}");
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(Html("<a href='x\">&").to_string(), "&lt;a href=&#39;x&quot;&gt;&amp;");
    }
}
