//! A TCP stream that never reads ahead of the line that is being waited for.
//!
//! Whoever sits between us and the relay can send text right after the relay's answer to STARTTLS. `lettre` would keep it in
//! its buffer and take it, after the handshake, for the relay's encrypted answers: it could say 250 to every mail. Handed
//! on line by line, such text meets the TLS handshake instead, which fails.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// See the module's text. Answers are short, so the extra copying does not matter.
#[derive(Debug)]
pub(super) struct LineByLine {
    inner: TcpStream,
    held: Vec<u8>,
    given: usize,
}

impl LineByLine {
    pub fn new(inner: TcpStream) -> Self {
        Self { inner, held: Vec::new(), given: 0 }
    }
}

impl AsyncRead for LineByLine {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.given == this.held.len() {
            let mut chunk = [0; 2048];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.inner).poll_read(context, &mut chunk))?;
            this.held.clear();
            this.held.extend_from_slice(chunk.filled());
            this.given = 0;
        }
        let waiting = &this.held[this.given..];
        let line = waiting.iter().position(|&b| b == b'\n').map_or(waiting.len(), |end| end + 1);
        let length = line.min(out.remaining());
        out.put_slice(&waiting[..length]);
        this.given += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LineByLine {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl AsyncTokioStream for LineByLine {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}
