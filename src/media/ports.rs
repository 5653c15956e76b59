//! A pair of UDP ports for each call: an even one for RTP, the next for RTCP (RFC 3550 §11).

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    ops::RangeInclusive,
};

use socket2::{Domain, Protocol, Socket, Type};

/// "Expedited forwarding" (RFC 3246), as the top six bits of the traffic class.
const EXPEDITED: u32 = 46 << 2;

/// The sockets of one call.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    pub(super) local: SocketAddr,
}

/// Binds a free pair on `ip`, in `range`, or wherever the system likes without one.
///
/// # Errors
///
/// [`io::ErrorKind::AddrInUse`] when every pair is taken, or what the system says, as with an address that is not ours.
pub(super) fn bind(ip: IpAddr, range: Option<&RangeInclusive<u16>>) -> io::Result<Ports> {
    let Some(range) = range else {
        // The system chooses one; whether it is even and has a free neighbour is luck, as good as half.
        for _ in 0..64 {
            let rtp = udp(SocketAddr::new(ip, 0))?;
            let local = rtp.local_addr()?;
            if local.port() % 2 == 0
                && let Some(ports) = with_neighbour(rtp, local)?
            {
                return Ok(ports);
            }
        }
        return Err(io::ErrorKind::AddrInUse.into());
    };
    let first = range.start().next_multiple_of(2);
    let pairs = range.end().saturating_sub(first).div_ceil(2);
    // From a random one on, so that ports are hard to guess and late packets of the call before find nobody.
    let start = if pairs == 0 { 0 } else { rand::random_range(0..pairs) };
    for pair in 0..pairs {
        let port = first + (start + pair) % pairs * 2;
        let local = SocketAddr::new(ip, port);
        match udp(local) {
            Ok(rtp) => {
                if let Some(ports) = with_neighbour(rtp, local)? {
                    return Ok(ports);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn with_neighbour(rtp: UdpSocket, local: SocketAddr) -> io::Result<Option<Ports>> {
    match udp(SocketAddr::new(local.ip(), local.port() + 1)) {
        Ok(rtcp) => Ok(Some(Ports { rtp, rtcp, local })),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

fn udp(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    // Marking packets is a courtesy to routers; a system that refuses it can still carry a call.
    let _ = match local {
        SocketAddr::V4(_) => socket.set_tos_v4(EXPEDITED),
        SocketAddr::V6(_) => socket.set_tclass_v6(EXPEDITED),
    };
    socket.bind(&local.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_pair_is_even_and_odd_in_a_row() {
        let ports = bind(LOOPBACK, None).expect("a free pair");

        assert_eq!(ports.local.port() % 2, 0);
        assert_eq!(ports.rtcp.local_addr().expect("bound").port(), ports.local.port() + 1);
    }

    #[test]
    fn a_pair_lies_within_its_range() {
        let ports = bind(LOOPBACK, Some(&(20_001..=29_999))).expect("a free pair");

        assert_eq!(ports.local.port() % 2, 0);
        assert!((20_002..29_999).contains(&ports.local.port()));
    }

    #[test]
    fn a_range_is_used_up_and_no_further() {
        let taken = bind(LOOPBACK, None).expect("a free pair").local.port();
        let _ports = bind(LOOPBACK, Some(&(taken..=taken + 1)));

        // Whoever has that pair now, it is not free.
        assert_eq!(bind(LOOPBACK, Some(&(taken..=taken + 1))).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_range_too_small_for_a_pair_has_none() {
        for range in [30_001..=30_002, 30_000..=30_000, RangeInclusive::new(9, 3)] {
            assert_eq!(bind(LOOPBACK, Some(&range)).expect_err("no pair").kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn an_address_of_somebody_else_is_refused() {
        let error = bind(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), Some(&(30_000..=30_010))).expect_err("not ours");

        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
