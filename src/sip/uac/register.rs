//! The telephone's part in authentication and registration: answering challenges, and REGISTER.

use super::*;
use crate::sip::{
    auth,
    wire::{DigestChallenge, Host},
};

/// Who the telephone is, for whoever asks. A password never leaves it: only digests do, and only where a challenge came from.
#[derive(Clone)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Nobody must read the password.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A registration to be made, or taken back.
#[derive(Clone, Debug)]
pub struct Registering {
    /// Where to: the Request-URI, without a user.
    pub registrar: SipUri,
    /// The name to be reached by, and the password if it is asked for.
    pub login: Login,
    /// For how long; zero takes it back.
    pub life: Duration,
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterAnswer {
    /// The final status; 408 when there was none.
    pub status: u16,
    /// How long the telephone is registered for; none when it is not.
    pub life: Option<Duration>,
}

/// A REGISTER that is not answered yet.
#[derive(Debug)]
pub(super) struct Register {
    registering: Registering,
    dialog: Dialog,
    /// Whether a challenge was answered; a second one means that the answer was wrong.
    has_answered: bool,
}

/// What is needed to send an INVITE again, with the answer to a challenge.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) offer: Option<Vec<u8>>,
    pub(super) headers: Vec<Header>,
    pub(super) login: Login,
}

impl Uac {
    /// Begins to register the telephone, along a flow. [`Output::Registered`] tells what became of it.
    pub(in crate::sip) fn register(&mut self, registering: Registering, flow: &Flow, now: Instant) -> CallRef {
        self.latest_call += 1;
        let reference = CallRef(self.latest_call);
        let host = registering.registrar.host.clone().unwrap_or(Host::Ip(flow.remote.ip()));
        let own = NameAddr::new(SipUri::sip(Some(&registering.login.user), host, registering.registrar.port));
        let mut from = own.clone();
        from.params.set("tag", Some(&tag_text(self.random.random())));
        let dialog = Dialog {
            call_id: format!("{:032x}", self.random.random::<u128>()),
            local: from.to_string(),
            remote: own.to_string(),
            remote_tag: String::new(),
            target: registering.registrar.clone(),
            routes: Vec::new(),
            local_sequence: 0,
            remote_sequence: 0,
            flow: *flow,
            is_direct: true,
            is_sips: registering.registrar.scheme == Scheme::Sips,
        };
        self.registers.insert(reference, Register { registering, dialog, has_answered: false });
        self.send_register(reference, None, now);
        reference
    }

    fn send_register(&mut self, reference: CallRef, authorization: Option<Header>, now: Instant) {
        let branch = self.new_branch();
        let Some(register) = self.registers.get_mut(&reference) else { return };
        register.dialog.local_sequence += 1;
        let sequence = register.dialog.local_sequence;
        let flow = register.dialog.path();
        let mut more = vec![
            register.dialog.contact(CONTACT_USER, &flow),
            Header::Expires(register.registering.life.as_secs().to_string().into()),
            CAPABILITIES.allow(),
        ];
        more.extend(authorization);
        let bytes = register.dialog.request(Method::Register, sequence, &branch, more, Vec::new());
        let kind = Kind::Register(ClientRequest::new(bytes.clone(), flow.transport.is_reliable(), now));
        self.start(Client { call: reference, flow, sequence, branch, kind }, "REGISTER", bytes);
    }

    /// Takes the first final answer to a REGISTER.
    pub(super) fn registered(&mut self, reference: CallRef, response: &Response, now: Instant) {
        let random = self.random.random();
        let Some(register) = self.registers.get_mut(&reference) else { return };
        if !std::mem::replace(&mut register.has_answered, true)
            && let Some(authorization) =
                authorization(response, &register.registering.login, "REGISTER", &register.dialog.target, random)
        {
            return self.send_register(reference, Some(authorization), now);
        }
        let status = response.status_code.code();
        let own = register.dialog.contact(CONTACT_USER, &register.dialog.path());
        let own = NameAddr::parse(rsip_value(&own)).map(|own| own.uri).ok();
        let contacts = response.headers.contacts().unwrap_or_default();
        let life = contacts
            .into_iter()
            .find(|contact| Some(&contact.uri) == own.as_ref())
            .and_then(|contact| contact.params.get("expires").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs));
        self.register_is_over(reference, RegisterAnswer { status, life: life.filter(|_| status == 200) });
    }

    pub(super) fn register_is_over(&mut self, reference: CallRef, answer: RegisterAnswer) {
        if self.registers.remove(&reference).is_some() {
            self.outputs.push_back(Output::Registered(reference, answer));
        }
    }

    /// Sends a refused INVITE again, if it was a challenge, and the first one, and there is an answer to it.
    pub(super) fn invites_again(&mut self, reference: CallRef, response: &Response, now: Instant) -> bool {
        let random = self.random.random();
        let Some(call) = self.calls.get_mut(&reference).filter(|call| call.phase == Phase::Calling) else { return false };
        let is_wanted = call.inviting.as_ref().is_some_and(|inviting| inviting.cancel == Cancel::No);
        let Some(Again { offer, mut headers, login }) = call.again.take().filter(|_| is_wanted) else { return false };
        let Some(authorization) = authorization(response, &login, "INVITE", &call.dialog.target, random) else { return false };
        call.inviting = None;
        headers.push(authorization);
        self.invite(reference, offer, headers, now);
        true
    }
}

/// The answer to the first challenge that we can answer; none when there is none, or it asks for more than a digest.
fn authorization(response: &Response, login: &Login, method: &str, uri: &SipUri, random: u64) -> Option<Header> {
    let name = match response.status_code.code() {
        401 => "WWW-Authenticate",
        407 => "Proxy-Authenticate",
        _ => return None,
    };
    let challenges = response.headers.values(name).filter_map(|value| DigestChallenge::parse(value).ok());
    let challenge = challenges.filter(|challenge| challenge.offers_auth).max_by_key(|challenge| challenge.algorithm)?;
    let answer = auth::answer(&challenge, &login.user, &login.password, (method, &uri.to_string()), random);
    Some(match name {
        "Proxy-Authenticate" => Header::Other("Proxy-Authorization".to_owned(), rsip_value(&answer).to_owned()),
        _ => answer,
    })
}

/// The value of a header that we made.
fn rsip_value(header: &Header) -> &str {
    use rsip::headers::UntypedHeader as _;
    match header {
        Header::Authorization(value) => value.value(),
        Header::Contact(value) => value.value(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::DigestCredentials;

    const CHALLENGE: &str = r#"Digest realm="r",nonce="n",algorithm=MD5,qop="auth""#;
    const BETTER: &str = r#"Digest realm="r",nonce="n",algorithm=SHA-256,qop="auth""#;

    #[test]
    fn a_challenge_is_answered_once_in_the_same_dialog_with_the_next_number() {
        let mut test = Test::new();
        test.dials("secret");
        let first = test.sent();
        test.answers(&first, 401, &[("WWW-Authenticate", CHALLENGE), ("WWW-Authenticate", BETTER)]);
        let ack = test.sent();
        let second = test.sent();

        assert_eq!(ack.method, Method::Ack);
        assert_eq!(second.headers.call_id(), first.headers.call_id());
        assert_eq!(second.headers.cseq().unwrap().number, first.headers.cseq().unwrap().number + 1);
        assert_eq!(second.body, first.body);
        let credentials = DigestCredentials::parse(second.headers.value("Authorization").unwrap()).unwrap();
        assert_eq!(credentials.algorithm.name(), "SHA-256");
        assert!(!String::from_utf8(wire::write_request(&second)).unwrap().contains("secret"));

        test.answers(&second, 401, &[("WWW-Authenticate", CHALLENGE)]);
        assert_eq!(test.sent().method, Method::Ack);
        assert!(test.nothing_sent());
        assert!(matches!(test.events.pop(), Some(DialEvent::Rejected { status: 401, .. })));
    }

    #[test]
    fn a_proxy_is_answered_as_a_proxy_and_what_is_no_digest_not_at_all() {
        let mut test = Test::new();
        test.dials("secret");
        let first = test.sent();
        test.answers(&first, 407, &[("Proxy-Authenticate", "Basic realm=\"r\""), ("Proxy-Authenticate", CHALLENGE)]);
        test.sent();
        assert!(test.sent().headers.value("Proxy-Authorization").is_some());
        let mut other = Test::new();
        other.dials("secret");
        let first = other.sent();
        other.answers(
            &first,
            401,
            &[("WWW-Authenticate", "Basic realm=\"r\""), ("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\"")],
        );

        other.sent();
        assert!(other.nothing_sent());
        assert!(matches!(other.events.pop(), Some(DialEvent::Rejected { status: 401, .. })));
    }

    #[test]
    fn a_challenge_to_anything_in_a_call_is_not_answered() {
        for (status, name) in [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate")] {
            let mut test = Test::new();
            test.dials("secret");
            let invite = test.sent();
            test.answers(&invite, 200, &[("Contact", "<sip:vm@192.0.2.9>")]);
            assert_eq!(test.sent().method, Method::Ack);

            let mut asked = Vec::new();
            let info = DialCommand::Info { content_type: "application/dtmf-relay".to_owned(), body: b"Signal=1".to_vec() };
            for command in [info, DialCommand::Reinvite { offer: b"v=0 hold".to_vec() }, DialCommand::Hangup] {
                test.uac.command(CallRef(1), command, test.now);
                test.collect();
                let request = test.sent();
                test.answers(&request, status, &[(name, CHALLENGE), (name, BETTER)]);
                asked.push(request);
                // Nothing is sent but the ACK of a refused INVITE.
                asked.extend(test.sent.drain(..));
            }

            let methods: Vec<_> = asked.iter().map(|request| request.method).collect();
            assert_eq!(methods, [Method::Info, Method::Invite, Method::Ack, Method::Bye]);
            let has_credentials = |request: &rsip::Request| {
                ["Authorization", "Proxy-Authorization"].iter().any(|name| request.headers.value(name).is_some())
            };
            assert!(!asked.iter().any(has_credentials), "{asked:?}");
            assert_eq!(test.events.last(), Some(&DialEvent::Ended(DialEnd::WeHungUp(status))));
        }
    }

    #[test]
    fn a_registration_is_made_with_a_password_and_says_for_how_long() {
        let mut test = Test::new();
        test.registers();
        let first = test.sent();
        test.answers(&first, 401, &[("WWW-Authenticate", CHALLENGE)]);
        let second = test.sent();
        let contact = second.headers.value("Contact").unwrap().to_owned();
        test.answers(
            &second,
            200,
            &[("Contact", "<sip:other@192.0.2.7>;expires=9"), ("Contact", &format!("{contact};expires=300"))],
        );

        assert_eq!(first.uri.to_string(), second.uri.to_string());
        assert!(second.headers.value("Authorization").is_some());
        assert_eq!(test.registered, [RegisterAnswer { status: 200, life: Some(Duration::from_secs(300)) }]);
        assert!(test.uac.is_idle());
    }

    #[test]
    fn a_registrar_that_says_nothing_has_timed_out() {
        let mut test = Test::new();
        test.registers();

        while let Some(at) = test.uac.next_deadline() {
            test.now = at.max(test.now);
            test.uac.tick(test.now);
            test.collect();
        }

        assert_eq!(test.registered, [RegisterAnswer { status: 408, life: None }]);
        assert!(test.uac.is_idle());
    }

    struct Test {
        uac: Uac,
        flow: Flow,
        now: Instant,
        sent: VecDeque<rsip::Request>,
        events: Vec<DialEvent>,
        registered: Vec<RegisterAnswer>,
    }

    impl Test {
        fn new() -> Self {
            Self {
                uac: Uac::new([1; 32]),
                flow: Flow::udp("192.0.2.1:5070".parse().unwrap(), "192.0.2.9:5060".parse().unwrap()),
                now: Instant::now(),
                sent: VecDeque::new(),
                events: Vec::new(),
                registered: Vec::new(),
            }
        }

        fn login(password: &str) -> Login {
            Login { user: "1001".to_owned(), password: password.to_owned() }
        }

        fn dials(&mut self, password: &str) {
            let uri = SipUri::parse("sip:*98@192.0.2.9").unwrap();
            let from = NameAddr::new(SipUri::parse("sip:1001@192.0.2.9").unwrap());
            let invitation = Invitation { login: Some(Self::login(password)), ..Invitation::new(uri, from, b"v=0".to_vec()) };
            self.uac.dial(&invitation, &self.flow, self.now);
            self.collect();
        }

        fn registers(&mut self) {
            let registrar = SipUri::parse("sip:192.0.2.9").unwrap();
            let registering = Registering { registrar, login: Self::login("secret"), life: Duration::from_secs(600) };
            self.uac.register(registering, &self.flow, self.now);
            self.collect();
        }

        fn answers(&mut self, request: &rsip::Request, status: u16, headers: &[(&str, &str)]) {
            let mut response = wire::response_to(&request.headers, status.into());
            wire::set_to_tag(&mut response.headers, "server");
            response
                .headers
                .extend(headers.iter().map(|(name, value)| Header::Other((*name).to_owned(), (*value).to_owned())).collect());
            self.uac.handle(&self.flow, &wire::write_response(&response), self.now);
            self.collect();
        }

        fn collect(&mut self) {
            while let Some(output) = self.uac.poll() {
                match output {
                    Output::Send { bytes, .. } => match wire::parse(&bytes) {
                        Ok(Message::Request(request)) => self.sent.push_back(request),
                        other => panic!("{other:?}"),
                    },
                    Output::Event(_, event) => self.events.push(event),
                    Output::Registered(_, answer) => self.registered.push(answer),
                }
            }
        }

        fn sent(&mut self) -> rsip::Request {
            self.sent.pop_front().expect("something was sent")
        }

        fn nothing_sent(&self) -> bool {
            self.sent.is_empty()
        }
    }
}
