//! Certificates for tests, made with OpenSSL.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A certificate authority with a folder of its own: `authority.pem`, and what it has certified.
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// A fresh authority.
    ///
    /// # Panics
    ///
    /// When OpenSSL is not installed.
    pub fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder for the authority");
        let authority = Self { folder: folder.to_owned() };
        let own =
            ["req", "-x509", "-days", "2", "-subj", "/CN=test authority", "-keyout", "authority.key", "-out", "authority.pem"];
        authority.openssl(&[&own[..], &KEY].concat());
        authority
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Certifies somebody: `subject` like `/CN=localhost`, `names` like `DNS:localhost,IP:127.0.0.1`, or empty. Gives the files of the
    /// certificate and its key, which begin with `file`.
    pub fn certify(&self, file: &str, subject: &str, names: &str) -> (PathBuf, PathBuf) {
        let [key, request, certificate] = ["key", "request", "certificate"].map(|what| format!("{file}-{what}.pem"));
        let names = format!("subjectAltName={names}");
        let ask = ["req", "-subj", subject, "-keyout", &key, "-out", &request];
        let extensions = ["-addext", "basicConstraints=CA:FALSE", "-addext", &names];
        let extensions = if names.ends_with('=') { &extensions[..2] } else { &extensions };
        self.openssl(&[&ask[..], &KEY, extensions].concat());
        let sign = ["x509", "-req", "-days", "2", "-in", &request, "-CA", "authority.pem", "-CAkey", "authority.key"];
        self.openssl(&[&sign[..], &["-CAcreateserial", "-copy_extensions", "copy", "-out", &certificate]].concat());
        (self.folder.join(certificate), self.folder.join(key))
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(&self.folder)
            .output()
            .expect("openssl is needed to make test certificates");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
