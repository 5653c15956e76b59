//! A whole session in each language as somebody hears it: the joints between prompts, the loudness, and the words, written down by a
//! speech recogniser.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use afterbeep::{
    audio::{law::Law, wav},
    domain::{language::Grammar, time::Timestamp},
    ivr::PromptId::{self, *},
    phone::listen,
};
use serde_json::json;

use crate::support::{
    caller::{Caller, PATIENCE, through},
    server::{PASSCODE, Server},
};

/// Gaps between joined prompts, in milliseconds.
const GAPS: std::ops::RangeInclusive<usize> = 60..=250;
/// How much louder than the softest prompt the loudest may be, in dB.
const EVEN: f64 = 2.0;
/// Samples in a millisecond.
const MS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_session_sounds_as_if_somebody_spoke_and_is_understood_in_every_language() {
    let [english, french, spanish] = Grammar::ALL.map(session);
    let (english, french, spanish) = tokio::join!(english, french, spanish);
    let sessions = [english, french, spanish];

    let heard = transcribe(&sessions);

    for (session, heard) in sessions.iter().zip(heard) {
        session.expect_even_joints();
        let (said, heard) = (plain(&session.words(), session.grammar), plain(&heard, session.grammar));
        let errors = distance(&said, &heard);
        let most = if session.grammar == Grammar::English { 5 } else { 15 };
        println!("{:?}: {errors} errors in {} words", session.grammar, said.len());
        assert!(
            errors * 100 <= most * said.len(),
            "{:?}: {errors} errors in {} words\nsaid  {}\nheard {}",
            session.grammar,
            said.len(),
            said.join(" "),
            heard.join(" ")
        );
    }
}

/// Logs in, hears the counts, one message and its envelope, saves it, and looks at the options.
async fn session(grammar: Grammar) -> Session {
    let server = Server::start(&format!("[mailbox]\nlanguage = {:?}\n", grammar.code()));
    server.add_mailbox("1001", &[]);
    let message = prompt(Welcome, grammar);
    server.leave_message(&server.store().await, "1001", &message, yesterday_at_21_41()).await;
    let stamp: &[PromptId] = match grammar {
        Grammar::English => &[YesterdayAt, Number9, Number41, Pm, From],
        Grammar::French => &[YesterdayAt, Hour21, Number41F, From],
        Grammar::Spanish => &[YesterdayAt, Hour21, Past41, From],
    };
    let number: &[PromptId] = &[Digit2, Digit0, Digit2, Digit5, Digit5, Digit5, Digit0, Digit1, Digit4, Digit3End];
    let seconds = message.len().div_ceil(8000);
    let seconds = PromptId::named(&format!("number-{seconds}")).unwrap();

    let mut session = Session { caller: Caller::dial(&server, "*98").await, grammar, heard: vec![], said: vec![] };
    session.hears(&[EnterMailbox]).await;
    session.presses("1001#").await;
    session.hears(&[EnterPasscode]).await;
    session.presses(&format!("{PASSCODE}#")).await;
    session.hears(&[New1]).await;
    session.hears(&[ToHearNew, Press1, ToOptions, Press0, ToHelp, PressStar, ToLeave, PressPound]).await;
    session.presses("1").await;
    session.hears(stamp).await;
    for group in [&number[..3], &number[3..6], &number[6..]] {
        session.hears(group).await;
    }
    session.hears(&[Welcome]).await;
    let menu = [ToDelete, Press7, ToSave, Press9, ToMoreChoices, PressStar, ToMainMenu, PressPound];
    session.hears(&menu).await;
    session.presses("3").await;
    session.hears(stamp).await;
    for group in [&number[..3], &number[3..6], &number[6..]] {
        session.hears(group).await;
    }
    session.hears(&[Length, seconds, SecondsLong]).await;
    session.presses("9").await;
    session.hears(&[&[MessageSaved], &menu[..]].concat()).await;
    session.presses("#").await;
    session.hears(&[NoNewBut, AndSaved1]).await;
    session.hears(&[ToHearSaved, Press2, ToOptions, Press0]).await;
    session.presses("0").await;
    session.hears(&[ToRecordGreeting, Press1, ToRecordName, Press2, ToChangePasscode, Press3]).await;
    session.presses("#").await;
    session.hears(&[NoNewBut]).await;
    session.presses("#").await;
    session.hears(&[Goodbye]).await;
    session.heard = session.caller.call.line().heard();
    server.expect_tidiness();
    session
}

/// So that it is said as "yesterday at 21:41" whenever the test runs, but within two hours after midnight, too.
fn yesterday_at_21_41() -> Timestamp {
    let now = Timestamp::from(chrono::Utc::now());
    let midnight = Timestamp::from_millis(now.as_millis() - now.as_millis().rem_euclid(24 * 60 * 60 * 1000));
    midnight.before(Duration::from_mins(139))
}

/// What was heard, and where each prompt was in it.
struct Session {
    caller: Caller,
    grammar: Grammar,
    heard: Vec<i16>,
    /// Each prompt, where it began, and whether it followed the one before without a pause of its own.
    said: Vec<(PromptId, usize, bool)>,
}

impl Session {
    async fn presses(&mut self, keys: &str) {
        self.caller.presses(keys).await;
    }

    /// Listens to prompts that follow each other without a pause.
    async fn hears(&mut self, prompts: &[PromptId]) {
        let mut at = 0;
        for (place, id) in prompts.iter().enumerate() {
            let known = prompt(*id, self.grammar);
            if place == 0 {
                at = self.caller.hears_audio(id.name(), &known).await;
                self.said.push((*id, at, false));
            } else {
                at = self.finds(*id, &known, at).await;
                self.said.push((*id, at, true));
            }
            at += known.len();
        }
    }

    /// Waits until the prompt that must follow at once is over; a frame may be filled up before it.
    async fn finds(&mut self, id: PromptId, known: &[i16], at: usize) -> usize {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let (first, last) = (at.saturating_sub(30 * MS), at + 60 * MS + known.len());
        loop {
            let heard = self.caller.call.line().heard();
            if heard.len() >= last || tokio::time::Instant::now() >= deadline {
                let found =
                    listen::find(known, &heard[first..last.min(heard.len())]).unwrap_or(listen::Match { at: 0, likeness: 0.0 });
                assert!(found.likeness > 0.95, "{:?}: {} did not follow: {found:?}", self.grammar, id.name());
                self.caller.has_listened_to(first + found.at + known.len());
                return first + found.at;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The words of everything that was said.
    fn words(&self) -> String {
        let words = |id: &PromptId| wav::comment(id.embedded(self.grammar).unwrap()).unwrap();
        self.said.iter().map(|(id, _, _)| words(id)).collect::<Vec<_>>().join(" ")
    }

    /// Everything that was said without the waiting between, in parts that a recogniser takes at once: it looks at 30 s.
    fn chunks(&self) -> Vec<Vec<i16>> {
        let mut chunks: Vec<Vec<i16>> = vec![];
        let phrases = self.said.chunk_by(|_, (_, _, joined)| *joined);
        for phrase in phrases {
            let (first, last) = (&phrase[0], &phrase[phrase.len() - 1]);
            let said = &self.heard[first.1..last.1 + prompt(last.0, self.grammar).len()];
            match chunks.last_mut() {
                Some(chunk) if chunk.len() + said.len() < 22_000 * MS => chunk.extend_from_slice(said),
                _ => chunks.push([&[0; 300 * MS][..], said].concat()),
            }
            chunks.last_mut().expect("one was just there").extend([0; 400 * MS]);
        }
        chunks
    }

    /// Gaps are those of somebody speaking, nothing clicks, and everything is about as loud.
    fn expect_even_joints(&self) {
        let language = self.grammar;
        let mut levels = Vec::new();
        let mut gaps = Vec::new();
        let mut steepest = 0;
        for (place, (id, at, joined)) in self.said.iter().enumerate() {
            let own = prompt(*id, language);
            let here = &self.heard[*at..at + own.len()];
            levels.push((level(here), id.name()));
            steepest = steepest.max(step(&through(Law::Mu, &own)));
            if *joined {
                let (before, start, _) = self.said[place - 1];
                let end = start + prompt(before, language).len();
                let gap = end + at.saturating_sub(end) - (start + sound(&self.heard[start..end]).1) + sound(here).0;
                gaps.push((gap / MS, before.name(), id.name()));
            }
        }
        let uneven: Vec<_> = gaps.iter().filter(|(gap, ..)| !GAPS.contains(gap)).collect();
        let (softest, loudest) = (
            levels.iter().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap(),
            levels.iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap(),
        );
        let (first, last) = (self.said[0].1, self.said[self.said.len() - 1].1);
        println!(
            "{language:?}: gaps {} to {} ms, levels {softest:?} to {loudest:?}, steps {} of {steepest}",
            gaps.iter().min().unwrap().0,
            gaps.iter().max().unwrap().0,
            step(&self.heard[first..last])
        );
        assert!(uneven.is_empty(), "{language:?}: gaps in milliseconds {uneven:?}");
        assert!(loudest.0 - softest.0 <= EVEN, "{language:?}: {softest:?} {loudest:?}");
        assert!(step(&self.heard[first..last]) <= steepest, "{language:?}: something clicks");
    }
}

/// The audio of a prompt.
fn prompt(id: PromptId, grammar: Grammar) -> Vec<i16> {
    wav::read(id.embedded(grammar).expect("the language needs it"), PATIENCE).expect("an embedded prompt")
}

/// The largest difference between neighbouring samples.
fn step(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

/// Mean powers of frames.
fn powers(samples: &[i16], frame: usize) -> Vec<f64> {
    let power =
        |frame: &[i16]| frame.iter().map(|sample| (f64::from(*sample) / 32_768.0).powi(2)).sum::<f64>() / frame.len() as f64;
    samples.chunks_exact(frame).map(power).collect()
}

/// The level of what is not silent, in dB relative to full scale.
fn level(samples: &[i16]) -> f64 {
    let powers = powers(samples, 20 * MS);
    let loudest = powers.iter().copied().fold(0.0, f64::max);
    let active: Vec<f64> = powers.into_iter().filter(|power| *power > loudest * 1e-3).collect();
    10.0 * (active.iter().sum::<f64>() / active.len() as f64).log10()
}

/// Where the sound begins and ends among samples: within 40 dB of the loudest 5 ms.
fn sound(samples: &[i16]) -> (usize, usize) {
    let powers = powers(samples, 5 * MS);
    let loudest = powers.iter().copied().fold(0.0, f64::max);
    let loud = |power: &f64| *power > loudest * 1e-4;
    let first = powers.iter().position(loud).expect("a prompt is not silent");
    let last = powers.iter().rposition(loud).expect("a prompt is not silent");
    (first * 5 * MS, (last + 1) * 5 * MS)
}

/// What a recogniser writes down.
fn transcribe(sessions: &[Session]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/python/bin/python");
    assert!(python.exists(), "the recogniser is not installed: run tests/tools/setup-python.sh once");
    let folder = root.join("target/listening");
    fs::create_dir_all(&folder).unwrap();
    let mut recordings = Vec::new();
    for session in sessions {
        let language = session.grammar.code();
        // Kept for whoever wants to hear it.
        fs::write(folder.join(format!("{language}.wav")), wav::from_samples(&session.heard)).unwrap();
        for (place, chunk) in session.chunks().iter().enumerate() {
            let file = folder.join(format!("{language}-{place}.wav"));
            fs::write(&file, wav::from_samples(chunk)).unwrap();
            recordings.push(json!({ "language": language, "wav": file }));
        }
    }
    let mut recogniser = Command::new(python)
        .arg(root.join("tests/tools/hear.py"))
        .arg(root.join("target"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    recogniser.stdin.take().unwrap().write_all(json!(recordings).to_string().as_bytes()).unwrap();
    let output = recogniser.wait_with_output().unwrap();
    assert!(output.status.success(), "the recogniser failed");
    let mut texts = serde_json::from_slice::<Vec<String>>(&output.stdout).unwrap().into_iter();
    sessions.iter().map(|session| texts.by_ref().take(session.chunks().len()).collect::<Vec<_>>().join(" ")).collect()
}

/// The words without anything that sounds the same when it is written otherwise: numbers are single digits, however they are
/// written, and there are no capitals and no marks.
fn plain(text: &str, grammar: Grammar) -> Vec<String> {
    let text = text.to_lowercase();
    let mut spaced = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if !c.is_alphanumeric() || before.is_ascii_digit() != c.is_ascii_digit() {
            spaced.push(' ');
        }
        if c.is_alphanumeric() {
            spaced.push(c);
        }
        before = c;
    }
    let spoken = format!(" {} ", spaced.split_whitespace().collect::<Vec<_>>().join(" "));
    let same: &[(&str, &str)] = match grammar {
        Grammar::English => {
            &[(" p m ", " pm "), (" voice mail ", " voicemail "), (" mail box ", " mailbox "), (" pass code ", " passcode ")]
        }
        Grammar::French => &[(" h ", " heures "), (" 1 er ", " premier ")],
        Grammar::Spanish => &[],
    };
    let mut spoken = same.iter().fold(spoken, |text, (written, said)| text.replace(written, said));
    for (words, digits) in numbers(grammar) {
        spoken = spoken.replace(&format!(" {words} "), &format!(" {digits} "));
        // A match takes the space that the next one needs.
        spoken = spoken.replace(&format!(" {words} "), &format!(" {digits} "));
    }
    let words = spoken.split_whitespace();
    words
        .flat_map(|word| match word.parse::<u64>() {
            Ok(_) => word.chars().map(String::from).collect(),
            Err(_) => vec![word.to_owned()],
        })
        .collect()
}

/// The numbers below a hundred in words, as the prompts have them, the longest first.
fn numbers(grammar: Grammar) -> Vec<(String, String)> {
    let mut numbers: Vec<(String, String)> = PromptId::ALL
        .iter()
        .filter_map(|id| {
            let digits = id.name().strip_prefix("number-").or(id.name().strip_prefix("digit-"))?.split('-').next()?;
            let words = wav::comment(id.embedded(grammar)?)?.to_lowercase();
            let words: String = words.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
            (digits.len() < 3).then(|| (words.split_whitespace().collect::<Vec<_>>().join(" "), digits.to_owned()))
        })
        .collect();
    if grammar == Grammar::Spanish {
        // In "las veintiuna", which is no prompt of its own.
        numbers.extend([("veintiuna", "21"), ("una", "1")].map(|(words, digits)| (words.to_owned(), digits.to_owned())));
    }
    numbers.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
    numbers
}

/// How many words were put in, left out or taken for others.
fn distance(said: &[String], heard: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (at, word) in said.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (place, other) in heard.iter().enumerate() {
            let changed = diagonal + usize::from(word != other);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[heard.len()]
}

#[test]
fn words_are_compared_however_numbers_are_written() {
    let same = |a: &str, b: &str, grammar| assert_eq!(plain(a, grammar), plain(b, grammar));

    same("Yesterday, at Nine, Forty-one, P.M.", "yesterday at 9:41 pm", Grammar::English);
    same("from Two, Zero, Two.", "from 202", Grammar::English);
    same("Vingt et une heures, Quarante et une,", "21h41", Grammar::French);
    same("A las veintiuna y cuarenta y uno,", "a las 21 y 41", Grammar::Spanish);
    assert_eq!(distance(&plain("one two three", Grammar::English), &plain("one too", Grammar::English)), 2);
}
