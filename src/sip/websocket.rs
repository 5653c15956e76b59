//! SIP over WebSocket (RFC 7118), as browsers speak it: one message in each frame.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    connection::{CLOSE_TIMEOUT, Heard, Reader, WRITE_TIMEOUT},
    wire::{LONGEST_UPGRADE, MAX_MESSAGE, UpgradeRefusal, answer_upgrade},
};

/// A keep-alive inside a frame (RFC 5626 §4.4.1), which some browsers' libraries prefer to WebSocket's own.
const PING: &[u8] = b"\r\n\r\n";

/// What a WebSocket is spoken over: a TCP connection or a TLS one.
pub(super) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// A WebSocket whose subprotocol is SIP.
pub(super) type WebSocket = WebSocketStream<Box<dyn Carrier>>;

/// Shakes hands with a browser, or sends it away with an HTTP status.
///
/// # Errors
///
/// When it is sent away, or leaves.
pub(super) async fn accept(mut stream: Box<dyn Carrier>, origins: Arc<[String]>) -> io::Result<WebSocket> {
    let mut head = Vec::new();
    let answer = loop {
        let mut buffer = [0; 1024];
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let searched = head.len().saturating_sub(3);
        head.extend_from_slice(&buffer[..length]);
        match head[searched..].windows(4).position(|four| four == b"\r\n\r\n") {
            Some(at) => {
                let end = searched + at + 4;
                break answer_upgrade(&head[..end], &origins).map(|answer| (answer, head.split_off(end)));
            }
            None if head.len() > LONGEST_UPGRADE => break Err(UpgradeRefusal::TooLong),
            None => {}
        }
    };
    match answer {
        Ok((answer, rest)) => {
            stream.write_all(answer.as_bytes()).await?;
            stream.flush().await?;
            Ok(WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config())).await)
        }
        Err(refusal) => {
            stream.write_all(refusal.response().as_bytes()).await?;
            stream.shutdown().await?;
            Err(io::Error::other(refusal))
        }
    }
}

/// Small buffers, since there are many connections, and no frame longer than a message may be.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_MESSAGE)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// Reads messages until the peer leaves or misbehaves; says why.
pub(super) async fn read(
    mut socket: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    mut reader: Reader,
) -> String {
    loop {
        let message = match reader.wait(socket.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(error))) => return error.to_string(),
            Ok(None) => return "the peer closed it".to_owned(),
            Err(why) => return why,
        };
        let heard = match message {
            Message::Text(text) => content(text.into()),
            Message::Binary(bytes) => content(bytes),
            // It is answered already.
            Message::Ping(_) => Some(Heard::Ping { answer: Bytes::new() }),
            Message::Pong(_) | Message::Frame(_) => None,
            Message::Close(_) => return "the peer closed it".to_owned(),
        };
        if let Some(heard) = heard
            && let Err(why) = reader.hear(heard).await
        {
            return why;
        }
    }
}

fn content(bytes: Bytes) -> Option<Heard> {
    match &bytes[..] {
        PING => Some(Heard::Ping { answer: Bytes::from_static(b"\r\n") }),
        // Half a ping, or the answer to one that we never sent.
        b"" | b"\r\n" => None,
        _ => Some(Heard::Message(bytes)),
    }
}

/// Writes what waits until the peer does not read any more or nobody needs the connection; says why.
pub(super) async fn write(
    mut socket: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    mut waiting: mpsc::Receiver<Bytes>,
) -> String {
    while let Some(bytes) = waiting.recv().await {
        // A browser hands over text as text; what is no UTF-8 can only be binary.
        let message = match String::from_utf8(bytes.into()) {
            Ok(text) => Message::text(text),
            Err(error) => Message::binary(error.into_bytes()),
        };
        match timeout(WRITE_TIMEOUT, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "the peer does not read".to_owned(),
        }
    }
    let _ = timeout(CLOSE_TIMEOUT, socket.close()).await;
    "no longer needed".to_owned()
}
