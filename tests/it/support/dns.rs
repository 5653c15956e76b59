//! A DNS server on loopback that knows a few names.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, MessageType, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, NAPTR, SRV},
    },
};
use tokio::net::UdpSocket;

/// A zone in the making.
#[derive(Default)]
pub struct Zone(HashMap<(String, RecordType), Vec<RData>>);

/// A server that answers from its zone.
pub struct Dns {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Zone {
    pub fn host(self, host: &str, address: [u8; 4]) -> Self {
        self.with(host, RecordType::A, RData::A(A(Ipv4Addr::from(address))))
    }

    pub fn host_ipv6(self, host: &str, address: Ipv6Addr) -> Self {
        self.with(host, RecordType::AAAA, RData::AAAA(AAAA(address)))
    }

    pub fn server(self, service: &str, priority: u16, port: u16, host: &str) -> Self {
        self.with(service, RecordType::SRV, RData::SRV(SRV::new(priority, 1, port, name(host))))
    }

    pub fn service(self, domain: &str, order: u16, service: &str, replacement: &str) -> Self {
        let record = NAPTR::new(order, 1, b"s"[..].into(), service.as_bytes().into(), Box::default(), name(replacement));
        self.with(domain, RecordType::NAPTR, RData::NAPTR(record))
    }

    fn with(mut self, owner: &str, kind: RecordType, data: RData) -> Self {
        self.0.entry((name(owner).to_ascii(), kind)).or_default().push(data);
        self
    }

    /// Serves it until the test is over.
    pub async fn serve(self) -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let Ok(request) = Message::from_vec(&buffer[..length]) else { continue };
                let Some(query) = request.queries.first().cloned() else { continue };
                let (owner, kind) = (query.name().to_ascii().to_ascii_lowercase(), query.query_type());
                log.lock().expect("nobody panics with it").push(format!("{kind} {owner}"));
                let mut answer = Message::new(request.metadata.id, MessageType::Response, OpCode::Query);
                answer.metadata.recursion_desired = true;
                answer.metadata.recursion_available = true;
                let known = self.0.get(&(owner.clone(), kind));
                let exists = self.0.keys().any(|(known, _)| *known == owner);
                answer.metadata.response_code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
                answer.add_query(query.clone());
                for data in known.into_iter().flatten() {
                    answer.add_answer(Record::from_rdata(query.name().clone(), 60, data.clone()));
                }
                let _ = socket.send_to(&answer.to_vec().expect("a short answer"), from).await;
            }
        });
        Dns { address, asked }
    }
}

impl Dns {
    /// What it was asked, in order, such as `SRV _sip._udp.example.`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).expect("a name")
}
