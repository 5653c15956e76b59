//! A key card as a page for a browser, which prints on one sheet of A4 or Letter, as a test with a browser says.

use std::fmt::Write as _;

use super::{card::Card, words::Words};

/// Two columns on a screen; three in smaller type on paper, so that the longest card fits on one sheet. Readable in black and white.
const STYLE: &str = "
@page { margin: 10mm; }
body { font: 9.5pt/1.3 'Helvetica Neue', Helvetica, Arial, sans-serif; color: #111; max-width: 190mm; margin: 1rem auto; }
h1 { font-size: 16pt; margin: 0 0 2mm; }
.rules { margin: 0 0 4mm; padding-left: 1.2em; }
.menus { columns: 2; column-gap: 8mm; }
section { break-inside: avoid; margin-bottom: 4mm; }
h2 { font-size: 10.5pt; margin: 0 0 1mm; padding-bottom: .5mm; border-bottom: .4mm solid #111; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4mm 0; border-bottom: .1mm solid #bbb; }
th { width: 5.5em; white-space: nowrap; font-weight: normal; }
kbd { font: bold 9.5pt ui-monospace, Menlo, Consolas, monospace; }
p { margin: 1mm 0 0; color: #333; }
@media screen and (max-width: 40rem) { .menus { columns: 1; } body { padding: 0 1rem; } }
@media print {
body { margin: 0; max-width: none; font-size: 7.5pt; line-height: 1.2; }
h1 { font-size: 13pt; margin-bottom: 1mm; }
.rules { margin-bottom: 2mm; }
.menus { columns: 3; column-gap: 5mm; }
section { margin-bottom: 2.2mm; }
h2 { font-size: 8pt; margin-bottom: .4mm; }
th, td { padding: .15mm 0; }
th { width: 4.6em; }
kbd { font-size: 7.5pt; }
p { margin-top: .5mm; }
}
";

impl Card {
    /// The page.
    #[must_use]
    pub fn html(&self) -> String {
        let words = Words::of(self.language);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<ul class=\"rules\">\n",
            self.language.code(),
            title = escaped(&self.title),
        );
        for rule in &self.rules {
            _ = writeln!(page, "<li>{}</li>", escaped(rule));
        }
        page.push_str("</ul>\n<div class=\"menus\">\n");
        for section in &self.sections {
            let caption = format!("{} / {}", words.key, words.does);
            _ = writeln!(page, "<section>\n<h2>{}</h2>\n<table aria-label=\"{}\">", escaped(&section.title), escaped(&caption));
            for row in &section.rows {
                let keys: Vec<_> = row.keys.iter().map(|keys| format!("<kbd>{}</kbd>", escaped(keys))).collect();
                _ = writeln!(page, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", keys.join(", "), escaped(&row.does));
            }
            page.push_str("</table>\n");
            if let Some(note) = &section.note {
                _ = writeln!(page, "<p>{}</p>", escaped(note));
            }
            page.push_str("</section>\n");
        }
        page.push_str("</div>\n</body>\n</html>\n");
        page
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use crate::{
        domain::{keys::KeyProfile, language::Grammar},
        manual::{Card, Service},
    };

    #[test]
    fn a_page_has_every_line_of_its_card() {
        let card = Card::new(KeyProfile::Unity, Grammar::Spanish, &Service::default());
        let page = card.html();

        assert!(page.starts_with("<!doctype html>\n<html lang=\"es\">"));
        for row in card.sections.iter().flat_map(|section| &section.rows) {
            assert!(page.contains(&format!("<td>{}</td>", row.does)), "{row:?}");
        }
        assert_eq!(page.matches("<section>").count(), card.sections.len());
    }
}
