//! The words of cards and guides that no prompt says.

use crate::{domain::language::Grammar, ivr::PromptId};

/// The menus a card tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heading {
    Greeting,
    Review,
    BeforeOperator,
    Main,
    Playing,
    After,
    Forward,
    Send,
    CallBack,
    Options,
    Taping,
    OwnReview,
    Greetings,
    Recording,
    Administration,
    Reset,
    Block,
}

/// The words of one language.
pub(super) struct Words {
    pub card_title: &'static str,
    pub rules: &'static [&'static str],
    /// With `{keys}`.
    pub ends_recording: &'static str,
    pub or: &'static str,
    /// With `{codes}`.
    pub blocks: &'static str,
    /// With `{codes}`.
    pub refuses_anonymous: &'static str,
    /// What to dial where there is no code for one's mailbox.
    pub own_number: &'static str,
    pub key: &'static str,
    pub does: &'static str,
    headings: &'static [(Heading, &'static str)],
    /// By the English words of the key map.
    unspoken: &'static [(&'static str, &'static str)],
}

impl Words {
    pub fn of(language: Grammar) -> &'static Self {
        match language {
            Grammar::English => &ENGLISH,
            Grammar::French => &FRENCH,
            Grammar::Spanish => &SPANISH,
        }
    }

    pub fn heading(&self, heading: Heading) -> &'static str {
        self.headings.iter().find(|(it, _)| *it == heading).map_or("", |(_, words)| words)
    }

    /// "`*98` or `*97`".
    pub fn either(&self, signs: impl Iterator<Item = String>, quotes: &str) -> String {
        signs.map(|signs| format!("{quotes}{signs}{quotes}")).collect::<Vec<_>>().join(self.or)
    }

    /// What an action does that is told in no menu.
    pub fn unspoken(&self, describe: &'static str) -> &'static str {
        self.unspoken.iter().find(|(english, _)| *english == describe).map_or("", |(_, words)| words)
    }
}

static ENGLISH: Words = Words {
    card_title: "Voicemail: the keys",
    rules: &[
        "Any menu can be interrupted: press a key as soon as you know it. You can press several ahead.",
        "End a number or a passcode with #. To clear what you typed, press *.",
    ],
    ends_recording: "While recording, {keys} ends the message, and {pause} pauses it or goes on. Hanging up sends it.",
    or: " or ",
    blocks: "Dial {codes} to block your last caller.",
    refuses_anonymous: "Dial {codes} to refuse callers who show no number, and again to accept them.",
    own_number: "your own number",
    key: "Key",
    does: "What it does",
    headings: &[
        (Heading::Greeting, "Leaving a message: during the greeting"),
        (Heading::Review, "Leaving a message: after recording"),
        (Heading::BeforeOperator, "Leaving a message: before an operator is called"),
        (Heading::Main, "Your mailbox: main menu"),
        (Heading::Playing, "While a message plays"),
        (Heading::After, "After a message"),
        (Heading::Forward, "Before you forward a message"),
        (Heading::Send, "After recording a message to other mailboxes"),
        (Heading::CallBack, "Calling back: after the number"),
        (Heading::Options, "Options"),
        (Heading::Taping, "Before you record: until the tone"),
        (Heading::OwnReview, "After recording a greeting or your name"),
        (Heading::Greetings, "Your greetings: which one"),
        (Heading::Recording, "Your greetings: what to do"),
        (Heading::Administration, "For administrators"),
        (Heading::Reset, "For administrators: a new passcode"),
        (Heading::Block, "Callers you do not want"),
    ],
    unspoken: &[
        ("go to the beep", "Go to the beep"),
        ("cancel; nothing is recorded", "Cancel: nothing is recorded"),
        ("log in to the mailbox", "Log in to the mailbox"),
        ("reach an operator, where the mailbox has one", "Reach an operator, where the mailbox has one"),
    ],
};

static FRENCH: Words = Words {
    card_title: "Messagerie vocale : les touches",
    rules: &[
        "Tout menu peut être interrompu : tapez une touche dès que vous la connaissez. Vous pouvez en taper plusieurs d'avance.",
        "Terminez un numéro ou un code secret par #. Pour effacer ce que vous avez tapé, tapez *.",
    ],
    ends_recording: "Pendant l'enregistrement, {keys} termine le message, et {pause} le met en pause ou le reprend. Raccrocher l'envoie.",
    or: " ou ",
    blocks: "Composez {codes} pour bloquer votre dernier appelant.",
    refuses_anonymous: "Composez {codes} pour refuser les appels sans numéro, et de nouveau pour les accepter.",
    own_number: "votre propre numéro",
    key: "Touche",
    does: "Effet",
    headings: &[
        (Heading::Greeting, "Laisser un message : pendant l'annonce"),
        (Heading::Review, "Laisser un message : après l'enregistrement"),
        (Heading::BeforeOperator, "Laisser un message : avant d'appeler un opérateur"),
        (Heading::Main, "Votre messagerie : menu principal"),
        (Heading::Playing, "Pendant un message"),
        (Heading::After, "Après un message"),
        (Heading::Forward, "Avant de transférer un message"),
        (Heading::Send, "Après avoir enregistré un message à d'autres messageries"),
        (Heading::CallBack, "Rappeler : après le numéro"),
        (Heading::Options, "Options"),
        (Heading::Taping, "Avant d'enregistrer : jusqu'au signal sonore"),
        (Heading::OwnReview, "Après avoir enregistré une annonce ou votre nom"),
        (Heading::Greetings, "Vos annonces : laquelle"),
        (Heading::Recording, "Vos annonces : que faire"),
        (Heading::Administration, "Pour les administrateurs"),
        (Heading::Reset, "Pour les administrateurs : un nouveau code secret"),
        (Heading::Block, "Appelants indésirables"),
    ],
    unspoken: &[
        ("go to the beep", "Passer au signal sonore"),
        ("cancel; nothing is recorded", "Annuler : rien n'est enregistré"),
        ("log in to the mailbox", "Entrer dans la messagerie"),
        ("reach an operator, where the mailbox has one", "Joindre un opérateur, si la messagerie en a un"),
    ],
};

static SPANISH: Words = Words {
    card_title: "Buzón de voz: las teclas",
    rules: &[
        "Todo menú se puede interrumpir: pulse una tecla en cuanto la conozca. Puede pulsar varias por adelantado.",
        "Termine un número o un código con #. Para borrar lo que ha marcado, pulse *.",
    ],
    ends_recording: "Durante la grabación, {keys} termina el mensaje, y {pause} lo pone en pausa o continúa. Al colgar se envía.",
    or: " o ",
    blocks: "Marque {codes} para bloquear a quien llamó por último.",
    refuses_anonymous: "Marque {codes} para rechazar llamadas sin número, y otra vez para aceptarlas.",
    own_number: "su propio número",
    key: "Tecla",
    does: "Qué hace",
    headings: &[
        (Heading::Greeting, "Dejar un mensaje: durante el saludo"),
        (Heading::Review, "Dejar un mensaje: después de grabar"),
        (Heading::BeforeOperator, "Dejar un mensaje: antes de llamar a un operador"),
        (Heading::Main, "Su buzón: menú principal"),
        (Heading::Playing, "Mientras suena un mensaje"),
        (Heading::After, "Después de un mensaje"),
        (Heading::Forward, "Antes de reenviar un mensaje"),
        (Heading::Send, "Después de grabar un mensaje para otros buzones"),
        (Heading::CallBack, "Devolver la llamada: después del número"),
        (Heading::Options, "Opciones"),
        (Heading::Taping, "Antes de grabar: hasta la señal"),
        (Heading::OwnReview, "Después de grabar un saludo o su nombre"),
        (Heading::Greetings, "Sus saludos: cuál"),
        (Heading::Recording, "Sus saludos: qué hacer"),
        (Heading::Administration, "Para administradores"),
        (Heading::Reset, "Para administradores: una clave nueva"),
        (Heading::Block, "Llamadas no deseadas"),
    ],
    unspoken: &[
        ("go to the beep", "Ir a la señal"),
        ("cancel; nothing is recorded", "Cancelar: no se graba nada"),
        ("log in to the mailbox", "Entrar en el buzón"),
        ("reach an operator, where the mailbox has one", "Hablar con un operador, si el buzón tiene uno"),
    ],
};

/// The words of a prompt.
pub(super) fn spoken(prompt: PromptId, language: Grammar) -> &'static str {
    let table = match language {
        Grammar::English => include_str!("../../prompts/en/prompts.tsv"),
        Grammar::French => include_str!("../../prompts/fr/prompts.tsv"),
        Grammar::Spanish => include_str!("../../prompts/es/prompts.tsv"),
    };
    let lines = table.lines().filter_map(|line| line.split_once('\t'));
    lines.into_iter().find(|(id, _)| *id == prompt.name()).map_or("", |(_, words)| words)
}

/// "To delete this message," as the line of a table: "Delete this message".
pub(super) fn purpose(prompt: PromptId, language: Grammar) -> String {
    let words = spoken(prompt, language).trim_end_matches([',', '.']);
    let preposition = match language {
        Grammar::English => &["To ", "For "][..],
        Grammar::French => &["Pour "],
        Grammar::Spanish => &["Para "],
    };
    let words = preposition.iter().find_map(|first| words.strip_prefix(first)).unwrap_or(words);
    // "To pause, or to continue": English says it before the second verb, too.
    let words = match language {
        Grammar::English => words.replace(", or to ", ", or "),
        Grammar::French | Grammar::Spanish => words.to_owned(),
    };
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
