//! The messages of RFC 4475 and RFC 5118, each under the name it has there, and what a voicemail server owes its sender.
//!
//! They are written anew from what the RFCs say of them. Where audio would go, and whose number a registration is for, is ours. In
//! `{rport}` stands what has the answer sent to where the message came from, in `{length}` the length of the body.

use super::{
    Case,
    Owed::{self, Call, Forbidden, Ignored, Registered, Status},
};

/// The body of most INVITEs.
const SDP: &str = "v=0\no=jdrosen 53655765 2353687637 IN IP4 192.0.2.3\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0 12\n\
                   m=video 3227 RTP/AVP 31\na=rtpmap:31 LPC\n";

/// All of them, in the order of the RFCs.
pub fn all() -> Vec<Case> {
    [syntax_valid(), syntax_invalid(), transactions_and_applications(), ipv6()].concat()
}

/// RFC 4475 §3.1.1.
fn syntax_valid() -> Vec<Case> {
    let (user, host) = ("I".repeat(400) + "have-a-user-name-of-thousands-of-characters", "very-".repeat(11) + "long.example.com");
    let long = "long-value-".repeat(60);
    vec![
        // Its tag is that of a dialog which we have never had.
        wsinv("3.1.1.1 wsinv", Status(481), " ;   tag    = 1918181833n"),
        wsinv("3.1.1.1 wsinv, as the first of its dialog", Call, ""),
        case(
            "3.1.1.2 intmeth",
            Status(405),
            "!interesting-Method0123456789_*+`.%indeed'~ \
             sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0\n\
             Via: SIP/2.0/TCP host1.example.com{rport};branch=z9hG4bK-.!%66*_+`'~\n\
             To: \"BEL:\\\u{7} NUL:\\\0 DEL:\\\u{7F}\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>\n\
             From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"работающий\";\
             tag=_token~1'+`*%!-.\n\
             Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\nCSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~\n\
             Max-Forwards: 255\nextensionHeader-!.%*+_`'~:\u{FEFF}大停電\nContent-Length: {length}\n",
            "",
        ),
        case(
            "3.1.1.3 esc01",
            Call,
            &head("INVITE sip:sips%3Auser%40example.com@example.net", "esc01").replace("To: <sip:user@example.com>", "To: sip:%75se%72@example.com")
                .replace("From: <sip:caller@example.net>", "From: <sip:I%20have%20spaces@example.net>")
                .replace("Contact: <sip:caller@192.0.2.1>", "Contact: <sip:cal%6Cer@192.0.2.1:5060;%6C%72;n%61me=v%61lue%25%34%31>"),
            SDP,
        ),
        case(
            "3.1.1.4 escnull",
            Forbidden,
            &head("REGISTER sip:example.com", "escnull").replace("sip:user@example.com", "sip:null-%00-null@example.com")
                .replace("sip:caller@example.net", "sip:null-%00-null@example.com")
                .replace("Contact: <sip:caller@192.0.2.1>", "Contact: <sip:%00@host5.example.com>\nContact: <sip:%00%00@host5.example.com>"),
            "",
        ),
        case(
            "3.1.1.5 esc02",
            Status(405),
            &head("RE%47IST%45R sip:registrar.example.com", "esc02").replace("To: <sip:user@example.com>", "To: \"%Z%45\" <sip:resource@example.com>")
                .replace("From: <sip:caller@example.net>", "From: \"%Z%45\" <sip:resource@example.com>"),
            "",
        ),
        case(
            "3.1.1.6 lwsdisp",
            Status(200),
            &head("OPTIONS sip:user@example.com", "lwsdisp").replace("From: <sip:caller@", "From: caller<sip:caller@"),
            "",
        ),
        case(
            "3.1.1.7 longreq",
            Call,
            &format!(
                "INVITE sip:user@example.com SIP/2.0\nTo: \"I have a user name of {long} proportion\"<sip:user@example.com:6000;\
                 unknownparam1={long};longparam{long}=shortvalue;{long}ParameterNameWithNoValue>\n\
                 F: sip:{user}@{host};tag=12982982982982982982982982982982{long};{long}Name=extremely{long}value;unknownheaderparam\n\
                 Call-ID: longreq.one{long}longcallid\nCSeq: 3882340 INVITE\nUnknown-{long}-Header: {long} {long}\n\
                 Via: SIP/2.0/TCP sip33.example.com{rport};branch=z9hG4bKlongreq1\n\
                 v: {vias}\n\
                 V: SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very{long}branchvalue\n\
                 Max-Forwards: 70\nContact: <sip:amazinglylongcallername{long}@host5.example.net>\nContent-Type: application/sdp\n\
                 l: {{length}}\n",
                rport = "{rport}",
                vias = (1..=33).map(|n| format!("SIP/2.0/TCP sip{n}.example.com")).collect::<Vec<_>>().join("\nv: "),
            ),
            SDP,
        ),
        case(
            "3.1.1.8 dblreq",
            Registered("<sip:caller@192.0.2.1>"),
            &(head("REGISTER sip:example.com", "dblreq").replace("{length}", "0")
                + "\n"
                + &head("INVITE sip:joe@example.com", "dblreq-second")),
            SDP,
        ),
        case("3.1.1.9 semiuri", Status(200), &head("OPTIONS sip:user;par=u%40example.net@example.com", "semiuri"), ""),
        case(
            "3.1.1.10 transports",
            Status(200),
            &head("OPTIONS sip:user@example.com", "transports").replace(
                "Max-Forwards",
                "Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\nVia: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj\n\
                 Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en\nVia: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee\n\
                 Max-Forwards",
            ),
            "",
        ),
        // We take no messages but by voice.
        case(
            "3.1.1.11 mpart01",
            Status(405),
            &head("MESSAGE sip:kumiko@example.org", "mpart01")
                .replace("Content-Length", "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\nContent-Length"),
            "--7a9cbec02ceef655\nContent-Type: text/plain\nContent-Transfer-Encoding: binary\n\nHello\n--7a9cbec02ceef655\n\
             Content-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n0\u{82}\u{1}R\u{6}\0\n\
             --7a9cbec02ceef655--",
        ),
        case("3.1.1.12 unreason", Ignored, &response("200 = 2**3 * 5**2 но сто девяносто девять - простое", "unreason"), ""),
        case("3.1.1.13 noreason", Ignored, &response("100 ", "noreason"), ""),
    ]
}

/// The first of them, with this tag in To.
fn wsinv(name: &'static str, owed: Owed, tag: &str) -> Case {
    let call_id = name.len();
    case(
        name,
        owed,
        &format!(
            "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\n\
             TO :\n sip:vivekg@chair-dnrc.example.com{tag}\n\
             from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\n\
             MaX-fOrWaRdS: 0068\nCall-ID: wsinv.ndaksdj{call_id}@192.0.2.1\nContent-Length   : {{length}}\ncseq: 0009\n  INVITE\n\
             Via  : SIP  /   2.0\n /UDP\n    192.0.2.2{{rport}};branch=390skdjuw\ns :\nNewFangledHeader:   newfangled value\n \
             continued newfangled value\nUnknownHeaderWithUnusualValue: ;;,,;;,;\nContent-Type: application/sdp\n\
             Route:\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\n\
             v:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n \
             SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n z9hG4bK30239\n\
             m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n  secondparam ; q = 0.33\n"
        ),
        SDP,
    )
}

/// RFC 4475 §3.1.2.
fn syntax_invalid() -> Vec<Case> {
    let invite = |name| head("INVITE sip:user@example.com", name);
    let options = |name| head("OPTIONS sip:user@example.com", name);
    let register = |name| head("REGISTER sip:example.com", name);
    vec![
        case(
            "3.1.2.1 badinv01",
            Status(400),
            &invite("badinv01").replace(";branch=", ";;,;,,;branch=").replace(
                "Contact: <sip:caller@192.0.2.1>",
                "Contact: \"Joe\" <sip:joe@example.org>;;;;\nContact: \"\" <> ;,\"Joe\" <sip:joe@example.org>;;,,;;",
            ),
            SDP,
        ),
        case("3.1.2.2 clerr", Status(400), &invite("clerr").replace("{length}", "9999"), SDP),
        case("3.1.2.3 ncl", Status(400), &invite("ncl").replace("{length}", "-999"), SDP),
        case(
            "3.1.2.4 scalar02",
            Status(400),
            &register("scalar02")
                .replace("CSeq: 1 ", "CSeq: 36893488147419103232 ")
                .replace("Max-Forwards: 70", "Max-Forwards: 300")
                .replace(
                    "Contact: <sip:caller@192.0.2.1>",
                    "Expires: 10000000000\nContact: <sip:user@host1.example.com>;expires=280297596632815",
                ),
            "",
        ),
        case(
            "3.1.2.5 scalarlg",
            Ignored,
            &response("503 Service Unavailable", "scalarlg")
                .replace("CSeq: 1 INVITE", "CSeq: 9292394834772304023312 OPTIONS\nWarning: 1812 overture \"In Progress\"")
                .replace("Content-Length", "Retry-After: 949302838503028349304023988\nContent-Length"),
            "",
        ),
        case("3.1.2.6 quotbal", Status(400), &invite("quotbal").replace("To: <", "To: \"Mr. J. User <"), SDP),
        case("3.1.2.7 ltgtruri", Status(400), &head("INVITE <sip:user@example.com>", "ltgtruri"), SDP),
        case("3.1.2.8 lwsruri", Status(400), &head("INVITE sip:user@example.com; lr", "lwsruri"), SDP),
        case("3.1.2.9 lwsstart", Status(400), &head("INVITE  sip:user@example.com ", "lwsstart"), SDP),
        case("3.1.2.10 trws", Status(400), &options("trws").replacen("SIP/2.0\n", "SIP/2.0  \n", 1), ""),
        case("3.1.2.11 escruri", Status(400), &head("INVITE sip:user@example.com?Route=%3Csip:example.com%3E", "escruri"), SDP),
        // Who has no use for a date may take the call.
        case(
            "3.1.2.12 baddate",
            Call,
            &invite("baddate").replace("Max-Forwards", "Date: Fri, 01 Jan 2010 16:00:00 EST\nMax-Forwards"),
            SDP,
        ),
        case(
            "3.1.2.13 regbadct",
            Status(400),
            &register("regbadct").replace("<sip:caller@192.0.2.1>", "sip:user@example.com?Route=%3Csip:sip.example.com%3E"),
            "",
        ),
        case(
            "3.1.2.14 badaspec",
            Status(400),
            &options("badaspec").replace("To: <sip:user@example.com>", "To: \"Watson, Thomas\" < sip:t.watson@example.org >"),
            "",
        ),
        case("3.1.2.15 baddn", Status(400), &options("baddn").replace("From: <", "From: Bell, Alexander <"), ""),
        case("3.1.2.16 badvers", Status(505), &options("badvers").replacen("SIP/2.0\n", "SIP/7.0\n", 1), ""),
        case("3.1.2.17 mismatch01", Status(400), &options("mismatch01").replace("CSeq: 1 OPTIONS", "CSeq: 8 INVITE"), ""),
        case(
            "3.1.2.18 mismatch02",
            Status(400),
            &head("NEWMETHOD sip:user@example.com", "mismatch02").replace("CSeq: 1 NEWMETHOD", "CSeq: 8 INVITE"),
            "",
        ),
        case("3.1.2.19 bigcode", Ignored, &response("4294967301 better not break the receiver", "bigcode"), ""),
    ]
}

/// RFC 4475 §3.2 to §3.4.
fn transactions_and_applications() -> Vec<Case> {
    let invite = |name| head("INVITE sip:user@example.com", name);
    let options = |name| head("OPTIONS sip:user@example.com", name);
    let register = |name| head("REGISTER sip:example.com", name);
    vec![
        case("3.2.1 badbranch", Status(400), &options("badbranch").replace("branch=z9hG4bKbadbranch", "branch=z9hG4bK"), ""),
        case(
            "3.3.1 insuf",
            Status(400),
            &lines_without(&invite("insuf"), &["Call-ID", "From", "To"]),
            SDP,
        ),
        case("3.3.2 unkscm", Status(416), &head("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent", "unkscm"), ""),
        case("3.3.3 novelsc", Status(416), &head("OPTIONS soap.beep://192.0.2.103:3002", "novelsc"), ""),
        case(
            "3.3.4 unksm2",
            Forbidden,
            &register("unksm2")
                .replace("To: <sip:user@example.com>", "To: isbn:2983792873")
                .replace("From: <sip:caller@example.net>", "From: <http://www.example.com>")
                .replace("<sip:caller@192.0.2.1>", "<name:John_Smith>"),
            "",
        ),
        case(
            "3.3.5 bext01",
            Status(420),
            &options("bext01").replace(
                "Max-Forwards",
                "Require: nothingSupportsThis, nothingSupportsThisEither\nProxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis\n\
                 Max-Forwards",
            ),
            "",
        ),
        case(
            "3.3.6 invut",
            Status(415),
            &invite("invut").replace("application/sdp", "application/unknownformat"),
            "<audio>\n <pcmu port=\"443\"/>\n</audio>\n",
        ),
        // A scheme that nobody knows is no credentials, and takes nothing from those beside it.
        case(
            "3.3.7 regaut01",
            Registered("<sip:caller@192.0.2.1>"),
            &register("regaut01").replace("Max-Forwards", "Authorization: NoOneKnowsThisScheme opaque-data=here\nMax-Forwards"),
            "",
        ),
        case(
            "3.3.8 multi01",
            Status(400),
            &invite("multi01").replace(
                "Max-Forwards: 70",
                "CSeq: 59 INVITE\nCall-ID: multi01.98asdh@192.0.2.2\nTo: sip:other@example.com\nFrom: <sip:other@example.net>;tag=3413415\n\
                 Max-Forwards: 70\nMax-Forwards: 5",
            ),
            SDP,
        ),
        case(
            "3.3.9 mcl01",
            Status(400),
            &options("mcl01").replace("Content-Length: {length}", "Content-Length: 13\nContent-Type: text/plain\nContent-Length: 5"),
            "There's no way to know how many octets are supposed to be here.\n",
        ),
        case(
            "3.3.10 bcast",
            Ignored,
            &response("200 OK", "bcast").replace("Via:", "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\nVia:"),
            "",
        ),
        // Only who forwards it must refuse it.
        case("3.3.11 zeromf", Status(200), &options("zeromf").replace("Max-Forwards: 70", "Max-Forwards: 0"), ""),
        case(
            "3.3.12 cparam01",
            Registered("<sip:+19725552222@gw1.example.net>"),
            &register("cparam01").replace("<sip:caller@192.0.2.1>", "sip:+19725552222@gw1.example.net;unknownparam"),
            "",
        ),
        case(
            "3.3.13 cparam02",
            Registered("<sip:+19725552222@gw1.example.net;unknownparam>"),
            &register("cparam02").replace("<sip:caller@192.0.2.1>", "<sip:+19725552222@gw1.example.net;unknownparam>"),
            "",
        ),
        case(
            "3.3.14 regescrt",
            Registered("<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"),
            &register("regescrt").replace("<sip:caller@192.0.2.1>", "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"),
            "",
        ),
        case("3.3.15 sdp01", Status(406), &invite("sdp01").replace("Max-Forwards", "Accept: text/nobodyKnowsThis\nMax-Forwards"), SDP),
        case(
            "3.4.1 inv2543",
            Call,
            "INVITE sip:UserB@example.com SIP/2.0\nVia: SIP/2.0/UDP iftgw.example.com{rport}\nFrom: <sip:+13035551111@ift.client.example.net;user=phone>\n\
             Record-Route: <sip:UserB@example.com;maddr=127.0.0.1>\nTo: sip:+16505552222@ss1.example.net;user=phone\n\
             Call-ID: inv2543.1717@ift.client.example.com\nCSeq: 56 INVITE\nContact: <sip:caller@127.0.0.1:9>\n\
             Content-Type: application/sdp\nContent-Length: {length}\n",
            SDP,
        ),
    ]
}

/// RFC 5118 §4.
fn ipv6() -> Vec<Case> {
    let register = |name, uri: &str| {
        head(&format!("REGISTER {uri}"), name)
            .replace("Via: SIP/2.0/UDP 192.0.2.1", "Via: SIP/2.0/UDP [2001:db8::9:1]")
            .replace("<sip:caller@192.0.2.1>", "\"Caller\" <sip:caller@[2001:db8::1]>")
    };
    let options = |name| {
        head("OPTIONS sip:user@[2001:db8::10]", name).replace("Via: SIP/2.0/UDP 192.0.2.1", "Via: SIP/2.0/UDP [2001:db8::9:1]")
    };
    let call = |name| {
        head("INVITE sip:user@[2001:db8::10]", name)
            .replace("Via: SIP/2.0/UDP 192.0.2.1", "Via: SIP/2.0/UDP [2001:db8::20]")
            .replace("<sip:caller@192.0.2.1>", "\"Caller\" <sip:caller@[2001:db8::20]>")
    };
    vec![
        case("5118 4.1 ipv6-good", Registered("<sip:caller@[2001:db8::1]>"), &register("ipv6-good", "sip:[2001:db8::10]"), ""),
        case("5118 4.2 ipv6-bad", Status(400), &register("ipv6-bad", "sip:2001:db8::10"), ""),
        case(
            "5118 4.3 port-ambiguous",
            Registered("<sip:caller@[2001:db8::1]>"),
            &register("port-ambiguous", "sip:[2001:db8::10:5070]"),
            "",
        ),
        case(
            "5118 4.4 port-unambiguous",
            Registered("<sip:caller@[2001:db8::1]>"),
            &register("port-unambiguous", "sip:[2001:db8::10]:5070"),
            "",
        ),
        case(
            "5118 4.5 via-received-param-with-delim",
            Status(200),
            &options("with-delim").replace(";branch", ";received=[2001:db8::9:255];branch"),
            "",
        ),
        case(
            "5118 4.5 via-received-param-no-delim",
            Status(200),
            &options("no-delim").replace(";branch", ";received=2001:db8::9:255;branch"),
            "",
        ),
        Case {
            by_ipv6: true,
            ..case(
                "5118 4.6 ipv6-in-sdp",
                Call,
                &call("ipv6-in-sdp"),
                "v=0\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\ns=Live video feed\nc=IN IP6 ::1\nt=3338481189 3370017201\n\
                 m=audio 9 RTP/AVP 0\nm=video 6024 RTP/AVP 107\na=rtpmap:107 H263-1998/90000\n",
            )
        },
        case(
            "5118 4.7 mult-ip-in-header",
            Status(481),
            &head("BYE sip:user@host.example.net", "mult-ip-in-header")
                .replace("Via: SIP/2.0/UDP 192.0.2.1", "Via: SIP/2.0/UDP [2001:db8::9:1]:6050")
                .replace("To: <sip:user@example.com>", "To: <sip:user@example.com>;tag=bd76ya")
                .replace(
                    "Max-Forwards",
                    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144\n\
                     Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200\nMax-Forwards",
                ),
            "",
        ),
        Case {
            by_ipv6: true,
            ..case(
                "5118 4.8 mult-ip-in-sdp",
                Call,
                &call("mult-ip-in-sdp"),
                "v=0\no=bob 280744730 28977631 IN IP4 host.example.com\ns=\nt=0 0\nm=audio 9 RTP/AVP 0\nc=IN IP6 ::1\n\
                 m=video 6024 RTP/AVP 107\nc=IN IP4 192.0.2.1\na=rtpmap:107 H263-1998/90000\n",
            )
        },
        case(
            "5118 4.9 ipv4-mapped-ipv6",
            Call,
            &call("ipv4-mapped-ipv6")
                .replace("[2001:db8::20]", "[::ffff:192.0.2.10]:19823")
                .replace("INVITE sip:user@[2001:db8::10]", "INVITE sip:user@example.com"),
            SDP,
        ),
        case(
            "5118 4.10 ipv6-bug-abnf-3-colons",
            Status(200),
            &head("OPTIONS sip:user@[2001:db8:::192.0.2.1]", "three-colons"),
            "",
        ),
    ]
}

fn case(name: &'static str, owed: Owed, head: &str, body: &str) -> Case {
    let body = body.replace('\n', "\r\n");
    let head = head.replace("{length}", &body.len().to_string()).replace("{rport}", ";rport").replace('\n', "\r\n");
    Case { name, owed, by_ipv6: false, bytes: format!("{head}\r\n{body}").into_bytes() }
}

/// The head of a plain request.
fn head(line: &str, name: &str) -> String {
    let method = line.split_once(' ').expect("a method").0;
    let content = if method == "INVITE" { "Content-Type: application/sdp\n" } else { "" };
    format!(
        "{line} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1{{rport}};branch=z9hG4bK{name}\nMax-Forwards: 70\nTo: <sip:user@example.com>\n\
         From: <sip:caller@example.net>;tag=f{name}\nCall-ID: {name}@192.0.2.1\nCSeq: 1 {method}\nContact: <sip:caller@192.0.2.1>\n\
         {content}Content-Length: {{length}}\n"
    )
}

/// The head of a plain response, to a request that nobody has sent.
fn response(line: &str, name: &str) -> String {
    let head = head("INVITE sip:user@example.com", name);
    format!("SIP/2.0 {line}\n{}", head.split_once('\n').expect("more lines").1)
}

fn lines_without(head: &str, names: &[&str]) -> String {
    head.split_inclusive('\n').filter(|line| !names.iter().any(|name| line.starts_with(&format!("{name}:")))).collect()
}
