//! The cases of RFC 4475 (torture tests) and RFC 5118 (IPv6), written anew: each message differs from a plain one in the
//! point of its case, under the name it has in the RFC.

use rsip::Method;

use super::*;

const CAPABILITIES: Capabilities = Capabilities {
    methods: &[
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Options,
        Method::Register,
        Method::Message,
        Method::Info,
    ],
    extensions: &["timer"],
    bodies: &["application/sdp", "text/plain"],
};

const SDP: &str = "v=0\no=- 1 1 IN IP4 192.0.2.3\ns=-\nc=IN IP4 192.0.2.4\nt=0 0\nm=audio 49217 RTP/AVP 0\n";

#[test]
fn a_short_tortuous_invite() {
    let bytes = crlf(
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\n\
         TO :\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\n\
         from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\n\
         MaX-fOrWaRdS: 0068\n\
         Call-ID: wsinv.ndaksdj@192.0.2.1\n\
         Content-Length   : 148\n\
         cseq: 0009\n  INVITE\n\
         Via  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390skdjuw\n\
         s :\n\
         NewFangledHeader:   newfangled value\n continued newfangled value\n\
         UnknownHeaderWithUnusualValue: ;;,,;;,;\n\
         Content-Type: application/sdp\n\
         Route:\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\n\
         v:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n SIP  /    2.0   / UDP  \
         192.168.255.111   ; branch=\n z9hG4bK30239\n\
         m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n  secondparam ; q = 0.33\n\
         \n\
         v=0\no=mhandley 29739 7272939 IN IP4 192.0.2.3\ns=-\nc=IN IP4 192.0.2.4\nt=0 0\nm=audio 49217 RTP/AVP 0 12\n\
         m=video 3227 RTP/AVP 31\na=rtpmap:31 LPC\n",
    );

    let request = accepted(&bytes);

    let headers = &request.headers;
    assert_eq!(headers.to_address().unwrap().tag(), Some("1918181833n"));
    assert_eq!(headers.from_address().unwrap().display.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(headers.cseq(), Ok(CSeq { number: 9, method: "INVITE".to_owned() }));
    assert_eq!(headers.max_forwards(), Ok(Some(68)));
    assert_eq!(headers.value("Subject"), Some(""));
    assert_eq!(headers.value("newfangledheader"), Some("newfangled value continued newfangled value"));
    let branches: Vec<_> = headers.vias().unwrap().iter().map(|via| via.branch().unwrap().to_owned()).collect();
    assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    assert_eq!(headers.vias().unwrap()[2].host, Host::Ip("192.168.255.111".parse().unwrap()));
    let contact = headers.contact().unwrap().unwrap();
    assert_eq!(contact.display.as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.params.get("newparam"), Some("newvalue"));
    assert_eq!(contact.params.get("q"), Some("0.33"));
    assert!(contact.params.has("secondparam"));
    assert_eq!(headers.routes().unwrap()[0].uri.params.get("unknownwith"), Some("value"));
    assert!(request.body.ends_with(b"a=rtpmap:31 LPC"));
}

#[test]
fn a_wide_range_of_valid_characters_is_echoed_with_its_refusal() {
    let bytes = message(
        "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,\
         weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0",
        "To: \"BEL:\\\u{7} NUL:\\\0 DEL:\\\u{7F}\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>\n\
         From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"работающий\";tag=_token~1'+`*%!-.\n\
         Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\n\
         extensionHeader-!.%*+_`'~:\u{FEFF}大停電",
        "",
    );

    let Err(Rejected::Refuse { refusal, headers }) = parse(&bytes) else { panic!("an unknown method") };

    assert_eq!(refusal, Refusal::MethodNotAllowed);
    let response = refusal.response(&headers, &CAPABILITIES);
    assert_eq!(response.headers.value("Allow"), Some("INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, MESSAGE, INFO"));
    for name in ["To", "From", "Call-ID", "CSeq", "Via"] {
        assert!(headers.value(name).is_some());
        assert_eq!(response.headers.value(name), headers.value(name));
    }
    assert_eq!(headers.to_address().unwrap().display.as_deref(), Some("BEL:  NUL:  DEL: "));
    assert_eq!(headers.from_address().unwrap().params.get("fromParam''~+*_!.-%"), Some("работающий"));
}

#[test]
fn valid_requests_are_accepted() {
    let long = "x".repeat(8000);
    let cases: &[(&str, Vec<u8>)] = &[
        ("esc01", message("INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0", "To: <sip:%75se%72@example.com>", "")),
        (
            "escnull",
            message(
                "REGISTER sip:example.com SIP/2.0",
                "To: sip:null-%00-null@example.com\nContact: <sip:%00@h>,<sip:%00%00@h>",
                "",
            ),
        ),
        ("lwsdisp", message("OPTIONS sip:user@example.com SIP/2.0", "From: caller<sip:caller@example.com>;tag=323", "")),
        (
            "longreq",
            message(
                &format!("INVITE sip:user@example.com;{long} SIP/2.0"),
                &format!(
                    "To: \"{long}\" <sip:u@h>\nCall-ID: {long}@h\nX-{long}: {long}\nFrom: {long} <sip:{long}@h;{long}>;tag=1"
                ),
                SDP,
            ),
        ),
        (
            "dblreq",
            [message("REGISTER sip:example.com SIP/2.0", "", ""), message("INVITE sip:joe@example.com SIP/2.0", "", SDP)]
                .concat(),
        ),
        ("semiuri", message("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", "", "")),
        (
            "transports",
            message(
                "OPTIONS sip:user@example.com SIP/2.0",
                "Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKa\nVia: SIP/2.0/SCTP t2;branch=z9hG4bKb,SIP/2.0/TLS t3\n\
                 Via: SIP/2.0/UNKNOWN t4;branch=z9hG4bKc",
                "",
            ),
        ),
        (
            "mpart01",
            message(
                "MESSAGE sip:kumiko@example.org SIP/2.0",
                "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655",
                "--7a9cbec02ceef655\nContent-Type: text/plain\n\nHello\n--7a9cbec02ceef655\nContent-Type: \
                 application/octet-stream\nContent-Disposition: x;handling=optional\n\n\u{1}\u{2}\n--7a9cbec02ceef655--",
            ),
        ),
        // An element that does not use Date may ignore a wrong one, and we do.
        ("baddate", message("INVITE sip:user@example.com SIP/2.0", "Date: Fri, 01 Jan 2010 16:00:00 EST", SDP)),
        (
            "unksm2",
            message(
                "REGISTER sip:example.com SIP/2.0",
                "To: isbn:2983792873\nFrom: <http://example.com>;tag=3\nContact: <name:J>",
                "",
            ),
        ),
        ("regaut01", message("REGISTER sip:example.com SIP/2.0", "Authorization: NoOneKnowsThisScheme opaque-data=here", "")),
        // Only who forwards must refuse this one.
        ("zeromf", message("OPTIONS sip:user@example.com SIP/2.0", "Max-Forwards: 0", "")),
        ("cparam01", message("REGISTER sip:example.com SIP/2.0", "Contact: sip:+19725552222@gw1.example.net;unknownparam", "")),
        ("cparam02", message("REGISTER sip:example.com SIP/2.0", "Contact: <sip:+19725552222@gw1.example.net;unknownparam>", "")),
        (
            "regescrt",
            message("REGISTER sip:example.com SIP/2.0", "Contact: <sip:user@example.com?Route=%3Csip:s.example.com%3E>", ""),
        ),
        (
            "inv2543",
            message(
                "INVITE sip:UserB@example.com SIP/2.0",
                "Via: SIP/2.0/UDP iftgw.example.com\n-Max-Forwards\n-Contact\nFrom: <sip:+13035551111@ift.example.net;user=phone>\n\
                 Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\nTo: sip:+16505552222@ss1.example.net;user=phone",
                SDP,
            ),
        ),
        ("tel", message("INVITE tel:+1-201-555-0123;phone-context=example.com SIP/2.0", "To: <tel:+12015550123>", SDP)),
        (
            "5118 4.1",
            message("REGISTER sip:[2001:db8::10] SIP/2.0", "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111", ""),
        ),
        ("5118 4.3", message("REGISTER sip:[2001:db8::10:5070] SIP/2.0", "", "")),
        ("5118 4.4", message("REGISTER sip:[2001:db8::10]:5070 SIP/2.0", "", "")),
        (
            "5118 4.5",
            message(
                "OPTIONS sip:[2001:db8::10] SIP/2.0",
                "Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bK1",
                "",
            ),
        ),
        (
            "5118 4.7",
            message(
                "BYE sip:user@host.example.net SIP/2.0",
                "Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144\n\
                 Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200",
                "",
            ),
        ),
        (
            "5118 4.9",
            message(
                "INVITE sip:user@example.com SIP/2.0",
                "Contact: <sip:user@[::ffff:192.0.2.10]:19823>\nVia: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19",
                SDP,
            ),
        ),
        ("5118 4.10", message("OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0", "", "")),
    ];

    for (name, bytes) in cases {
        let request = accepted(bytes);
        assert_eq!(parse(&write_request(&request)), Ok(Message::Request(request)), "{name}");
    }
}

#[test]
fn an_escape_is_not_undone_where_it_is_none() {
    let bytes = message("RE%47IST%45R sip:registrar.example.com SIP/2.0", "To: \"%Z%45\" <sip:resource@example.com>", "");

    let Err(Rejected::Refuse { refusal, headers }) = parse(&bytes) else { panic!("not REGISTER") };

    assert_eq!(refusal, Refusal::MethodNotAllowed);
    assert_eq!(headers.to_address().unwrap().display.as_deref(), Some("%Z%45"));
}

#[test]
fn valid_responses_are_accepted() {
    for (name, line, code) in [
        ("unreason", "SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое", 200),
        ("noreason", "SIP/2.0 100 ", 100),
        ("noreason, and not even the space", "SIP/2.0 100", 100),
        ("bcast", "SIP/2.0 200 OK", 200),
        ("a status that nobody has named", "SIP/2.0 299 Fine, I guess", 299),
    ] {
        let Ok(Message::Response(response)) = parse(&message(line, "CSeq: 5 INVITE", "")) else { panic!("{name}") };

        assert_eq!(response.status_code.code(), code, "{name}");
        assert_eq!(validate_response(&response), Ok(()), "{name}");
        assert_eq!(parse(&write_response(&response)), Ok(Message::Response(response)), "{name}");
    }
}

#[test]
fn invalid_requests_get_the_status_owed() {
    let invite = "INVITE sip:user@example.com SIP/2.0";
    let options = "OPTIONS sip:user@example.com SIP/2.0";
    let cases: &[(&str, Vec<u8>, u16)] = &[
        ("badinv01", message(invite, "Via: SIP/2.0/UDP 192.0.2.15;;,;,,\nContact: \"Joe\" <sip:joe@example.org>;;;;", SDP), 400),
        ("badinv01", message(invite, "Contact: \"\" <> ;,\"Joe\" <sip:joe@example.org>;;,,;;", SDP), 400),
        ("clerr", message(invite, "Content-Length: 9999", SDP), 400),
        ("ncl", message(invite, "Content-Length: -999", SDP), 400),
        ("scalar02", message("REGISTER sip:example.com SIP/2.0", "CSeq: 36893488147419103232 REGISTER", ""), 400),
        ("scalar02", message("REGISTER sip:example.com SIP/2.0", "Max-Forwards: 300", ""), 400),
        ("quotbal", message(invite, "To: \"Mr. J. User <sip:j.user@example.com>", SDP), 400),
        ("ltgtruri", message("INVITE <sip:user@example.com> SIP/2.0", "", SDP), 400),
        ("lwsruri", message("INVITE sip:user@example.com; lr SIP/2.0", "", SDP), 400),
        ("lwsstart", message("INVITE  sip:user@example.com  SIP/2.0", "", SDP), 400),
        ("trws", message("OPTIONS sip:remote-target@example.com SIP/2.0  ", "", ""), 400),
        ("escruri", message("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", "", SDP), 400),
        ("regbadct", message("REGISTER sip:example.com SIP/2.0", "Contact: sip:user@example.com?Route=%3Csip:s.com%3E", ""), 400),
        ("badaspec", message(options, "To: \"Watson, Thomas\" < sip:t.watson@example.org >", ""), 400),
        ("baddn", message(options, "From: Bell, Alexander <sip:a.g.bell@example.com>;tag=433423", ""), 400),
        ("badvers", message("OPTIONS sip:t.watson@example.org SIP/7.0", "", ""), 505),
        ("mismatch01", message(options, "CSeq: 8 INVITE", ""), 400),
        ("mismatch02", message("NEWMETHOD sip:user@example.com SIP/2.0", "CSeq: 8 INVITE", ""), 400),
        ("badbranch", message(options, "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK", ""), 400),
        ("insuf", message(invite, "-Call-ID\n-From\n-To", SDP), 400),
        ("unkscm", message("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", "", ""), 416),
        ("novelsc", message("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", "", ""), 416),
        (
            "bext01",
            message(options, "Require: nothingSupportsThis, timer, norThis\nProxy-Require: noProxiesSupportThis", ""),
            420,
        ),
        ("invut", message(invite, "Content-Type: application/unknownformat", "<audio/>"), 415),
        ("multi01", message(invite, "CSeq: 5 INVITE\nCSeq: 59 INVITE", SDP), 400),
        ("multi01", message(invite, "Call-ID: a\nCall-ID: b", SDP), 400),
        ("multi01", message(invite, "To: <sip:a@b>\nt: <sip:a@b>", SDP), 400),
        ("multi01", message(invite, "Max-Forwards: 70\nMax-Forwards: 5", SDP), 400),
        ("mcl01", message(options, "Content-Length: 13\nContent-Length: 5", "There's no way"), 400),
        ("sdp01", message(invite, "Accept: text/nobodyKnowsThis", SDP), 406),
        ("5118 4.2", message("REGISTER sip:2001:db8::10 SIP/2.0", "", ""), 400),
        ("a body of a gigabyte", message(invite, "Content-Length: 1073741824", SDP), 413),
        ("a compressed body", message(invite, "Content-Encoding: gzip\nContent-Type: application/sdp", "\u{1F}"), 415),
        ("a method not served", message("SUBSCRIBE sip:user@example.com SIP/2.0", "", ""), 405),
        ("methods have no case", message("invite sip:user@example.com SIP/2.0", "", ""), 405),
        ("no such line", message(options, "X-Fine: yes\nnot a header\nX-Fine: yes", ""), 400),
        ("a lone CR", message(options, "X: a\rContact: b", ""), 400),
        ("an unterminated head", b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo: <sip:a>\r\n".to_vec(), 400),
        ("too many headers", message(options, &"X: y\n".repeat(MAX_HEADERS), ""), 400),
    ];

    for (name, bytes, status) in cases {
        assert_eq!(verdict(bytes).map_err(|refusal| refusal.status()), Err(*status), "{name}");
    }
}

#[test]
fn a_refusal_carries_what_the_sender_needs_to_do_better() {
    let header = |bytes: &[u8], name: &str| {
        let Ok(Message::Request(request)) = parse(bytes) else { panic!("parses") };
        let refusal = validate(&request, &CAPABILITIES).unwrap_err();
        refusal.response(&request.headers, &CAPABILITIES).headers.value(name).map(ToOwned::to_owned)
    };
    let invite = "INVITE sip:user@example.com SIP/2.0";

    let unsupported = header(&message(invite, "Require: 100rel, timer,x", SDP), "Unsupported");
    let accept = header(&message(invite, "Content-Type: text/html", SDP), "Accept");
    let encoding = header(&message(invite, "e: gzip", SDP), "Accept-Encoding");
    let allow = header(&message("SUBSCRIBE sip:a SIP/2.0", "", ""), "Allow");

    assert_eq!(unsupported.as_deref(), Some("100rel, x"));
    assert_eq!(accept.as_deref(), Some("application/sdp, text/plain"));
    assert_eq!(encoding.as_deref(), Some("identity"));
    assert!(allow.unwrap().starts_with("INVITE, ACK"));
}

#[test]
fn what_is_owed_no_answer_is_ignored() {
    for (name, bytes) in [
        ("nothing", Vec::new()),
        ("keep-alive", b"\r\n\r\n".to_vec()),
        ("keep-alive", b"\0\0\0\0".to_vec()),
        ("STUN", b"\0\x01\0\0\x21\x12\xA4\x42123456789012".to_vec()),
        ("words", b"hello".to_vec()),
        ("no Via", message("OPTIONS sip:user@example.com", "-Via", "")),
        ("ACK", message("ACK sip:user@example.com SIP/2.0", "Content-Length: 99", "")),
        ("bigcode", message("SIP/2.0 4294967301 better not break the receiver", "CSeq: 5 INVITE", "")),
        ("a status that is none", message("SIP/2.0 099 x", "CSeq: 5 INVITE", "")),
        ("a lone LF in the reason phrase", message("SIP/2.0 299 Fine\nTo: <sip:a@b>", "CSeq: 5 INVITE", "")),
        ("a response cut short", message("SIP/2.0 200 OK", "CSeq: 5 INVITE\nContent-Length: 99", "")),
        ("larger than a datagram can be", vec![b'A'; MAX_MESSAGE + 1]),
    ] {
        assert!(matches!(parse(&bytes), Err(Rejected::Ignore(_))), "{name}");
    }
}

#[test]
fn a_response_with_overlarge_values_is_malformed() {
    let bytes = message(
        "SIP/2.0 503 Service Unavailable",
        "CSeq: 9292394834772304023312 OPTIONS\nRetry-After: 949302838503028349304",
        "",
    );
    let Ok(Message::Response(response)) = parse(&bytes) else { panic!("parses") };

    assert!(validate_response(&response).is_err());
    assert_eq!(response.headers.retry_after(), None);
}

#[test]
fn hanging_up_is_not_kept_from_anyone() {
    for line in ["ACK sip:a SIP/2.0", "CANCEL sip:a SIP/2.0", "BYE sip:a SIP/2.0"] {
        accepted(&message(line, "Content-Type: text/html\nAccept: text/html", "<p>"));
    }
    accepted(&message("CANCEL sip:a SIP/2.0", "Require: x", ""));
}

#[test]
fn unusual_but_understandable_bodies_are_taken() {
    let invite = "INVITE sip:user@example.com SIP/2.0";
    let isup = |handling| {
        format!("--b\nContent-Type: application/sdp\n\n{SDP}\n--b\nContent-Type: application/isup\n{handling}\n\nx\n--b--\n")
    };
    let mixed = "Content-Type: multipart/mixed;boundary=b";

    accepted(&message(invite, mixed, &isup("Content-Disposition: signal; handling=optional")));
    accepted(&message(invite, "Content-Type: multipart/alternative;boundary=b", &isup("X: y")));
    accepted(&message(invite, "Content-Type: text/html\nContent-Disposition: x;handling=optional", "<p>"));
    accepted(&message(invite, "-Content-Type", SDP));
    accepted(&message(invite, "Accept: application/*;q=0.3, text/html", SDP));

    let refused = verdict(&message(invite, mixed, &isup("Content-Disposition: signal")));
    assert_eq!(refused.map_err(|refusal| refusal.status()), Err(415));
    let refused = verdict(&message(invite, "Content-Type: multipart/mixed", &isup("X: y")));
    assert_eq!(refused.map_err(|refusal| refusal.status()), Err(400));
}

/// A plain message with these lines instead of those of the same name; `-Name` leaves one out.
fn message(start_line: &str, lines: &str, body: &str) -> Vec<u8> {
    let method = start_line.split(' ').next().unwrap();
    let mut plain = vec![
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds".to_owned(),
        "Max-Forwards: 70".to_owned(),
        "From: \"Caller\" <sip:caller@example.net>;tag=1928301774".to_owned(),
        "To: <sip:user@example.com>".to_owned(),
        "Call-ID: a84b4c76e66710@192.0.2.1".to_owned(),
        format!("CSeq: 314159 {method}"),
        "Contact: <sip:caller@192.0.2.1>".to_owned(),
    ];
    if body == SDP {
        plain.push("Content-Type: application/sdp".to_owned());
    }
    let body = crlf(body);
    plain.push(format!("Content-Length: {}", body.len()));
    let name = |line: &str| line.trim_start_matches('-').split(':').next().unwrap().to_ascii_lowercase();
    for line in lines.split('\n').filter(|line| !line.is_empty()) {
        plain.retain(|plain| name(plain) != name(line));
    }
    let own = lines.split('\n').filter(|line| !line.is_empty() && !line.starts_with('-')).map(ToOwned::to_owned);
    let head = [start_line.to_owned()].into_iter().chain(plain).chain(own).map(|line| line + "\r\n").collect::<String>();
    [head.into_bytes(), b"\r\n".to_vec(), body].concat()
}

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn verdict(bytes: &[u8]) -> Result<rsip::Request, Refusal> {
    match parse(bytes) {
        Ok(Message::Request(request)) => validate(&request, &CAPABILITIES).map(|()| request),
        Err(Rejected::Refuse { refusal, .. }) => Err(refusal),
        other => panic!("neither accepted nor refused: {other:?}"),
    }
}

fn accepted(bytes: &[u8]) -> rsip::Request {
    verdict(bytes).unwrap_or_else(|refusal| panic!("{refusal}\n{}", String::from_utf8_lossy(bytes)))
}
