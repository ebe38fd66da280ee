//! Links the program without position independence on Linux: a relocated `.data.rel.ro` would be a private copy in each of hundreds of shims.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
