//! Mails as `.eml` files, when there is no relay: any mail program opens them.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::ComposedMail;

/// Writes the mail into `folder`, named after its Message-ID, and returns the file. Repeating it replaces the file.
///
/// The file is complete and on disk when this returns; a crash leaves at most a `.part` file.
///
/// # Errors
///
/// Whatever the file system says.
pub fn write(folder: &Path, mail: &ComposedMail) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let id = mail.message_id.split('@').next().unwrap_or_default();
    // Ids are ours and plain; what is not would be a path.
    let name: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let part = folder.join(format!("{name}.part"));
    let file = folder.join(format!("{name}.eml"));
    let mut writer = File::create(&part)?;
    writer.write_all(&mail.bytes)?;
    writer.sync_all()?;
    fs::rename(&part, &file)?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_becomes_one_file_however_often_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("mail");
        let mail = |bytes: &[u8]| ComposedMail {
            message_id: "abc123@example.com".into(),
            from: "vm@example.com".parse().unwrap(),
            to: "ann@example.com".parse().unwrap(),
            bytes: bytes.to_vec(),
        };

        write(&folder, &mail(b"first")).unwrap();
        let file = write(&folder, &mail(b"second")).unwrap();

        assert_eq!(file, folder.join("abc123.eml"));
        assert_eq!(fs::read(&file).unwrap(), b"second");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
