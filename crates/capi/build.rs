//! Gives the library librdkafka's SONAME.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,librdkafka.so.1");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
