//! The user agent server's part in authentication: the first challenge, which is given without remembering anything.

use super::*;
use crate::sip::{
    auth::offered,
    policy::{Need, acts},
};

impl Uas {
    /// Whether a request may be worked on; otherwise it has been challenged. Credentials that must be checked first are noted in it.
    ///
    /// Whoever is in a call has been let in when it began. An ACK and a CANCEL cannot be challenged (RFC 3261 §22.1).
    pub(super) fn lets_in(&mut self, inbound: &mut Inbound, now: Instant) -> bool {
        let Some(policy) = &self.config.policy else { return true };
        let belongs_to_a_call = inbound.to_tag.is_some() && matches!(inbound.method(), Method::Invite | Method::Options);
        if !acts(inbound.method()) || belongs_to_a_call || (policy.need)(&inbound.request, &inbound.flow) == Need::Nothing {
            return true;
        }
        inbound.credentials = policy.authenticator.credentials(&inbound.request.headers).map(Box::new);
        if inbound.credentials.is_none() {
            let algorithms = offered(inbound.request.headers.user_agent().as_deref(), inbound.flow.transport);
            let challenges =
                policy.authenticator.challenge(algorithms, false, self.random.random(), inbound.flow.remote.ip(), now);
            self.challenge(inbound, challenges);
        }
        inbound.credentials.is_some()
    }

    /// Sends a challenge to someone who may not be who it seems: over UDP never more than half as much again as came in. What is
    /// left out first is the better algorithm, which is the first one over UDP, since every phone knows the other.
    fn challenge(&mut self, inbound: &Inbound, challenges: Vec<Header>) {
        let most = match inbound.reply_to.transport {
            Transport::Udp => inbound.length + inbound.length / 2,
            _ => usize::MAX,
        };
        let tag = self.keys.stateless_tag(&inbound.request.headers);
        for from in 0..challenges.len() {
            let mut response = inbound.response(401, tag);
            response.headers.extend(challenges[from..].to_vec());
            let bytes = written(&response);
            if bytes.len() <= most {
                return self.outputs.push_back(self::response(inbound.reply_to, bytes));
            }
        }
        self.reject(inbound, 403);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::{Test, message, status};
    use super::*;
    use crate::sip::{
        auth::{Authenticator, answer},
        policy::Policy,
        request::Reply,
        wire::DigestChallenge,
    };

    #[test]
    fn whoever_acts_without_credentials_is_challenged_and_nothing_is_remembered() {
        let mut test = guarded();
        for method in ["INVITE", "OPTIONS", "REGISTER", "SUBSCRIBE"] {
            test.send(request(method, ""));

            let challenge = test.received();
            assert_eq!(status(&challenge), 401, "{method}");
            let algorithms: Vec<_> = challenges(&challenge).iter().map(|it| it.algorithm.name()).collect();
            assert_eq!(algorithms, ["SHA-256", "MD5"], "{method}");
        }
        assert_eq!((test.uas.calls(), test.uas.transactions()), (0, 0));
        assert!(test.requests.is_empty() && test.no_event());
    }

    #[test]
    fn credentials_go_on_to_whoever_can_check_them() {
        let mut test = guarded();
        for method in ["OPTIONS", "REGISTER", "SUBSCRIBE"] {
            let authorization = test.authorization(method);
            test.send(request(method, &authorization));

            let (reference, handed_over) = test.request_handed_over();
            assert_eq!(handed_over.credentials.map(|it| it.username), Some("1001".to_owned()), "{method}");
            test.uas.respond(reference, Reply::status(200), test.now);
            assert_eq!(status(&test.received()), 200);
        }
        let authorization = test.authorization("INVITE");
        test.send(request("INVITE", &authorization));
        let call = test.announced();
        assert_eq!(call.credentials.map(|it| it.username), Some("1001".to_owned()));
        test.command(Command::Challenge { challenges: vec![Header::WwwAuthenticate("Digest x".into())] });
        let refusal = test.received();
        assert_eq!(status(&refusal), 401);
        assert!(refusal.contains("\r\nWWW-Authenticate: Digest x\r\n"), "{refusal}");
        assert!(matches!(test.event(), Event::Ended(EndReason::Refused(401))));
    }

    #[test]
    fn trusted_peers_need_none_and_those_they_have_are_not_looked_at() {
        let mut test = guarded();
        let authorization = test.authorization("INVITE");
        test.flow.remote = TRUSTED.parse().unwrap();

        test.send(request("OPTIONS", ""));
        assert_eq!(status(&test.received()), 200);
        test.send(request("REGISTER", &authorization));
        assert_eq!(test.request_handed_over().1.credentials, None);
        test.send(request("INVITE", &authorization));

        assert_eq!(test.announced().credentials, None);
    }

    #[test]
    fn what_belongs_to_a_call_is_never_challenged_and_neither_are_ack_and_cancel() {
        let mut test = guarded();
        for method in ["BYE", "INFO", "CANCEL"] {
            test.send(request(method, ""));
            assert_eq!(status(&test.received()), 481, "{method}");
        }
        test.send(request("INVITE", "").replace("6001@192.0.2.9>\r\n", "6001@192.0.2.9>;tag=1\r\n"));
        assert_eq!(status(&test.received()), 481);
        test.send(request("ACK", ""));
        assert!(test.nothing_sent());
        // Subscriptions are no calls, and last longer than anybody should be believed.
        test.send(request("SUBSCRIBE", "").replace("6001@192.0.2.9>\r\n", "6001@192.0.2.9>;tag=1\r\n"));
        assert_eq!(status(&test.received()), 401);
    }

    #[test]
    fn a_challenge_over_udp_is_at_most_half_as_large_again() {
        let mut test = guarded();
        let long = request("REGISTER", "X-Filler: and so on and so forth and so on\r\n");
        let full = sent(&mut test, &long);
        let middle = sent(&mut test, &short());
        let least = sent(&mut test, &short().replace("Max-Forwards: 70\r\n", "").replace("User-Agent: Phone/1.0\r\n", ""));

        assert_eq!((status(&full), challenges(&full).len()), (401, 2));
        let algorithms: Vec<_> = challenges(&middle).iter().map(|it| it.algorithm.name()).collect();
        assert_eq!((status(&middle), algorithms), (401, vec!["MD5"]));
        assert_eq!((status(&least), challenges(&least).len()), (403, 0));
    }

    fn sent(test: &mut Test, text: &str) -> String {
        test.send(text.to_owned());
        let answer = test.received();
        assert!(answer.len() * 2 <= text.len() * 3, "{} for {}: {answer}", answer.len(), text.len());
        answer
    }

    const TRUSTED: &str = "192.0.2.77:5060";

    fn guarded() -> Test {
        let authenticator = Arc::new(Authenticator::new("afterbeep", [7; 32], Instant::now(), Duration::from_secs(1 << 30)));
        let is_trusted = |flow: &Flow| flow.remote == TRUSTED.parse().unwrap();
        let need =
            Arc::new(move |_: &rsip::Request, flow: &Flow| if is_trusted(flow) { Need::Nothing } else { Need::Credentials });
        Test::with(UasConfig { policy: Some(Policy { authenticator, need }), ..UasConfig::default() })
    }

    fn request(method: &str, header: &str) -> String {
        message(method, "1", 1, "", "").replace(
            "Max-Forwards: 70\r\n",
            &format!("Max-Forwards: 70\r\nX-Phone: somebody's telephone, model of the year\r\n{header}"),
        )
    }

    fn short() -> String {
        "REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:b@a>;tag=c\r\n\
         To: <sip:b@a>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: <sip:b@192.0.2.1>\r\nUser-Agent: Phone/1.0\r\n\r\n"
            .to_owned()
    }

    fn challenges(text: &str) -> Vec<DigestChallenge> {
        let values = text.lines().filter_map(|line| line.strip_prefix("WWW-Authenticate: "));
        values.map(|value| DigestChallenge::parse(value).unwrap()).collect()
    }

    impl Test {
        fn authorization(&mut self, method: &str) -> String {
            self.send(request(method, ""));
            let challenge = challenges(&self.received()).remove(0);
            let Header::Authorization(value) = answer(&challenge, "1001", "secret", (method, "sip:6001@192.0.2.9"), 1) else {
                panic!("no credentials")
            };
            format!("Authorization: {}\r\n", rsip::headers::UntypedHeader::value(&value))
        }
    }
}
