//! The messages that are listened to: those of one list, as many as have been needed so far.

use crate::{
    domain::{
        id::AudioKey,
        listening::First,
        message::{Folder, ListPart, ListPlace, Message},
        time::Timestamp,
    },
    ivr::{Item, Listed, Page, PromptId, Question, login::Subscriber, phrase::say},
};

/// How many messages are listed at once. A mailbox may hold thousands, of which few are ever heard in one call.
const PART: u32 = 25;

/// Asks for the part of a list after a place, or for the first.
pub(super) fn question(who: &Subscriber, folder: Folder, after: Option<ListPlace>) -> Question {
    let first = match folder {
        Folder::New => who.listening.new_first,
        Folder::Saved => who.listening.saved_first,
        Folder::Deleted => First::Newest,
    };
    Question::ListMessages {
        mailbox: who.mailbox.id.clone(),
        tenant: who.mailbox.tenant.clone(),
        part: ListPart { folder, first, after, limit: PART },
    }
}

/// A list being listened to. Never empty; `at` is the current message.
#[derive(Debug)]
pub(in crate::ivr) struct List {
    pub folder: Folder,
    pub now: Timestamp,
    messages: Vec<Listed>,
    at: usize,
    /// Where the messages after these begin, if there are any: the place of the last one when it was listed.
    more_after: Option<ListPlace>,
}

impl List {
    /// The list that begins with `page`, unless it is empty.
    pub fn new(folder: Folder, page: Page) -> Option<Self> {
        let mut list = Self { folder, now: page.now, messages: vec![], at: 0, more_after: None };
        list.extend(page).then_some(list)
    }

    /// Adds the messages at the end that are not in the list yet, and answers whether there were any. Each save moves a message to the
    /// end of what the mailbox holds, where a later page finds it once more.
    pub fn extend(&mut self, page: Page) -> bool {
        self.now = page.now;
        self.more_after = page.messages.last().filter(|_| page.more).map(|last| last.message.place());
        let known = self.messages.len();
        for listed in page.messages {
            if !self.messages[..known].iter().any(|it| it.message.id == listed.message.id) {
                self.messages.push(listed);
            }
        }
        self.messages.len() > known
    }

    pub fn current(&self) -> &Message {
        &self.messages[self.at].message
    }

    /// The recording of its caller's name, if the caller has a mailbox here.
    pub fn current_caller_name(&self) -> Option<&AudioKey> {
        self.messages[self.at].caller_name.as_ref()
    }

    /// Where messages go on that are not known yet, if that is what comes next.
    pub fn turns_after(&self) -> Option<&ListPlace> {
        self.more_after.as_ref().filter(|_| self.at + 1 == self.messages.len())
    }

    pub fn is_at_last(&self) -> bool {
        self.at + 1 == self.messages.len() && self.more_after.is_none()
    }

    /// Goes to the next message, if there is one and it is known.
    pub fn advance(&mut self) -> bool {
        let moves = self.at + 1 < self.messages.len();
        self.at += usize::from(moves);
        moves
    }

    /// Goes back to the previous message, if there is one.
    pub fn go_back(&mut self) -> bool {
        let moves = self.at > 0;
        self.at -= usize::from(moves);
        moves
    }

    pub fn replace_current(&mut self, message: Message) {
        self.messages[self.at].message = message;
    }

    /// Forgets the current message; the next one is current, or else the last. Answers whether any is left.
    pub fn forget_current(&mut self) -> bool {
        self.messages.remove(self.at);
        self.at = self.at.min(self.messages.len().saturating_sub(1));
        !self.messages.is_empty()
    }

    /// First, next, previous or last; nothing is said about the only message.
    pub fn position(&self, otherwise: PromptId) -> Vec<Item> {
        match (self.at, self.is_at_last()) {
            (0, true) => vec![],
            (0, false) => say([PromptId::FirstMessage]),
            (_, true) => say([PromptId::LastMessage]),
            (_, false) => say([otherwise]),
        }
    }
}
