use proptest::prelude::*;

use super::*;

const LOCAL: LocalMedia =
    LocalMedia { address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), port: 30_000, session_id: 7001, version: 1 };

#[test]
fn a_plain_offer_is_answered_with_its_payload_types() {
    let (bytes, negotiated) = answered(
        "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=call\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 8 0 9 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\n\
         a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\na=ptime:20\r\na=sendrecv\r\n",
    );

    assert_eq!(
        bytes,
        "v=0\r\no=- 7001 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 30000 RTP/AVP 8 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n\
         a=ptime:20\r\na=sendrecv\r\n"
    );
    assert_eq!(
        negotiated,
        Negotiated {
            codec: Codec::Pcma,
            codec_payload_type: 8,
            telephone_event: Some(96),
            packet_time: 20,
            remote: "198.51.100.7:40000".parse().unwrap(),
            remote_rtcp: "198.51.100.7:40001".parse().unwrap(),
            direction_send: true,
            direction_receive: true,
            rtcp_mux: false,
            security: Security::None,
        }
    );
}

#[test]
fn static_payload_types_need_no_name() {
    let (bytes, negotiated) = answered("v=0\nc=IN IP4 198.51.100.7\nm=audio 40000 RTP/AVP 3 0\n");

    assert_eq!((negotiated.codec, negotiated.codec_payload_type, negotiated.telephone_event), (Codec::Pcmu, 0, None));
    assert!(bytes.contains("m=audio 30000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"), "{bytes}");
}

#[test]
fn names_outweigh_numbers() {
    let (bytes, negotiated) = answered(&with_audio(
        "m=audio 40000 RTP/AVP 0 97 98 99\na=rtpmap:0 L16/8000\na=rtpmap:97 pcma/8000/2\na=rtpmap:98 Telephone-Event/48000\n\
         a=rtpmap:99  pcmu/8000/1 \n",
    ));

    assert_eq!((negotiated.codec, negotiated.codec_payload_type, negotiated.telephone_event), (Codec::Pcmu, 99, None));
    assert!(bytes.contains("m=audio 30000 RTP/AVP 99\r\na=rtpmap:99 PCMU/8000\r\n"), "{bytes}");
}

#[test]
fn telephone_event_is_taken_at_our_clock_rate_whatever_its_number() {
    for number in [96, 101, 127] {
        let (_, negotiated) = answered(&with_audio(&format!(
            "m=audio 40000 RTP/AVP 95 {number} 0\na=rtpmap:95 telephone-event/16000\na=rtpmap:{number} telephone-event/8000\n"
        )));

        assert_eq!(negotiated.telephone_event, Some(number));
    }
}

#[test]
fn other_streams_are_refused_in_their_places() {
    let (bytes, negotiated) = answered(&with_audio(
        "m=video 50000 RTP/AVP 31 34\na=rtpmap:31 H261/90000\nm=audio 0 RTP/AVP 0\nm=audio 50002 RTP/SAVP 0\n\
         m=audio 50004 RTP/AVP 3\nm=audio 50006 RTP/AVP 0\nm=audio 50008 RTP/AVP 8\nm=application 9 UDP/BFCP *\n",
    ));

    assert_eq!(negotiated.remote.port(), 50_006);
    let lines: Vec<_> = bytes.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=video 0 RTP/AVP 31 34",
            "m=audio 0 RTP/AVP 0",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 0 RTP/AVP 3",
            "m=audio 30000 RTP/AVP 0",
            "m=audio 0 RTP/AVP 8",
            "m=application 0 UDP/BFCP *",
        ]
    );
}

#[test]
fn an_offer_that_does_not_fit_says_why() {
    let cases = [
        ("m=video 40000 RTP/AVP 31\n", "NoAudio"),
        ("m=audio 0 RTP/AVP 0\n", "NoAudio"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 111 0\n", "NoAudio"),
        ("", "NoAudio"),
        ("m=audio 40000 RTP/AVP 3 101\na=rtpmap:101 telephone-event/8000\n", "NoCommonCodec"),
        ("m=audio 40000 RTP/AVP 96 300 x\na=rtpmap:96 PCMU/16000\n", "NoCommonCodec"),
        ("m=audio 40000 RTP/AVP 0\nc=IN IP4 phone.example.com\n", "UnusableAddress"),
        ("m=audio 40000 RTP/AVP 0\nc=IN IP4 239.1.1.1/127\n", "UnusableAddress"),
        ("m=audio 40000 RTP/AVP 0\nc=IN IP4 239.1.1.1\n", "UnusableAddress"),
        ("m=audio 40000 RTP/AVP 0\nc=IN IP6 ff02::1\n", "UnusableAddress"),
        ("m=audio 40000 RTP/AVP 0\nc=IN IP4 255.255.255.255\n", "UnusableAddress"),
        ("m=audio 40000 RTP/AVP 0\nc=ATM NSAP 198.51.100.7\n", "UnusableAddress"),
        ("m=audio 40000 RTP/AVP 0\nc=IN IP6 2001:db8::7\n", "OtherIpVersion"),
    ];

    for (streams, expected) in cases {
        let offer = parse_offer(with_audio(streams).as_bytes()).unwrap();
        let error = answer(&offer, &LOCAL, &Codec::ALL, &LocalSecurity::none()).unwrap_err();

        assert!(format!("{error:?}").starts_with(expected), "{streams}: {error:?}");
    }
    let nowhere = parse_offer(b"v=0\nm=audio 40000 RTP/AVP 0\n").unwrap();
    assert!(matches!(answer(&nowhere, &LOCAL, &Codec::ALL, &LocalSecurity::none()), Err(AnswerError::UnusableAddress)));
}

#[test]
fn the_closest_miss_is_named() {
    let streams = "m=audio 4000 RTP/AVP 3\nm=audio 4002 RTP/AVP 0\nc=IN IP4 name\nm=audio 4004 RTP/AVP 3\n";

    let error =
        answer(&parse_offer(with_audio(streams).as_bytes()).unwrap(), &LOCAL, &Codec::ALL, &LocalSecurity::none()).unwrap_err();

    assert!(matches!(error, AnswerError::UnusableAddress), "{error:?}");
}

#[test]
fn ipv6_is_answered_with_ipv6() {
    let offer = parse_offer(b"v=0\nc=IN IP6 2001:db8::7\nm=audio 40000 RTP/AVP 0\n").unwrap();
    let local = LocalMedia { address: "2001:db8::1".parse().unwrap(), ..LOCAL };

    let (bytes, negotiated) = answer(&offer, &local, &Codec::ALL, &LocalSecurity::none()).unwrap();

    assert_eq!(negotiated.remote, "[2001:db8::7]:40000".parse().unwrap());
    assert!(String::from_utf8(bytes).unwrap().contains("\r\nc=IN IP6 2001:db8::1\r\n"));
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_ipv4() {
    let (_, negotiated) = answered("v=0\nc=IN IP6 ::ffff:198.51.100.7\nm=audio 40000 RTP/AVP 0\n");

    assert_eq!(negotiated.remote, "198.51.100.7:40000".parse().unwrap());
}

#[test]
fn the_streams_own_address_and_direction_outweigh_the_sessions() {
    let (bytes, negotiated) =
        answered("v=0\nc=IN IP4 198.51.100.7\na=inactive\nm=audio 40000 RTP/AVP 0\nc=IN IP4 198.51.100.8\na=sendonly\n");

    assert_eq!(negotiated.remote.ip(), IpAddr::from([198, 51, 100, 8]));
    assert_eq!((negotiated.direction_send, negotiated.direction_receive), (false, true));
    assert!(bytes.ends_with("a=recvonly\r\n"), "{bytes}");
}

#[test]
fn every_kind_of_hold_is_understood() {
    let cases = [
        ("a=sendrecv\n", "sendrecv", true, true),
        ("a=sendonly\n", "recvonly", false, true),
        ("a=recvonly\n", "sendonly", true, false),
        ("a=inactive\n", "inactive", false, false),
        ("c=IN IP4 0.0.0.0\n", "recvonly", false, true),
        ("c=IN IP4 0.0.0.0\na=inactive\n", "inactive", false, false),
        ("c=IN IP6 ::\n", "recvonly", false, true),
    ];

    for (lines, answer, send, receive) in cases {
        let (bytes, negotiated) = answered(&with_audio(&format!("m=audio 40000 RTP/AVP 0\n{lines}")));

        assert!(bytes.ends_with(&format!("a={answer}\r\n")), "{lines}: {bytes}");
        assert_eq!((negotiated.direction_send, negotiated.direction_receive), (send, receive), "{lines}");
        assert_eq!(negotiated.is_hold(), !send);
    }
}

#[test]
fn rtcp_goes_where_it_is_wanted() {
    let cases = [
        ("", "198.51.100.7:40001"),
        ("a=rtcp:41000\n", "198.51.100.7:41000"),
        ("a=rtcp:41000 IN IP4 198.51.100.9\n", "198.51.100.9:41000"),
        ("a=rtcp:41000 IN IP4 239.1.1.1\n", "198.51.100.7:40001"),
        ("a=rtcp:41000 IN IP6 2001:db8::7\n", "198.51.100.7:41000"),
        ("a=rtcp:9 IN IP4 0.0.0.0\n", "198.51.100.7:9"),
        ("a=rtcp:0\n", "198.51.100.7:40001"),
        ("a=rtcp:nonsense\n", "198.51.100.7:40001"),
        ("a=rtcp:41000\na=rtcp-mux\n", "198.51.100.7:40000"),
    ];

    for (lines, expected) in cases {
        let (bytes, negotiated) = answered(&with_audio(&format!("m=audio 40000 RTP/AVP 0\n{lines}")));

        assert_eq!(negotiated.remote_rtcp, expected.parse().unwrap(), "{lines}");
        assert_eq!(negotiated.rtcp_mux, lines.contains("mux"));
        assert_eq!(bytes.contains("a=rtcp-mux\r\n"), lines.contains("mux"));
    }
    let (_, negotiated) = answered(&with_audio("m=audio 65535 RTP/AVP 0\n"));
    assert_eq!(negotiated.remote_rtcp.port(), 65_535);
}

#[test]
fn the_times_of_the_offer_are_repeated() {
    let (bytes, _) = answered("v=0\nt=2873397496 2873404696\nc=IN IP4 198.51.100.7\nm=audio 40000 RTP/AVP 0\n");

    assert!(bytes.contains("\r\nt=2873397496 2873404696\r\n"), "{bytes}");
}

#[test]
fn the_feedback_profile_is_kept() {
    let (bytes, _) = answered(&with_audio("m=audio 40000 RTP/AVPF 0\n"));

    assert!(bytes.contains("m=audio 30000 RTP/AVPF 0\r\n"), "{bytes}");
}

#[test]
fn careless_telephones_are_understood() {
    let offer = b"v=0 \no=M\xfcller 99999999999999999999999999 -1 IN IP4\ns=\xff\ni=\ne=\nb=\nk=\nz=x\nr=1\nt=\nt=0 0 \n\
        c=IN  IP4  198.51.100.7 \nm=audio  40000   RTP/AVP   0  101 \na=rtpmap:101   telephone-event/8000 \n\
        a=tool:M\xfcller\na=\nx=y\n\n\n";

    let (bytes, negotiated) = answer(&parse_offer(offer).unwrap(), &LOCAL, &Codec::ALL, &LocalSecurity::none()).unwrap();

    assert_eq!((negotiated.remote, negotiated.telephone_event), ("198.51.100.7:40000".parse().unwrap(), Some(101)));
    assert!(String::from_utf8(bytes).unwrap().contains("\r\nt=0 0\r\n"));
}

#[test]
fn what_is_no_description_is_refused() {
    let bad: [&[u8]; 8] = [
        b"",
        b"hello",
        b"v=1\nm=audio 4000 RTP/AVP 0\n",
        b"m=audio 4000 RTP/AVP 0\n",
        b"v=0\nm=audio 70000 RTP/AVP 0\n",
        b"v=0\nm=audio\n",
        b"v=0\nc=IN IP4\nm=audio 4000 RTP/AVP 0\n",
        b"v=0\na=x\0y\nm=audio 4000 RTP/AVP 0\n",
    ];

    for bytes in bad {
        assert!(matches!(parse_offer(bytes), Err(SdpError::Malformed(_))), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn descriptions_are_bounded() {
    let of_streams = |count| format!("v=0\n{}", "m=audio 4000 RTP/AVP 0\n".repeat(count));
    assert!(parse_offer(of_streams(MOST_STREAMS).as_bytes()).is_ok());
    assert!(matches!(parse_offer(of_streams(MOST_STREAMS + 1).as_bytes()), Err(SdpError::TooManyStreams)));

    let of_bytes = |count: usize| format!("v=0\ns={}\n", "x".repeat(count - 7));
    assert!(parse_offer(of_bytes(LONGEST_DESCRIPTION).as_bytes()).is_ok());
    assert!(matches!(parse_offer(of_bytes(LONGEST_DESCRIPTION + 1).as_bytes()), Err(SdpError::TooLong)));
}

#[test]
fn our_offer_has_both_codecs_and_telephone_event() {
    assert_eq!(
        String::from_utf8(offer(&LOCAL, &Codec::G711).bytes()).unwrap(),
        "v=0\r\no=- 7001 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 30000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
}

#[test]
fn wideband_is_answered_with_its_own_clock_and_parameters() {
    let offer = "m=audio 40000 RTP/AVP 111 9 0 101 110 13\na=rtpmap:111 OPUS/48000/2\na=fmtp:111 minptime=10\n\
                 a=rtpmap:101 telephone-event/8000\na=rtpmap:110 telephone-event/48000\na=ptime:40\na=maxptime:60\n";

    let (bytes, negotiated) = answered(&with_audio(offer));

    assert!(
        bytes.contains(
            "m=audio 30000 RTP/AVP 111 110\r\na=rtpmap:111 opus/48000/2\r\n\
             a=fmtp:111 maxplaybackrate=16000;sprop-maxcapturerate=16000;useinbandfec=1\r\n\
             a=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-15\r\na=ptime:20\r\n"
        ),
        "{bytes}"
    );
    assert_eq!((negotiated.codec, negotiated.telephone_event, negotiated.packet_time), (Codec::Opus, Some(110), 40));
}

#[test]
fn keys_of_the_usual_clock_are_better_than_none_beside_opus() {
    let offer = "m=audio 40000 RTP/AVP 96 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\n";

    assert_eq!(answered(&with_audio(offer)).1.telephone_event, Some(101));
}

#[test]
fn g722_and_comfort_noise_are_known_by_their_numbers() {
    let (bytes, negotiated) = answered(&with_audio("m=audio 40000 RTP/AVP 9 13\n"));

    assert!(bytes.contains("m=audio 30000 RTP/AVP 9 13\r\na=rtpmap:9 G722/8000\r\na=rtpmap:13 CN/8000\r\n"), "{bytes}");
    assert_eq!(negotiated.codec, Codec::G722);
}

#[test]
fn g729_is_known_by_its_number_and_by_its_names_and_sends_no_silence() {
    for offer in [
        "m=audio 40000 RTP/AVP 18 0\na=fmtp:18 annexb=yes\n",
        "m=audio 40000 RTP/AVP 18\na=rtpmap:18 G729A/8000\n",
        "m=audio 40000 RTP/AVP 18\na=rtpmap:18 g729/8000/1\n",
    ] {
        let (bytes, negotiated) = answered(&with_audio(offer));

        assert!(bytes.contains("m=audio 30000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n"), "{bytes}");
        assert_eq!(negotiated.codec, Codec::G729);
    }
}

#[test]
fn a_codec_that_was_left_out_is_not_answered() {
    let offer = parse_offer(with_audio("m=audio 40000 RTP/AVP 9 0\n").as_bytes()).unwrap();

    assert_eq!(answer(&offer, &LOCAL, &[Codec::Pcma, Codec::Pcmu], &LocalSecurity::none()).unwrap().1.codec, Codec::Pcmu);
    assert!(matches!(answer(&offer, &LOCAL, &[Codec::Opus], &LocalSecurity::none()), Err(AnswerError::NoCommonCodec)));
}

#[test]
fn packets_are_as_long_as_the_peer_asks() {
    for (lines, expected) in [
        ("", 20),
        ("a=ptime:30\n", 30),
        ("a=ptime:60\na=maxptime:40\n", 40),
        ("a=maxptime:10\n", 10),
        ("a=ptime:\n", 20),
        ("a=ptime:20.0\n", 20),
        ("a=ptime:4000000000000\n", 20),
        ("a=ptime:1000\n", 255),
    ] {
        let (_, negotiated) = answered(&with_audio(&format!("m=audio 40000 RTP/AVP 0\n{lines}")));

        assert_eq!(negotiated.packet_time, expected, "{lines:?}");
    }
}

#[test]
fn our_offer_and_our_answer_agree() {
    let peer = LocalMedia { address: IpAddr::from([198, 51, 100, 7]), port: 40_000, session_id: 9, version: 3 };
    for direction in Direction::ALL {
        for codecs in [&Codec::ALL[..], &[Codec::Pcma], &[Codec::Opus]] {
            let own = offer(&LOCAL, codecs).with_direction(direction);

            let (bytes, theirs) =
                answer(&parse_offer(&own.bytes()).unwrap(), &peer, &Codec::ALL, &LocalSecurity::none()).unwrap();
            let ours = accept_answer(&own, &bytes).unwrap();

            let telephone_event = if codecs[0] == Codec::Opus { 102 } else { 101 };
            assert_eq!((ours.codec, ours.telephone_event), (codecs[0], Some(telephone_event)));
            assert_eq!((theirs.codec, theirs.telephone_event), (codecs[0], Some(telephone_event)));
            assert_eq!((ours.remote.port(), theirs.remote.port()), (40_000, 30_000));
            assert_eq!((ours.direction_send, ours.direction_receive), (direction.sends(), direction.receives()));
            assert_eq!((theirs.direction_send, theirs.direction_receive), (direction.receives(), direction.sends()));
        }
    }
}

#[test]
fn a_terse_answer_means_what_we_offered() {
    let own = offer(&LOCAL, &Codec::G711);
    let terse = b"v=0\nc=IN IP4 198.51.100.7\nm=audio 40000 RTP/AVP 8 101\n";

    let negotiated = accept_answer(&own, terse).unwrap();

    assert_eq!((negotiated.codec, negotiated.telephone_event), (Codec::Pcma, Some(101)));
    assert_eq!(accept_answer(&own.without_telephone_event(), terse).unwrap().telephone_event, None);
}

#[test]
fn an_answer_that_agrees_to_nothing_is_refused() {
    let own = offer(&LOCAL, &[Codec::Pcmu]);
    let cases = [
        ("", "NoAudio"),
        ("m=audio 0 RTP/AVP 0\n", "NoAudio"),
        ("m=audio 40000 RTP/SAVP 0\n", "NoAudio"),
        ("m=audio 40000 RTP/AVP 8\n", "NoCommonCodec"),
        ("m=audio 40000 RTP/AVP 101\n", "NoCommonCodec"),
        ("m=audio 40000 RTP/AVP 0\nc=IN IP4 phone.example\n", "UnusableAddress"),
        ("m=audio 40000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n", "OtherIpVersion"),
        ("m=audio\n", "Unreadable"),
    ];

    for (streams, expected) in cases {
        let error = accept_answer(&own, with_audio(streams).as_bytes()).unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{streams}: {error:?}");
    }
}

#[test]
fn an_answer_can_put_us_on_hold() {
    let own = offer(&LOCAL, &[Codec::Pcmu]);
    let answered = |lines: &str| {
        let negotiated = accept_answer(&own, with_audio(&format!("m=audio 40000 RTP/AVP 0\n{lines}")).as_bytes()).unwrap();
        (negotiated.direction_send, negotiated.direction_receive)
    };

    assert_eq!(answered(""), (true, true));
    assert_eq!(answered("a=sendonly\n"), (false, true));
    assert_eq!(answered("a=recvonly\n"), (true, false));
    assert_eq!(answered("a=inactive\n"), (false, false));
    assert_eq!(answered("c=IN IP4 0.0.0.0\n"), (false, true));
}

proptest! {
    #[test]
    fn no_bytes_make_us_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_offer(&bytes).map(|offer| answer(&offer, &LOCAL, &Codec::ALL, &LocalSecurity::none()).map(drop));
        let _ = accept_answer(&offer(&LOCAL, &Codec::G711), &bytes);
    }

    /// Whatever the lines, an answer can be read, has a stream for each of the offer's, and accepts one of them.
    #[test]
    fn an_answer_mirrors_its_offer(lines in proptest::collection::vec(line(), 0..24)) {
        let text = format!("v=0\r\nc=IN IP4 198.51.100.7\r\n{}", lines.concat());
        if let Ok((bytes, negotiated)) = parse_offer(text.as_bytes()).map_or(Err(AnswerError::NoAudio), |offer| answer(&offer, &LOCAL, &Codec::ALL, &LocalSecurity::none())) {
            let answer = description::Description::parse(&bytes).unwrap();
            let accepted: Vec<_> = answer.streams.iter().filter(|stream| stream.port != 0).collect();

            prop_assert_eq!(answer.streams.len(), lines.iter().filter(|line| line.starts_with("m=")).count());
            prop_assert_eq!(accepted.len(), 1);
            prop_assert_eq!(accepted[0].telephone_event(negotiated.codec.clock_rate()).map(|(number, _)| number), negotiated.telephone_event);
            prop_assert!(!negotiated.remote.ip().is_multicast());
            prop_assert!(!(negotiated.direction_send && negotiated.remote.ip().is_unspecified()));
        }
    }
}

fn line() -> impl Strategy<Value = String> {
    let media = prop_oneof![Just("audio"), Just("AUDIO"), Just("video"), Just("image")];
    let protocol = prop_oneof![Just("RTP/AVP"), Just("RTP/AVPF"), Just("RTP/SAVP"), Just("udptl")];
    let port = prop_oneof![Just(0), any::<u16>()];
    let formats = proptest::collection::vec(prop_oneof![Just(0_u8), Just(8), Just(101), any::<u8>()], 1..5);
    let m_line = (media, port, protocol, formats).prop_map(|(media, port, protocol, formats)| {
        let formats: Vec<_> = formats.iter().map(ToString::to_string).collect();
        format!("m={media} {port} {protocol} {}\r\n", formats.join(" "))
    });
    let name = prop_oneof![Just("PCMU/8000"), Just("telephone-event/8000"), Just("PCMA/8000/1"), Just("opus/48000/2"), Just("")];
    let address = prop_oneof![Just("198.51.100.9"), Just("0.0.0.0"), Just("239.0.0.1"), Just("name"), Just("::")];
    prop_oneof![
        3 => m_line,
        2 => (any::<u8>(), name).prop_map(|(number, name)| format!("a=rtpmap:{number} {name}\r\n")),
        1 => address.prop_map(|address| format!("c=IN IP4 {address}\r\n")),
        1 => prop_oneof![Just("sendonly"), Just("inactive"), Just("rtcp-mux"), Just("rtcp:9"), Just("recvonly")]
            .prop_map(|attribute| format!("a={attribute}\r\n")),
        1 => "[a-z]=[ -~]{0,20}\r\n".prop_filter("only generated m= and v= lines", |line| !line.starts_with(['m', 'v'])),
    ]
}

fn answered(offer: &str) -> (String, Negotiated) {
    let (bytes, negotiated) =
        answer(&parse_offer(offer.as_bytes()).unwrap(), &LOCAL, &Codec::ALL, &LocalSecurity::none()).unwrap();
    (String::from_utf8(bytes).unwrap(), negotiated)
}

fn with_audio(streams: &str) -> String {
    format!("v=0\nc=IN IP4 198.51.100.7\n{streams}")
}
