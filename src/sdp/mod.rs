//! Offer in, answer out (RFC 3264).
