//! Passwords: from the terminal without echo, asked twice, or from standard input. Never from an argument, which every
//! user of the machine can read.

use std::io::Read;

use zeroize::Zeroizing;

use super::{Failure, Status};
use crate::secret::{ExposeSecret, SecretString};

/// The most that is read, in bytes; far more than any password.
const LIMIT: u64 = 4096;

/// The new password of `login`.
///
/// # Errors
/// Where there is no terminal to ask at, or nothing usable came.
pub fn read(login: &str, from_stdin: bool) -> Result<SecretString, Failure> {
    if from_stdin { parse(std::io::stdin().lock()) } else { ask(login) }
}

fn ask(login: &str) -> Result<SecretString, Failure> {
    let prompt = |text: String| match rpassword::prompt_password(text) {
        Ok(password) => Ok(SecretString::from(password)),
        Err(error) => Err(Failure::of("cannot ask for a password without a terminal", &error)
            .hint("--password-stdin reads it from standard input")),
    };
    let first = prompt(format!("New password for {login}: "))?;
    let second = prompt("The same again: ".into())?;
    if first.expose_secret() != second.expose_secret() {
        return Err(Failure::because("the two passwords differ; nothing was changed"));
    }
    parse(first.expose_secret().as_bytes())
}

/// One line of text; its end does not belong to the password.
fn parse(input: impl Read) -> Result<SecretString, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    let read = input.take(LIMIT + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::of("cannot read the password from standard input", &error))?;
    let wrong = |rule: &str| Failure::because(format!("the password {rule}")).status(Status::Usage);
    if bytes.len() as u64 > LIMIT {
        return Err(wrong("is longer than 4096 bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is not UTF-8 text"))?;
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() {
        return Err(wrong("is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong("holds a line break or another control character"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_is_not_part_of_the_password() {
        for text in ["Correct Horse 1", "Correct Horse 1\n", "Correct Horse 1\r\n"] {
            assert_eq!(parse(text.as_bytes()).unwrap().expose_secret(), "Correct Horse 1");
        }
        assert_eq!(parse(" blanks stay \n".as_bytes()).unwrap().expose_secret(), " blanks stay ");
    }

    #[test]
    fn what_cannot_be_a_password_is_refused() {
        let giant = "x".repeat(5000);
        for text in ["", "\n", "two\nlines\n", "nul\0", giant.as_str()] {
            assert!(parse(text.as_bytes()).is_err(), "{text:.20?}");
        }
        assert!(parse([0xff_u8, 0xfe].as_slice()).is_err());
    }
}
