//! A private PostgreSQL server for this run of the tests, reached by a socket file, with a new database for each test.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use afterbeep::domain::id::OutboxId;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

/// The URL of a new, empty database; `None` when the developer does without PostgreSQL.
///
/// # Panics
///
/// When no server can be started and the developer has not said to do without.
pub async fn new_database() -> Option<String> {
    if does_without() {
        return None;
    }
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(Server::start);
    let name = format!("test_{}", OutboxId::random());
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&server.url("postgres")).await.unwrap();
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    connection.close().await.unwrap();
    Some(server.url(&name))
}

/// A server that nobody else uses, so that it can be made to hang.
pub struct OwnServer(Server);

impl OwnServer {
    /// `None` when the developer does without PostgreSQL.
    pub fn start() -> Option<Self> {
        (!does_without()).then(|| Self(Server::start()))
    }

    /// The URL of a database.
    pub fn url(&self) -> String {
        self.0.url("postgres")
    }

    /// Stops every process of the server where it is.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let file = std::fs::read_to_string(self.0.dir.join("data/postmaster.pid")).unwrap();
        let postmaster: i32 = file.lines().next().unwrap().parse().unwrap();
        // The postmaster first, so that no process is added behind our back.
        kill_process(Pid::from_raw(postmaster).unwrap(), signal).unwrap();
        let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        for child in children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)) {
            // One may just have ended.
            let _ = kill_process(child, signal);
        }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // A stopped server cannot be stopped for good.
        self.thaw();
    }
}

fn does_without() -> bool {
    let without = env::var_os("AFTERBEEP_TEST_WITHOUT_POSTGRES").is_some_and(|set| set == "1");
    if without {
        eprintln!("skipped: AFTERBEEP_TEST_WITHOUT_POSTGRES=1");
    }
    without
}

struct Server {
    dir: PathBuf,
    /// A shell that stops the server and removes its folder as soon as its standard input closes, however we end.
    _keeper: Child,
}

const KEEPER: &str = r#"
set -e
"$1/initdb" -A trust -U tester --no-sync -D "$2/data" >"$2/log" 2>&1
"$1/pg_ctl" -D "$2/data" -l "$2/log" -w -o "-F -k $2 -c listen_addresses= -c max_connections=300" start >>"$2/log" 2>&1
echo ready
read -r _ || true
"$1/pg_ctl" -D "$2/data" -m immediate stop >/dev/null 2>&1
rm -rf "$2"
"#;

impl Server {
    fn start() -> Self {
        let programs = programs().unwrap_or_else(|| {
            panic!(
                "these tests need PostgreSQL's initdb and pg_ctl (Debian: apt-get install postgresql); \
                 set AFTERBEEP_TEST_WITHOUT_POSTGRES=1 to do without"
            )
        });
        // Short, because the path of a socket may have 107 bytes only.
        let dir = tempfile::Builder::new().prefix("afterbeep-pg-").tempdir_in("/tmp").unwrap().keep();
        let mut keeper = if rustix::process::geteuid().is_root() {
            // PostgreSQL refuses to run as root.
            assert!(Command::new("chown").arg("postgres").arg(&dir).status().unwrap().success(), "there is no user postgres");
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let mut keeper = keeper
            .args(["-c", KEEPER, "sh"])
            .args([&programs, &dir])
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut said).unwrap();
        if said != "ready\n" {
            panic!("PostgreSQL did not start:\n{}", std::fs::read_to_string(dir.join("log")).unwrap_or_default());
        }
        Self { dir, _keeper: keeper }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://tester@localhost/{database}?host={}", self.dir.display())
    }
}

/// The folder of PostgreSQL's programs: Debian keeps them out of the path.
fn programs() -> Option<PathBuf> {
    let debian =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    debian.chain(env::split_paths(&path)).find(|dir| has(dir, "initdb") && has(dir, "pg_ctl"))
}

fn has(dir: &Path, program: &str) -> bool {
    dir.join(program).is_file()
}
