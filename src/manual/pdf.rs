//! A key card as a PDF of one A4 page: in a type as large as fits, with as many columns as leave room for it. The fonts are those every reader has.

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

use super::card::{Card, Row, Section};

/// A4, in points.
const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 36.0;
const BETWEEN_COLUMNS: f32 = 16.0;
/// How many columns are tried.
const COLUMNS: [u8; 2] = [2, 3];
/// The type's sizes that are tried, in points.
const SIZES: [f32; 9] = [10.0, 9.5, 9.0, 8.5, 8.0, 7.5, 7.0, 6.5, 6.0];
/// From one line to the next, in the type's size.
const LEADING: f32 = 1.3;
/// The width of the keys' column, in the type's size.
const KEYS_WIDTH: f32 = 5.0;
/// How much wider bold type runs, at most.
const BOLDER: f32 = 1.09;
const REGULAR: Name = Name(b"R");
const BOLD: Name = Name(b"B");

/// Widths of Helvetica from space to tilde, in thousandths of its size (Adobe's font metrics).
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556, 556,
    556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778,
    722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222,
    500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

impl Card {
    /// The page; always the same bytes for the same card.
    #[must_use]
    pub fn pdf(&self) -> Vec<u8> {
        let content = SIZES.iter().find_map(|size| COLUMNS.iter().find_map(|columns| self.laid_out(*size, *columns, false)));
        // A card that fits in no type is cut off at the foot of its page.
        let content = content.or_else(|| self.laid_out(SIZES[SIZES.len() - 1], COLUMNS[0], true)).unwrap_or_default();
        let mut references = (1..).map(Ref::new);
        let mut reference = || references.next().unwrap_or(Ref::new(1));
        let (catalog, pages, page, regular, bold, contents, information) =
            (reference(), reference(), reference(), reference(), reference(), reference(), reference());
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(pages).lang(TextStr(self.language.code()));
        pdf.pages(pages).kids([page]).count(1);
        let mut leaf = pdf.page(page);
        leaf.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(pages).contents(contents);
        let mut resources = leaf.resources();
        resources.fonts().pair(REGULAR, regular).pair(BOLD, bold);
        resources.finish();
        leaf.finish();
        for (font, name) in [(regular, &b"Helvetica"[..]), (bold, b"Helvetica-Bold")] {
            pdf.type1_font(font).base_font(Name(name)).encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        pdf.stream(contents, &content);
        pdf.document_info(information).title(TextStr(&self.title));
        pdf.finish()
    }

    /// The drawing of the page; `None` if it does not fit in this size.
    fn laid_out(&self, size: f32, columns: u8, cut_off: bool) -> Option<Vec<u8>> {
        let width = PAGE.0 - 2.0 * MARGIN;
        let mut sheet = Sheet { content: Content::new(), size };
        let mut top = PAGE.1 - MARGIN - 16.0;
        sheet.text(BOLD, 16.0, MARGIN, top, &self.title);
        top -= 10.0;
        for rule in self.rules.iter().flat_map(|rule| lines(rule, size, width)) {
            top -= size * LEADING;
            sheet.text(REGULAR, size, MARGIN, top, &rule);
        }
        top -= size * 1.6;
        let column = (width - BETWEEN_COLUMNS * f32::from(columns - 1)) / f32::from(columns);
        let (mut left, mut at, mut further) = (MARGIN, top, columns - 1);
        for section in &self.sections {
            if at - height(section, size, column) < MARGIN && at < top {
                if further > 0 {
                    (left, at, further) = (left + column + BETWEEN_COLUMNS, top, further - 1);
                } else if !cut_off {
                    return None;
                }
            }
            if at - height(section, size, column) < MARGIN && !cut_off {
                return None;
            }
            at = sheet.section(section, left, at, column);
        }
        Some(sheet.content.finish().into_vec())
    }
}

/// How much of a column a section takes.
fn height(section: &Section, size: f32, column: f32) -> f32 {
    let room = column - KEYS_WIDTH * size;
    let rows: usize = section.rows.iter().map(|row| rows(row, size, room)).sum();
    let note = section.note.as_ref().map_or(0, |note| lines(note, size, column).len());
    let title = lines(&section.title, size * 1.1 * BOLDER, column).len() as f32;
    size * (LEADING * (rows + note) as f32 + 1.5 * title + 1.0)
}

/// How many lines the keys and what they do take.
fn rows(row: &Row, size: f32, room: f32) -> usize {
    lines(&row.all_keys(), size, KEYS_WIDTH * size).len().max(lines(&row.does, size, room).len())
}

struct Sheet {
    content: Content,
    size: f32,
}

impl Sheet {
    /// Draws a section below `top`; gives where it ends.
    fn section(&mut self, section: &Section, left: f32, top: f32, column: f32) -> f32 {
        let size = self.size;
        let mut at = top;
        for line in lines(&section.title, size * 1.1 * BOLDER, column) {
            at -= size * 1.5;
            self.text(BOLD, size * 1.1, left, at, &line);
        }
        self.content.set_line_width(0.6).move_to(left, at - size * 0.35).line_to(left + column, at - size * 0.35).stroke();
        at -= size * 0.2;
        let (beside, room) = (left + KEYS_WIDTH * size, column - KEYS_WIDTH * size);
        for row in &section.rows {
            for (number, line) in (1..).zip(lines(&row.all_keys(), size, KEYS_WIDTH * size)) {
                self.text(BOLD, size, left, at - size * LEADING * number as f32, &line);
            }
            for (number, line) in (1..).zip(lines(&row.does, size, room)) {
                self.text(REGULAR, size, beside, at - size * LEADING * number as f32, &line);
            }
            at -= size * LEADING * rows(row, size, room) as f32;
        }
        for line in section.note.iter().flat_map(|note| lines(note, size, column)) {
            at -= size * LEADING;
            self.text(REGULAR, size, left, at, &line);
        }
        at - size * 0.8
    }

    fn text(&mut self, font: Name<'_>, size: f32, left: f32, baseline: f32, text: &str) {
        let bytes: Vec<u8> = text.chars().map(encoded).collect();
        self.content.begin_text().set_font(font, size).next_line(left, baseline).show(Str(&bytes)).end_text();
    }
}

/// The lines of `text`, broken between words, in a type of `size` and a column of `width`.
fn lines(text: &str, size: f32, width: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if measured(line) + measured(" ") + measured(word) <= width / size => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The width of a text in its type's size. Letters with accents are as wide as those without.
fn measured(text: &str) -> f32 {
    let width = |letter: char| {
        let letter = match letter {
            'à' | 'á' | 'â' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'í' | 'î' | 'ï' => 'i',
            'ó' | 'ô' | 'ö' => 'o',
            'ú' | 'ù' | 'û' | 'ü' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            other => other,
        };
        (letter as usize).checked_sub(32).and_then(|at| WIDTHS.get(at)).copied().unwrap_or(667)
    };
    text.chars().map(|letter| f32::from(width(letter))).sum::<f32>() / 1000.0
}

/// The letter in WinAnsi, which is Latin-1 as far as our languages go.
fn encoded(letter: char) -> u8 {
    match letter {
        '’' => 0x92,
        'œ' => 0x9c,
        '…' => 0x85,
        other => u8::try_from(u32::from(other)).unwrap_or(b'?'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{keys::KeyProfile, language::Grammar};
    use crate::manual::Service;

    #[test]
    fn every_card_fits_on_its_page_in_a_type_that_can_be_read() {
        for language in Grammar::ALL {
            for profile in KeyProfile::ALL {
                let card = Card::new(profile, language, &Service::default());

                let fits = |size: f32| COLUMNS.iter().any(|columns| card.laid_out(size, *columns, false).is_some());
                let largest = SIZES.into_iter().find(|size| fits(*size));

                assert!(largest.is_some_and(|size| size >= 7.5), "{profile} {language:?}: {largest:?}");
            }
        }
    }

    #[test]
    fn a_card_has_only_letters_of_its_font() {
        for language in Grammar::ALL {
            for profile in KeyProfile::ALL {
                let text = format!("{:?}", Card::new(profile, language, &Service::default()));
                let strange: String = text.chars().filter(|letter| *letter != '?' && encoded(*letter) == b'?').collect();

                assert_eq!(strange, "", "{profile} {language:?}");
            }
        }
    }

    #[test]
    fn the_same_card_is_the_same_file() {
        let card = Card::new(KeyProfile::Afterbeep, Grammar::French, &Service::default());

        assert_eq!(card.pdf(), card.pdf());
        assert!(card.pdf().starts_with(b"%PDF-"));
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        let broken = lines("one two three four five", 10.0, 60.0);

        assert!(broken.len() > 1, "{broken:?}");
        assert!(broken.iter().all(|line| measured(line) * 10.0 <= 60.0), "{broken:?}");
        assert_eq!(broken.join(" "), "one two three four five");
    }
}
