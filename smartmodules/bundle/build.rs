//! Builds the guests for wasm32 with a cargo of its own and writes `modules.rs`, which includes them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, exit},
};

use sha2::{Digest, Sha256};

const TARGET: &str = "wasm32-unknown-unknown";

/// The guests of the product.
const GUESTS: &[&str] = &["normalize", "signal-score", "noise-filter"];

/// The guest for tests.
const TEST_GUESTS: &[&str] = &["misbehave"];

fn main() {
    let bundle = path_var("CARGO_MANIFEST_DIR");
    let root = match bundle.ancestors().nth(2) {
        Some(root) => root.to_owned(),
        None => fail("the bundle stands outside of its workspace"),
    };
    let mut guests = GUESTS.to_vec();
    if env::var_os("CARGO_FEATURE_TEST_GUESTS").is_some() {
        guests.extend(TEST_GUESTS);
    }
    watch(&root, &guests);

    let target_dir = path_var("OUT_DIR").join("guests");
    build(&root, &target_dir, &guests);
    write_modules(&target_dir.join(TARGET).join("guest"), &guests);
}

/// What the guests are made of, and nothing else, so that an edit elsewhere does not rebuild them.
fn watch(root: &Path, guests: &[&str]) {
    let smartmodules = root.join("smartmodules");
    let mut sources = vec![
        root.join("Cargo.toml"),
        root.join("rust-toolchain.toml"),
        root.join("schemas/Cargo.toml"),
        root.join("schemas/src"),
        root.join("pipelines/text/Cargo.toml"),
        root.join("pipelines/text/src"),
        smartmodules.join("guest/Cargo.toml"),
        smartmodules.join("guest/src"),
        smartmodules.join("bundle/build.rs"),
    ];
    for guest in guests {
        for part in [
            "Cargo.toml",
            "src",
            "rules",
            "lexicons",
            "model",
            "build.rs",
        ] {
            sources.push(smartmodules.join(guest).join(part));
        }
    }
    // A path that does not exist would make cargo run this script every time.
    for source in sources.iter().filter(|s| s.exists()) {
        println!("cargo:rerun-if-changed={}", source.display());
    }
}

fn build(root: &Path, target_dir: &Path, guests: &[&str]) {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args([
            "build",
            "--profile",
            "guest",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(target_dir);
    if root.join("Cargo.lock").exists() {
        command.arg("--locked");
    }
    for guest in guests {
        command.args(["-p", &format!("telesift-{guest}")]);
    }
    // The outer cargo's settings are for the host. `RUSTC_WRAPPER` (a compiler cache) and the jobserver stay;
    // `RUSTC_WORKSPACE_WRAPPER` goes, or clippy would build the guests.
    for name in [
        "RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_TARGET_DIR",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
        "CLIPPY_ARGS",
        "CLIPPY_CONF_DIR",
    ] {
        command.env_remove(name);
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(root).join("\x1f"));

    let output = match command.output() {
        Ok(output) => output,
        Err(error) => fail(&format!("cargo cannot be started: {error}")),
    };
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        fail(&advice());
    }
}

/// The same bytes on every machine: no paths of the one that built them.
fn flags(root: &Path) -> Vec<String> {
    let mut flags = vec![format!("--remap-path-prefix={}=.", root.display())];
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    if let Some(home) = cargo_home {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    flags
}

fn advice() -> String {
    if has_target() {
        "the SmartModules do not build; the errors stand above".into()
    } else {
        format!("the target {TARGET} is missing: run `rustup target add {TARGET}`")
    }
}

/// Whether the toolchain has the standard library of the guests' target.
fn has_target() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .is_ok_and(|o| Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_dir())
}

fn write_modules(built: &Path, guests: &[&str]) {
    let mut modules = String::new();
    let mut all = String::new();
    for guest in guests {
        let wasm = built.join(format!("telesift_{}.wasm", guest.replace('-', "_")));
        let bytes = match fs::read(&wasm) {
            Ok(bytes) => bytes,
            Err(error) => fail(&format!("{}: {error}", wasm.display())),
        };
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let constant = guest.replace('-', "_").to_uppercase();
        modules.push_str(&format!(
            "/// The SmartModule `{guest}`.\npub const {constant}: &[u8] = include_bytes!({wasm:?});\n"
        ));
        all.push_str(&format!(
            "    SmartModule {{ name: {guest:?}, wasm: {constant}, sha256: {sha256:?} }},\n"
        ));
    }
    modules.push_str(&format!(
        "/// All of them, in the order of a chain.\npub const ALL: &[SmartModule] = &[\n{all}];\n"
    ));
    let path = path_var("OUT_DIR").join("modules.rs");
    if let Err(error) = fs::write(&path, modules) {
        fail(&format!("{}: {error}", path.display()));
    }
}

fn path_var(name: &str) -> PathBuf {
    match env::var_os(name) {
        Some(path) => path.into(),
        None => fail(&format!("cargo did not set {name}")),
    }
}

fn fail(why: &str) -> ! {
    println!("cargo:warning=telesift-bundle: {why}");
    eprintln!("telesift-bundle: {why}");
    exit(1)
}
