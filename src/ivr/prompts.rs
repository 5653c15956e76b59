//! The prompts: one audio file each in every language that needs it, embedded. Their texts are in `prompts/*/prompts.tsv`.

use crate::domain::language::Grammar;

macro_rules! prompts {
    (
        [english] $($english:ident = $english_file:literal,)*
        [french] $($french:ident = $french_file:literal,)*
        [spanish] $($spanish:ident = $spanish_file:literal,)*
        [english_and_french] $($no_spanish:ident = $no_spanish_file:literal,)*
        [french_and_spanish] $($no_english:ident = $no_english_file:literal,)*
        [every_language] $($name:ident = $file:literal,)*
    ) => {
        /// A prompt of ours: one audio file in each language whose grammar needs it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        #[allow(missing_docs, reason = "the words of each prompt are in prompts.tsv")]
        pub enum PromptId {
            $($english,)* $($french,)* $($spanish,)* $($no_spanish,)* $($no_english,)* $($name,)*
        }

        impl PromptId {
            /// All prompts of all languages, in the order of their numbers.
            pub const ALL: &[Self] = &[
                $(Self::$english,)* $(Self::$french,)* $(Self::$spanish,)*
                $(Self::$no_spanish,)* $(Self::$no_english,)* $(Self::$name,)*
            ];

            /// The name of the prompt and, with `.wav`, of its file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$english => $english_file,)*
                    $(Self::$french => $french_file,)*
                    $(Self::$spanish => $spanish_file,)*
                    $(Self::$no_spanish => $no_spanish_file,)*
                    $(Self::$no_english => $no_english_file,)*
                    $(Self::$name => $file,)*
                }
            }
        }

        type Embedded = &'static [(PromptId, &'static [u8])];

        static ENGLISH: Embedded = embedded!("en": $($english = $english_file,)* $($no_spanish = $no_spanish_file,)* $($name = $file,)*);
        static FRENCH: Embedded = embedded!(
            "fr": $($french = $french_file,)* $($no_spanish = $no_spanish_file,)* $($no_english = $no_english_file,)* $($name = $file,)*
        );
        static SPANISH: Embedded =
            embedded!("es": $($spanish = $spanish_file,)* $($no_english = $no_english_file,)* $($name = $file,)*);
    };
}

/// The WAVs (16 kHz, 16 bit, mono) of one language, in the order of their prompts' numbers.
macro_rules! embedded {
    ($language:literal: $($name:ident = $file:literal,)*) => {
        &[$((PromptId::$name, include_bytes!(concat!("../../prompts/", $language, "/", $file, ".wav"))),)*]
    };
}

impl PromptId {
    /// The prompt with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|prompt| prompt.name() == name)
    }

    /// The file of the prompt inside its language's folder.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{}.wav", self.name())
    }

    /// Our WAV of the prompt in the language whose grammar this is; `None` if that language has no use for it.
    #[must_use]
    pub fn embedded(self, grammar: Grammar) -> Option<&'static [u8]> {
        let table = table(grammar);
        table.binary_search_by_key(&self, |(prompt, _)| *prompt).ok().map(|at| table[at].1)
    }

    /// Our WAV in English; empty if English has no use for the prompt.
    #[must_use]
    pub fn wav(self) -> &'static [u8] {
        self.embedded(Grammar::English).unwrap_or_default()
    }

    /// Whether phrases of this grammar are made of it, among others.
    #[must_use]
    pub fn is_needed_by(self, grammar: Grammar) -> bool {
        self.embedded(grammar).is_some()
    }
}

fn table(grammar: Grammar) -> Embedded {
    match grammar {
        Grammar::English => ENGLISH,
        Grammar::French => FRENCH,
        Grammar::Spanish => SPANISH,
    }
}

prompts! {
    [english]
    Oh1 = "oh-1",
    Oh2 = "oh-2",
    Oh3 = "oh-3",
    Oh4 = "oh-4",
    Oh5 = "oh-5",
    Oh6 = "oh-6",
    Oh7 = "oh-7",
    Oh8 = "oh-8",
    Oh9 = "oh-9",
    Am = "am",
    Pm = "pm",
    HundredHours = "hundred-hours",
    [french]
    New6 = "new-6",
    New6And = "new-6-and",
    AndSaved6 = "and-saved-6",
    New7 = "new-7",
    New7And = "new-7-and",
    AndSaved7 = "and-saved-7",
    New8 = "new-8",
    New8And = "new-8-and",
    AndSaved8 = "and-saved-8",
    New9 = "new-9",
    New9And = "new-9-and",
    AndSaved9 = "and-saved-9",
    New10 = "new-10",
    New10And = "new-10-and",
    AndSaved10 = "and-saved-10",
    Number1F = "number-1-f",
    Number21F = "number-21-f",
    Number31F = "number-31-f",
    Number41F = "number-41-f",
    Number51F = "number-51-f",
    Number61F = "number-61-f",
    Number81F = "number-81-f",
    [spanish]
    Past1 = "past-1",
    Past2 = "past-2",
    Past3 = "past-3",
    Past4 = "past-4",
    Past5 = "past-5",
    Past6 = "past-6",
    Past7 = "past-7",
    Past8 = "past-8",
    Past9 = "past-9",
    Past10 = "past-10",
    Past11 = "past-11",
    Past12 = "past-12",
    Past13 = "past-13",
    Past14 = "past-14",
    Past15 = "past-15",
    Past16 = "past-16",
    Past17 = "past-17",
    Past18 = "past-18",
    Past19 = "past-19",
    Past20 = "past-20",
    Past21 = "past-21",
    Past22 = "past-22",
    Past23 = "past-23",
    Past24 = "past-24",
    Past25 = "past-25",
    Past26 = "past-26",
    Past27 = "past-27",
    Past28 = "past-28",
    Past29 = "past-29",
    Past30 = "past-30",
    Past31 = "past-31",
    Past32 = "past-32",
    Past33 = "past-33",
    Past34 = "past-34",
    Past35 = "past-35",
    Past36 = "past-36",
    Past37 = "past-37",
    Past38 = "past-38",
    Past39 = "past-39",
    Past40 = "past-40",
    Past41 = "past-41",
    Past42 = "past-42",
    Past43 = "past-43",
    Past44 = "past-44",
    Past45 = "past-45",
    Past46 = "past-46",
    Past47 = "past-47",
    Past48 = "past-48",
    Past49 = "past-49",
    Past50 = "past-50",
    Past51 = "past-51",
    Past52 = "past-52",
    Past53 = "past-53",
    Past54 = "past-54",
    Past55 = "past-55",
    Past56 = "past-56",
    Past57 = "past-57",
    Past58 = "past-58",
    Past59 = "past-59",
    PastQuarter = "past-quarter",
    PastHalf = "past-half",
    Hours = "hours",
    Number100And = "number-100-and",
    Number1M = "number-1-m",
    Number21M = "number-21-m",
    Number31M = "number-31-m",
    Number41M = "number-41-m",
    Number51M = "number-51-m",
    Number61M = "number-61-m",
    Number71M = "number-71-m",
    Number81M = "number-81-m",
    Number91M = "number-91-m",
    [english_and_french]
    At = "at",
    [french_and_spanish]
    Hour0 = "hour-0",
    Hour1 = "hour-1",
    Hour2 = "hour-2",
    Hour3 = "hour-3",
    Hour4 = "hour-4",
    Hour5 = "hour-5",
    Hour6 = "hour-6",
    Hour7 = "hour-7",
    Hour8 = "hour-8",
    Hour9 = "hour-9",
    Hour10 = "hour-10",
    Hour11 = "hour-11",
    Hour12 = "hour-12",
    Hour13 = "hour-13",
    Hour14 = "hour-14",
    Hour15 = "hour-15",
    Hour16 = "hour-16",
    Hour17 = "hour-17",
    Hour18 = "hour-18",
    Hour19 = "hour-19",
    Hour20 = "hour-20",
    Hour21 = "hour-21",
    Hour22 = "hour-22",
    Hour23 = "hour-23",
    InTheMorning = "in-the-morning",
    InTheAfternoon = "in-the-afternoon",
    InTheEvening = "in-the-evening",
    Number61 = "number-61",
    Number62 = "number-62",
    Number63 = "number-63",
    Number64 = "number-64",
    Number65 = "number-65",
    Number66 = "number-66",
    Number67 = "number-67",
    Number68 = "number-68",
    Number69 = "number-69",
    Number71 = "number-71",
    Number72 = "number-72",
    Number73 = "number-73",
    Number74 = "number-74",
    Number75 = "number-75",
    Number76 = "number-76",
    Number77 = "number-77",
    Number78 = "number-78",
    Number79 = "number-79",
    Number81 = "number-81",
    Number82 = "number-82",
    Number83 = "number-83",
    Number84 = "number-84",
    Number85 = "number-85",
    Number86 = "number-86",
    Number87 = "number-87",
    Number88 = "number-88",
    Number89 = "number-89",
    Number91 = "number-91",
    Number92 = "number-92",
    Number93 = "number-93",
    Number94 = "number-94",
    Number95 = "number-95",
    Number96 = "number-96",
    Number97 = "number-97",
    Number98 = "number-98",
    Number99 = "number-99",
    FromPhone = "from-phone",
    [every_language]
    Goodbye = "goodbye",
    OneMoment = "one-moment",
    SomethingWrong = "something-wrong",
    InvalidChoice = "invalid-choice",
    Reached = "reached",
    ReachedNumber = "reached-number",
    NobodyAvailable = "nobody-available",
    LeaveMessage = "leave-message",
    MailboxFull = "mailbox-full",
    NoMessagesHere = "no-messages-here",
    CannotRecord = "cannot-record",
    TooShort = "too-short",
    LongestReached = "longest-reached",
    MessageSent = "message-sent",
    MessageCancelled = "message-cancelled",
    BecameFull = "became-full",
    ToAdd = "to-add",
    RecordingPaused = "recording-paused",
    ToGoOn = "to-go-on",
    RestNotRecorded = "rest-not-recorded",
    NotSaved = "not-saved",
    NothingSaid = "nothing-said",
    NotLeft = "not-left",
    EnterMailbox = "enter-mailbox",
    EnterPasscode = "enter-passcode",
    LoginWrong = "login-wrong",
    EnterPasscodeAgain = "enter-passcode-again",
    OtherMailbox = "other-mailbox",
    TooManyAttempts = "too-many-attempts",
    MailboxGone = "mailbox-gone",
    Press0 = "press-0",
    Press1 = "press-1",
    Press2 = "press-2",
    Press3 = "press-3",
    Press4 = "press-4",
    Press5 = "press-5",
    Press6 = "press-6",
    Press7 = "press-7",
    Press8 = "press-8",
    Press9 = "press-9",
    PressStar = "press-star",
    PressPound = "press-pound",
    ToHearNew = "to-hear-new",
    ToHearSaved = "to-hear-saved",
    ToOptions = "to-options",
    ToHelp = "to-help",
    ToLeave = "to-leave",
    ToPrevious = "to-previous",
    ToRepeat = "to-repeat",
    ToNext = "to-next",
    ToDelete = "to-delete",
    ToRestore = "to-restore",
    ToSave = "to-save",
    ToEnvelope = "to-envelope",
    ToBack = "to-back",
    ToAhead = "to-ahead",
    ToPause = "to-pause",
    ToMainMenu = "to-main-menu",
    ToRecordGreeting = "to-record-greeting",
    ToRecordName = "to-record-name",
    ToChangePasscode = "to-change-passcode",
    ToSend = "to-send",
    ToListen = "to-listen",
    ToRecordAgain = "to-record-again",
    ToCancel = "to-cancel",
    ToKeep = "to-keep",
    ToMoreChoices = "to-more-choices",
    WhilePlaying = "while-playing",
    NoMessages = "no-messages",
    NoNew = "no-new",
    NoNewBut = "no-new-but",
    NoSaved = "no-saved",
    New1 = "new-1",
    New1And = "new-1-and",
    AndSaved1 = "and-saved-1",
    New2 = "new-2",
    New2And = "new-2-and",
    AndSaved2 = "and-saved-2",
    New3 = "new-3",
    New3And = "new-3-and",
    AndSaved3 = "and-saved-3",
    New4 = "new-4",
    New4And = "new-4-and",
    AndSaved4 = "and-saved-4",
    New5 = "new-5",
    New5And = "new-5-and",
    AndSaved5 = "and-saved-5",
    YouHave = "you-have",
    NewMessages = "new-messages",
    NewMessagesAnd = "new-messages-and",
    And = "and",
    SavedMessages = "saved-messages",
    NearlyFull = "nearly-full",
    Full = "full",
    FirstMessage = "first-message",
    NextMessage = "next-message",
    PreviousMessage = "previous-message",
    LastMessage = "last-message",
    IsDeleted = "is-deleted",
    MessageDeleted = "message-deleted",
    MessageRestored = "message-restored",
    MessageSaved = "message-saved",
    EndMissing = "end-missing",
    CannotPlay = "cannot-play",
    MessageGone = "message-gone",
    NoMoreMessages = "no-more-messages",
    AtFirstMessage = "at-first-message",
    NotDone = "not-done",
    From = "from",
    FromPrivateCaller = "from-private-caller",
    FromUnknownNumber = "from-unknown-number",
    TodayAt = "today-at",
    YesterdayAt = "yesterday-at",
    MondayAt = "monday-at",
    TuesdayAt = "tuesday-at",
    WednesdayAt = "wednesday-at",
    ThursdayAt = "thursday-at",
    FridayAt = "friday-at",
    SaturdayAt = "saturday-at",
    SundayAt = "sunday-at",
    January = "january",
    February = "february",
    March = "march",
    April = "april",
    May = "may",
    June = "june",
    July = "july",
    August = "august",
    September = "september",
    October = "october",
    November = "november",
    December = "december",
    Day1 = "day-1",
    Day2 = "day-2",
    Day3 = "day-3",
    Day4 = "day-4",
    Day5 = "day-5",
    Day6 = "day-6",
    Day7 = "day-7",
    Day8 = "day-8",
    Day9 = "day-9",
    Day10 = "day-10",
    Day11 = "day-11",
    Day12 = "day-12",
    Day13 = "day-13",
    Day14 = "day-14",
    Day15 = "day-15",
    Day16 = "day-16",
    Day17 = "day-17",
    Day18 = "day-18",
    Day19 = "day-19",
    Day20 = "day-20",
    Day21 = "day-21",
    Day22 = "day-22",
    Day23 = "day-23",
    Day24 = "day-24",
    Day25 = "day-25",
    Day26 = "day-26",
    Day27 = "day-27",
    Day28 = "day-28",
    Day29 = "day-29",
    Day30 = "day-30",
    Day31 = "day-31",
    Noon = "noon",
    Midnight = "midnight",
    Length = "length",
    Minute = "minute",
    Minutes = "minutes",
    SecondLong = "second-long",
    SecondsLong = "seconds-long",
    MinuteLong = "minute-long",
    MinutesLong = "minutes-long",
    RecordGreeting = "record-greeting",
    RecordName = "record-name",
    NothingRecorded = "nothing-recorded",
    YouRecorded = "you-recorded",
    GreetingSaved = "greeting-saved",
    NameSaved = "name-saved",
    NotKept = "not-kept",
    NewPasscode = "new-passcode",
    ConfirmPasscode = "confirm-passcode",
    PasscodesDiffer = "passcodes-differ",
    PasscodeChanged = "passcode-changed",
    PasscodeNeeds = "passcode-needs",
    Digits = "digits",
    PasscodeTooLong = "passcode-too-long",
    PasscodeRepeats = "passcode-repeats",
    PasscodeRun = "passcode-run",
    PasscodeLine = "passcode-line",
    PasscodeIsNumber = "passcode-is-number",
    PasscodeIsOld = "passcode-is-old",
    Welcome = "welcome",
    MailboxReady = "mailbox-ready",
    Digit0 = "digit-0",
    Digit1 = "digit-1",
    Digit2 = "digit-2",
    Digit3 = "digit-3",
    Digit4 = "digit-4",
    Digit5 = "digit-5",
    Digit6 = "digit-6",
    Digit7 = "digit-7",
    Digit8 = "digit-8",
    Digit9 = "digit-9",
    Digit0End = "digit-0-end",
    Digit1End = "digit-1-end",
    Digit2End = "digit-2-end",
    Digit3End = "digit-3-end",
    Digit4End = "digit-4-end",
    Digit5End = "digit-5-end",
    Digit6End = "digit-6-end",
    Digit7End = "digit-7-end",
    Digit8End = "digit-8-end",
    Digit9End = "digit-9-end",
    Number1 = "number-1",
    Number2 = "number-2",
    Number3 = "number-3",
    Number4 = "number-4",
    Number5 = "number-5",
    Number6 = "number-6",
    Number7 = "number-7",
    Number8 = "number-8",
    Number9 = "number-9",
    Number10 = "number-10",
    Number11 = "number-11",
    Number12 = "number-12",
    Number13 = "number-13",
    Number14 = "number-14",
    Number15 = "number-15",
    Number16 = "number-16",
    Number17 = "number-17",
    Number18 = "number-18",
    Number19 = "number-19",
    Number20 = "number-20",
    Number21 = "number-21",
    Number22 = "number-22",
    Number23 = "number-23",
    Number24 = "number-24",
    Number25 = "number-25",
    Number26 = "number-26",
    Number27 = "number-27",
    Number28 = "number-28",
    Number29 = "number-29",
    Number30 = "number-30",
    Number31 = "number-31",
    Number32 = "number-32",
    Number33 = "number-33",
    Number34 = "number-34",
    Number35 = "number-35",
    Number36 = "number-36",
    Number37 = "number-37",
    Number38 = "number-38",
    Number39 = "number-39",
    Number40 = "number-40",
    Number41 = "number-41",
    Number42 = "number-42",
    Number43 = "number-43",
    Number44 = "number-44",
    Number45 = "number-45",
    Number46 = "number-46",
    Number47 = "number-47",
    Number48 = "number-48",
    Number49 = "number-49",
    Number50 = "number-50",
    Number51 = "number-51",
    Number52 = "number-52",
    Number53 = "number-53",
    Number54 = "number-54",
    Number55 = "number-55",
    Number56 = "number-56",
    Number57 = "number-57",
    Number58 = "number-58",
    Number59 = "number-59",
    Number60 = "number-60",
    Number70 = "number-70",
    Number80 = "number-80",
    Number90 = "number-90",
    Number100 = "number-100",
    Number200 = "number-200",
    Number300 = "number-300",
    Number400 = "number-400",
    Number500 = "number-500",
    Number600 = "number-600",
    Number700 = "number-700",
    Number800 = "number-800",
    Number900 = "number-900",
    Thousand = "thousand",
    NotAccepted = "not-accepted",
    NotAnonymous = "not-anonymous",
    LastCaller = "last-caller",
    NoLastCaller = "no-last-caller",
    ToBlock = "to-block",
    CallerBlocked = "caller-blocked",
    AnonymousRefused = "anonymous-refused",
    AnonymousAccepted = "anonymous-accepted",
    RecordBusy = "record-busy",
    RecordNoAnswer = "record-no-answer",
    RecordTemporary = "record-temporary",
    RecordPhrase = "record-phrase",
    NothingHeard = "nothing-heard",
    TooLoud = "too-loud",
    ToRecordBusy = "to-record-busy",
    ToRecordTemporary = "to-record-temporary",
    ToGreetings = "to-greetings",
    ToLastAccess = "to-last-access",
    ToAdminister = "to-administer",
    ToTheGreeting = "to-the-greeting",
    ToTheBusy = "to-the-busy",
    ToTheNoAnswer = "to-the-no-answer",
    ToTheTemporary = "to-the-temporary",
    ToTheName = "to-the-name",
    NoRecording = "no-recording",
    ToHearIt = "to-hear-it",
    ToRecordIt = "to-record-it",
    ToBringBack = "to-bring-back",
    ToRemoveIt = "to-remove-it",
    ToSetEnd = "to-set-end",
    ToGoBack = "to-go-back",
    BroughtBack = "brought-back",
    RecordingRemoved = "recording-removed",
    RecordingKept = "recording-kept",
    EnterDays = "enter-days",
    LastDay = "last-day",
    TemporaryOn = "temporary-on",
    ToEndTemporary = "to-end-temporary",
    TemporaryOff = "temporary-off",
    LastOpened = "last-opened",
    FromOwnPhone = "from-own-phone",
    NeverOpened = "never-opened",
    WrongPasscodes = "wrong-passcodes",
    EnterOtherMailbox = "enter-other-mailbox",
    NoSuchMailbox = "no-such-mailbox",
    MailboxIs = "mailbox-is",
    ToReset = "to-reset",
    NewPasscodeIs = "new-passcode-is",
    ToHearAgain = "to-hear-again",
    ToResetPasscode = "to-reset-passcode",
    ToPhraseGreeting = "to-phrase-greeting",
    ToPhraseWelcome = "to-phrase-welcome",
    ToPhraseNoMailbox = "to-phrase-no-mailbox",
    ToForward = "to-forward",
    ToReply = "to-reply",
    ToCompose = "to-compose",
    ToBroadcast = "to-broadcast",
    ToShared = "to-shared",
    ToIntroduce = "to-introduce",
    ToForwardNow = "to-forward-now",
    EnterAddressee = "enter-addressee",
    AnotherAddressee = "another-addressee",
    AddresseeUnknown = "addressee-unknown",
    AddresseeRemoved = "addressee-removed",
    NoMoreAddressees = "no-more-addressees",
    MailboxNumber = "mailbox-number",
    ListNumber = "list-number",
    ReplyTo = "reply-to",
    NobodyToReplyTo = "nobody-to-reply-to",
    PrivateNotForwarded = "private-not-forwarded",
    RecordIntroduction = "record-introduction",
    RecordMessage = "record-message",
    RecordBroadcast = "record-broadcast",
    SentTo1 = "sent-to-1",
    SentTo = "sent-to",
    Mailboxes = "mailboxes",
    NotSentTo = "not-sent-to",
    NotSentToFull = "not-sent-to-full",
    SentToNobody = "sent-to-nobody",
    SentToEverybody = "sent-to-everybody",
    ForwardedMessage = "forwarded-message",
    ReplyMessage = "reply-message",
    BroadcastMessage = "broadcast-message",
    HasNew1 = "has-new-1",
    HasNew = "has-new",
    ForMailbox = "for-mailbox",
    ForOwnMailbox = "for-own-mailbox",
    InMailbox = "in-mailbox",
    ToMarkUrgent = "to-mark-urgent",
    ToMarkPrivate = "to-mark-private",
    MarkedUrgent = "marked-urgent",
    NotUrgent = "not-urgent",
    MarkedPrivate = "marked-private",
    NotPrivate = "not-private",
    ToOperator = "to-operator",
    ToCancelMessage = "to-cancel-message",
    Connecting = "connecting",
    OperatorUnavailable = "operator-unavailable",
    ToCallBack = "to-call-back",
    CallBackNumber = "call-back-number",
    ToCallNumber = "to-call-number",
    CallBackOff = "call-back-off",
    CallBackNoNumber = "call-back-no-number",
    CallBackUnverified = "call-back-unverified",
    CallBackNotAllowed = "call-back-not-allowed",
    CallBackTooOften = "call-back-too-often",
    NotConnected = "not-connected",
    ToHearDeleted = "to-hear-deleted",
    NoDeleted = "no-deleted",
    CannotRestore = "cannot-restore",
    ToKeepAsNew = "to-keep-as-new",
    KeptAsNew = "kept-as-new",
    ToStart = "to-start",
    ToEnd = "to-end",
    ToSlower = "to-slower",
    ToFaster = "to-faster",
    ToNormalSpeed = "to-normal-speed",
    ToLouder = "to-louder",
    ToSofter = "to-softer",
    ToKeptUntil = "to-kept-until",
    KeptUntil = "kept-until",
    ToMail = "to-mail",
    MailIsSent = "mail-is-sent",
    NoMailAddress = "no-mail-address",
    ToDeleteAndBlock = "to-delete-and-block",
    CannotBlock = "cannot-block",
    UrgentMessage = "urgent-message",
    PrivateMessage = "private-message",
    ToNumber = "to-number",
    ItIsUrgent = "it-is-urgent",
    OneIsUrgent = "one-is-urgent",
    AllAreUrgent = "all-are-urgent",
    AreUrgent = "are-urgent",
    FromName = "from-name",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn code_tables_and_files_of_every_language_name_the_same_prompts() {
        for grammar in Grammar::ALL {
            let code: BTreeSet<String> = table(grammar).iter().map(|(prompt, _)| prompt.name().to_owned()).collect();
            let files =
                std::fs::read_dir(folder(grammar)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let files: BTreeSet<String> = files.filter_map(|name| Some(name.strip_suffix(".wav")?.to_owned())).collect();

            assert_eq!(code.len(), table(grammar).len());
            assert_eq!(table_of(grammar), code, "{grammar:?}");
            assert_eq!(files, code, "{grammar:?}");
        }
    }

    #[test]
    fn every_prompt_is_found_by_its_name_and_its_language() {
        for grammar in Grammar::ALL {
            for (prompt, wav) in table(grammar) {
                assert_eq!(PromptId::named(prompt.name()), Some(*prompt));
                assert_eq!(prompt.embedded(grammar), Some(*wav));
            }
        }
        assert_eq!(PromptId::Pm.embedded(Grammar::Spanish), None);
    }

    #[test]
    fn every_prompt_is_telephone_audio_at_an_even_level() {
        for (prompt, wav) in Grammar::ALL.into_iter().flat_map(table) {
            let mut wav = hound::WavReader::new(*wav).unwrap();
            let spec = wav.spec();
            let samples: Vec<f64> = wav.samples::<i16>().map(|sample| f64::from(sample.unwrap()) / 32768.0).collect();
            let mut power: Vec<f64> =
                samples.as_chunks::<320>().0.iter().map(|frame| frame.iter().map(|s| s * s).sum::<f64>() / 320.0).collect();
            let loudest = power.iter().copied().fold(0.0, f64::max);
            power.retain(|frame| *frame > loudest * 1e-3);
            let level = 10.0 * (power.iter().sum::<f64>() / power.len() as f64).log10();
            let peak = samples.iter().fold(0.0, |peak: f64, sample| peak.max(sample.abs()));

            assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 16_000, 16), "{}", prompt.name());
            assert!((-21.0..=-19.0).contains(&level), "{}: {level} dBFS", prompt.name());
            assert!(peak < 0.72, "{}: peak {peak}", prompt.name());
            assert!(samples[..80].iter().chain(samples.iter().rev().take(80)).all(|s| s.abs() < 0.004), "{}", prompt.name());
        }
    }

    fn folder(grammar: Grammar) -> String {
        format!("{}/prompts/{}", env!("CARGO_MANIFEST_DIR"), grammar.code())
    }

    /// The prompts in the table of a language.
    fn table_of(grammar: Grammar) -> BTreeSet<String> {
        let table = std::fs::read_to_string(format!("{}/prompts.tsv", folder(grammar))).unwrap();
        table.lines().map(|line| line.split_once('\t').unwrap().0.to_owned()).collect()
    }
}
