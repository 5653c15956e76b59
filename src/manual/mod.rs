//! What subscribers can read: the key card and the user's guide, in every language, for every key map.
//!
//! Both are made from the tables of `ivr::keymap` and the words of the prompts, so that they say what the telephone says and does.
//! Nothing here has I/O. Start with [`Card::new`] and [`guide`]; `html` and `pdf` print a card.

mod card;
mod guide;
mod html;
mod pdf;
mod words;

pub use card::{Card, Row, Section, Service};
pub use guide::guide;
