//! RTP and RTCP: packets, telephone-event, reordering, gap filling, session.
