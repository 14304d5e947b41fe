//! `plugin.library.paths`: libraries that are loaded when the property is set and register interceptors.

use std::ffi::{CStr, CString, c_char, c_void};

use super::Conf;
use crate::types::RespErr;

/// What a plugin is begun with: the configuration, where to keep a pointer of its own, a buffer for its error.
type ConfInit = unsafe extern "C" fn(*mut Conf, *mut *mut c_void, *mut c_char, usize) -> RespErr;

/// A library that is loaded.
#[derive(Debug)]
pub(super) struct Plugin {
    path: CString,
    library: *mut c_void,
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // SAFETY: `dlopen` gave it, and this is its last use; the loader counts.
        unsafe { libc::dlclose(self.library) };
    }
}

/// Loads the libraries with semicolons between, each once, in place of those that are loaded.
///
/// # Errors
/// The loader's or the plugin's text, and the path.
///
/// # Safety
/// `conf` is valid and nobody else uses it but the plugins.
pub(super) unsafe fn load(conf: *mut Conf, paths: Option<&CStr>) -> Result<(), String> {
    // SAFETY: the caller vouches for `conf`.
    let old = unsafe { std::mem::take(&mut (*conf).plugins) };
    drop(old);
    let paths = paths.map_or(&b""[..], CStr::to_bytes).trim_ascii_start();
    if paths.is_empty() {
        return Ok(());
    }
    for path in paths.split(|byte| *byte == b';') {
        let path = CString::new(path).unwrap_or_default();
        // SAFETY: the caller vouches for `conf`; no borrow lasts over the call.
        unsafe {
            let loaded = &(*conf).plugins;
            if loaded.iter().any(|known| known.path == path) {
                continue;
            }
            match begin(conf, &path) {
                Ok(library) => (*conf).plugins.push(Plugin { path, library }),
                Err(why) => {
                    let loaded = std::mem::take(&mut (*conf).plugins);
                    drop(loaded);
                    return Err(format!("{why} (plugin {})", path.to_string_lossy()));
                }
            }
        }
    }
    Ok(())
}

/// # Safety
/// As for [`load`].
unsafe fn begin(conf: *mut Conf, path: &CStr) -> Result<*mut c_void, String> {
    let library = open(path)?;
    // SAFETY: the library is loaded; the name ends in a NUL byte.
    let symbol = unsafe { libc::dlsym(library, c"conf_init".as_ptr()) };
    if symbol.is_null() {
        let why = format!("Failed to load symbol \"conf_init\": {}", loader_error());
        // SAFETY: loaded above, and not used again.
        unsafe { libc::dlclose(library) };
        return Err(why);
    }
    let mut opaque = std::ptr::null_mut();
    let mut text = [0_u8; 512];
    // SAFETY: a plugin's `conf_init` has this type by contract.
    let error = unsafe {
        let conf_init = std::mem::transmute::<*mut c_void, ConfInit>(symbol);
        conf_init(conf, &raw mut opaque, text.as_mut_ptr().cast(), text.len())
    };
    if error != RespErr::NO_ERROR {
        // SAFETY: loaded above, and not used again.
        unsafe { libc::dlclose(library) };
        return Err(CStr::from_bytes_until_nul(&text).unwrap_or_default().to_string_lossy().into_owned());
    }
    Ok(library)
}

/// Opens the library; where there is none of a name without extension, the one with `.so` behind it.
fn open(path: &CStr) -> Result<*mut c_void, String> {
    let dlopen = |path: &CStr| {
        // SAFETY: the path ends in a NUL byte; what the library does when it is loaded is the program's choice.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() { Err(format!("dlopen() failed: {}", loader_error())) } else { Ok(library) }
    };
    let name = path.to_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let has_extension = name.iter().rev().take(3).any(|byte| *byte == b'.');
    match dlopen(path) {
        Err(_) if !has_extension => {
            let longer = [path.to_bytes(), b".so"].concat();
            dlopen(&CString::new(longer).unwrap_or_default())
        }
        result => result,
    }
}

fn loader_error() -> String {
    // SAFETY: the text is valid until the thread's next call of the loader.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "No error returned from dlerror()".to_owned();
    }
    // SAFETY: not NULL, and it ends in a NUL byte.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().replace('\n', ".")
}
