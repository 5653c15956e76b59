//! Argon2id over memory that is kept: a hash works on 19 MiB, and memory that comes and goes in such pieces, in whatever thread
//! is free, stays with the process many times over.

use std::sync::{Mutex, PoisonError};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString},
};

/// The length of a hash in bytes.
const LENGTH: usize = 32;

/// The hash of a passcode as a PHC string, with the crate's default cost (OWASP's first choice).
///
/// `None` when the salt does not fit, which 16 bytes do.
pub(super) fn new(digits: &str, salt: &[u8]) -> Option<String> {
    let params = Params::default();
    let output = hash(digits, salt, &params, Algorithm::Argon2id, Version::V0x13)?;
    let salt = SaltString::encode_b64(salt).ok()?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).ok()?,
        salt: Some(salt.as_salt()),
        hash: Some(output),
    };
    Some(phc.to_string())
}

/// Whether a passcode is the one that was hashed, compared in constant time. `None` when the hash cannot be read.
pub(super) fn fits(phc: &str, digits: &str) -> Option<bool> {
    let phc = PasswordHash::new(phc).ok()?;
    let params = Params::try_from(&phc).ok()?;
    let algorithm = Algorithm::try_from(phc.algorithm).ok()?;
    let version = phc.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let mut salt = [0; Salt::MAX_LENGTH];
    let salt = phc.salt?.decode_b64(&mut salt).ok()?;
    Some(hash(digits, salt, &params, algorithm, version)? == phc.hash?)
}

fn hash(digits: &str, salt: &[u8], params: &Params, algorithm: Algorithm, version: Version) -> Option<Output> {
    let mut output = [0; LENGTH];
    let output = &mut output[..params.output_len().unwrap_or(LENGTH).min(LENGTH)];
    with_memory(params.block_count(), |memory| {
        let argon2 = Argon2::new(algorithm, version, params.clone());
        argon2.hash_password_into_with_memory(digits.as_bytes(), salt, output, memory).ok()
    })?;
    Output::new(output).ok()
}

/// Lends memory that an earlier hash has left; there are never more pieces than hashes at once.
fn with_memory<T>(blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
    static SPARE: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());
    let spare = || SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut memory = spare().pop().unwrap_or_default();
    if memory.len() < blocks {
        memory.resize(blocks, Block::new());
    }
    let done = work(&mut memory[..blocks]);
    // What is left in it was made from a passcode.
    memory.fill(Block::new());
    spare().push(memory);
    done
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    #[test]
    fn hashes_are_those_of_the_crate() {
        let ours = new("49158730", b"sixteen bytes ..").unwrap();
        let parsed = PasswordHash::new(&ours).unwrap();
        let theirs = Argon2::default().hash_password(b"49158730", parsed.salt.unwrap()).unwrap().to_string();

        assert_eq!(ours, theirs);
        assert!(Argon2::default().verify_password(b"49158730", &parsed).is_ok());
    }

    #[test]
    fn only_the_same_passcode_fits() {
        let hash = new("49158730", b"sixteen bytes ..").unwrap();

        assert_eq!(fits(&hash, "49158730"), Some(true));
        assert_eq!(fits(&hash, "49158731"), Some(false));
        assert_eq!(fits("49158730", "49158730"), None);
    }
}
