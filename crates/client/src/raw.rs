//! What the C ABI needs and no Rust program does.

/// How many driver threads there are in this process.
pub fn threads() -> usize {
    crate::runtime::threads()
}
