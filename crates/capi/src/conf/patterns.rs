//! Lists of regular expressions with commas between (`topic.blacklist`), read by libc's POSIX engine as librdkafka's are.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;

/// Checks each expression of the list.
///
/// # Errors
/// librdkafka's text for the first that libc does not take.
pub(super) fn check(list: &str) -> Result<(), String> {
    for pattern in split(list) {
        if let Err(why) = compile(pattern) {
            return Err(format!("Failed to parse pattern \"{pattern}\": {why}"));
        }
    }
    Ok(())
}

/// The expressions of the list.
fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|pattern| !pattern.is_empty())
}

fn compile(pattern: &str) -> Result<(), String> {
    let Ok(pattern) = CString::new(pattern) else { return Err("it has a NUL byte".to_owned()) };
    let mut regex = MaybeUninit::<libc::regex_t>::zeroed();
    // SAFETY: the pattern ends in a NUL byte; `regex` is written before it is read.
    let code = unsafe { libc::regcomp(regex.as_mut_ptr(), pattern.as_ptr(), libc::REG_EXTENDED | libc::REG_NOSUB) };
    if code == 0 {
        // SAFETY: it was compiled, and this is its last use.
        unsafe { libc::regfree(regex.as_mut_ptr()) };
        return Ok(());
    }
    let mut text = [0_u8; 256];
    // SAFETY: the buffer's size is given.
    unsafe { libc::regerror(code, regex.as_ptr(), text.as_mut_ptr().cast(), text.len()) };
    Err(CStr::from_bytes_until_nul(&text).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_at_single_commas() {
        assert_eq!(split("^a,,b").collect::<Vec<_>>(), ["^a", "b"]);
        assert!(check("^abc,def$").is_ok());
        assert!(check("^abc,*(").unwrap_err().starts_with("Failed to parse pattern \""));
    }
}
