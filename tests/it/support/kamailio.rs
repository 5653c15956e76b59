//! Kamailio as the front proxy of several nodes.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{certificate::Authority, server::eventually};

/// A running Kamailio.
pub struct Kamailio {
    process: Child,
    folder: TempDir,
    udp: SocketAddr,
    tls: SocketAddr,
}

impl Kamailio {
    /// A proxy that sends calls to these nodes, by UDP, in turn.
    pub fn start(nodes: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for kamailio");
        let (certificate, key) = Authority::new(folder.path()).certify("proxy", "/CN=localhost", "DNS:localhost,IP:127.0.0.1");
        let mut list = String::new();
        for node in nodes {
            writeln!(list, "1 sip:{node} 8").expect("a String takes everything");
        }
        fs::write(folder.path().join("dispatcher.list"), list).expect("a folder of ours");
        let (udp, tls) = (free_udp_port(), free_tcp_port());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let template = fs::read_to_string(root.join("tests/tools/kamailio.cfg")).expect("a file of the tests");
        let configuration = template
            .replace("@UDP@", &udp.port().to_string())
            .replace("@TLS@", &tls.port().to_string())
            .replace("@CERTIFICATE@", &certificate.to_string_lossy())
            .replace("@KEY@", &key.to_string_lossy())
            .replace("@FOLDER@", &folder.path().to_string_lossy());
        fs::write(folder.path().join("kamailio.cfg"), configuration).expect("a folder of ours");
        let log = fs::File::create(folder.path().join("log")).expect("a folder of ours");
        let process = Command::new("/usr/sbin/kamailio")
            .args(["-DD", "-E", "-m", "64", "-M", "8", "-f"])
            .arg(folder.path().join("kamailio.cfg"))
            .arg("-Y")
            .arg(folder.path())
            .arg("-P")
            .arg(folder.path().join("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("kamailio is installed (Debian packages kamailio, kamailio-tls-modules, kamailio-websocket-modules)");
        let proxy = Self { process, folder, udp, tls };
        eventually("kamailio listens", || std::net::TcpStream::connect(tls).ok());
        proxy
    }

    pub fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Where TLS is spoken, and WebSockets over it.
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its children end with it only when it is asked to.
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.process), rustix::process::Signal::TERM);
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- kamailio's log\n{}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
        }
    }
}

fn free_udp_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback has a free port")
}

fn free_tcp_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("loopback has a free port")
}
