//! A mail server that misbehaves on request.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use afterbeep::domain::time::Timestamp;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What happens to one mail. Mails for which nothing was planned are accepted.
#[derive(Clone, Debug)]
pub enum Plan {
    Accept,
    /// This reply instead of the usual one.
    Reply(At, &'static str),
    /// The connection is closed without a reply.
    Drop(At),
    /// No reply, and no other sign of life, until the client goes away. Then the usual reply is written all the same.
    Hang(At),
}

/// A moment in the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Mail,
    Rcpt,
    Data,
    /// After the whole content has come.
    End,
}

/// A mail whose content came to its end, whatever was replied.
#[derive(Clone, Debug)]
pub struct Received {
    pub from: String,
    pub to: String,
    pub content: Vec<u8>,
    /// Whether the client was told 250.
    pub accepted: bool,
    /// When its last byte had come.
    pub at: Timestamp,
}

pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    received: watch::Receiver<Vec<Received>>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    plans: Mutex<VecDeque<Plan>>,
    /// What EHLO offers, and what AUTH is answered with.
    offers: Mutex<Vec<&'static str>>,
    auth: Mutex<&'static str>,
    starttls: Mutex<&'static str>,
    connections: watch::Sender<usize>,
    received: watch::Sender<Vec<Received>>,
    /// Raised to close every connection that waits for a command.
    hang_up: watch::Sender<usize>,
}

impl SmtpServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener)
    }

    /// On an address where a server was before.
    pub async fn start_at(address: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        Self::on(socket.listen(128).unwrap())
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, received) = watch::channel(Vec::new());
        let shared = Arc::new(Shared {
            plans: Mutex::default(),
            offers: Mutex::default(),
            auth: Mutex::new("235 2.7.0 welcome"),
            starttls: Mutex::new("502 5.5.1 no"),
            connections: watch::channel(0).0,
            received: sender,
            hang_up: watch::channel(0).0,
        });
        let accepting = tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    shared.connections.send_modify(|count| *count += 1);
                    let mut hang_up = shared.hang_up.subscribe();
                    let shared = shared.clone();
                    tokio::spawn(async move {
                        // The client going away in the middle is part of the tests.
                        let _ = converse(stream, &shared, &mut hang_up).await;
                    });
                }
            }
        });
        Self { address, shared, received, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// What happens to the next mails, in the order of their MAIL commands.
    pub fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        self.shared.plans.lock().unwrap().extend(plans);
    }

    pub fn auth(&self, reply: &'static str) {
        self.shared.offers.lock().unwrap().push("AUTH PLAIN LOGIN");
        *self.shared.auth.lock().unwrap() = reply;
    }

    pub fn starttls(&self, reply: &'static str) {
        self.shared.offers.lock().unwrap().push("STARTTLS");
        *self.shared.starttls.lock().unwrap() = reply;
    }

    /// Closes every connection that waits for a command.
    pub fn hang_up(&self) {
        self.shared.hang_up.send_modify(|times| *times += 1);
    }

    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Waits until `enough` holds for what has been received.
    pub async fn received_until(&self, enough: impl FnMut(&Vec<Received>) -> bool) -> Vec<Received> {
        let mut received = self.received.clone();
        let waiting = received.wait_for(enough);
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the mails should have come").unwrap().clone()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.hang_up();
    }
}

async fn converse(stream: TcpStream, shared: &Shared, hang_up: &mut watch::Receiver<usize>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufStream::new(stream);
    say(&mut stream, "220 relay.example ESMTP\r\n").await?;
    let (mut plan, mut from, mut to) = (Plan::Accept, String::new(), String::new());
    loop {
        let mut line = String::new();
        tokio::select! {
            read = stream.read_line(&mut line) => if read? == 0 { return Ok(()) },
            _ = hang_up.changed() => return Ok(()),
        }
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let (at, usual) = match verb.as_str() {
            "EHLO" => {
                let offers: String = shared.offers.lock().unwrap().iter().map(|offer| format!("250-{offer}\r\n")).collect();
                say(&mut stream, &format!("250-relay.example\r\n{offers}250 8BITMIME\r\n")).await?;
                continue;
            }
            "AUTH" => {
                let reply = *shared.auth.lock().unwrap();
                say(&mut stream, &format!("{reply}\r\n")).await?;
                continue;
            }
            "STARTTLS" => {
                let reply = *shared.starttls.lock().unwrap();
                say(&mut stream, &format!("{reply}\r\n")).await?;
                if reply.starts_with("220") {
                    // What follows is a TLS handshake, which nobody here speaks.
                    let mut rest = Vec::new();
                    stream.read_to_end(&mut rest).await?;
                    return Ok(());
                }
                continue;
            }
            "QUIT" => return say(&mut stream, "221 2.0.0 bye\r\n").await,
            "RSET" | "NOOP" => {
                say(&mut stream, "250 2.0.0 ok\r\n").await?;
                continue;
            }
            "MAIL" => {
                plan = shared.plans.lock().unwrap().pop_front().unwrap_or(Plan::Accept);
                from = line.to_owned();
                (At::Mail, "250 2.1.0 ok")
            }
            "RCPT" => {
                to = line.to_owned();
                (At::Rcpt, "250 2.1.5 ok")
            }
            "DATA" => (At::Data, "354 go ahead"),
            _ => {
                say(&mut stream, "502 5.5.1 what?\r\n").await?;
                continue;
            }
        };
        let Some(reply) = answer(&mut stream, &plan, at, usual).await? else { return Ok(()) };
        if at == At::Data && reply.starts_with('3') {
            let content = content(&mut stream).await?;
            let at = chrono::Utc::now().into();
            let mail = |accepted| Received { from: from.clone(), to: to.clone(), content: content.clone(), accepted, at };
            if matches!(plan, Plan::Drop(At::End) | Plan::Hang(At::End)) {
                shared.received.send_modify(|received| received.push(mail(false)));
            }
            let Some(reply) = answer(&mut stream, &plan, At::End, "250 2.0.0 queued").await? else { return Ok(()) };
            if !matches!(plan, Plan::Hang(At::End)) {
                shared.received.send_modify(|received| received.push(mail(reply.starts_with('2'))));
            }
        }
    }
}

/// Does what is planned; the reply that was given, if any.
async fn answer(
    stream: &mut BufStream<TcpStream>,
    plan: &Plan,
    at: At,
    usual: &'static str,
) -> std::io::Result<Option<&'static str>> {
    let reply = match plan {
        Plan::Reply(when, reply) if *when == at => *reply,
        Plan::Drop(when) if *when == at => return Ok(None),
        Plan::Hang(when) if *when == at => {
            // Until the client closes the connection or speaks out of turn.
            stream.fill_buf().await?;
            usual
        }
        _ => usual,
    };
    say(stream, &format!("{reply}\r\n")).await?;
    Ok(if reply.starts_with("421") { None } else { Some(reply) })
}

/// The content up to the lonely dot, with the dots at line starts taken away again.
async fn content(stream: &mut BufStream<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.strip_prefix(b".") {
            Some(b"\r\n") => return Ok(content),
            Some(rest) => content.extend_from_slice(rest),
            None => content.extend_from_slice(&line),
        }
    }
}

async fn say(stream: &mut BufStream<TcpStream>, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}
