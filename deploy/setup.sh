#!/usr/bin/env bash
# Brings what a build needs: the wasm target of the toolchain and protoc. Says in one line what it cannot bring.
set -euo pipefail

say() { printf 'telesift: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

have cargo || { say 'install Rust first: https://rustup.rs'; exit 1; }
have cc || { say 'install a C compiler first (Debian: apt-get install build-essential; macOS: xcode-select --install)'; exit 1; }

target=wasm32-unknown-unknown
if have rustup; then
  rustup target list --installed 2>/dev/null | grep -qx "$target" || rustup target add "$target" >&2
elif [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
  say "the Rust target $target is missing, and there is no rustup to add it: install it with your package manager"
  exit 1
fi

have protoc && exit 0
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
if have apt-get && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; then
  say 'installing protobuf-compiler'
  "${as_root[@]}" apt-get update -qq >&2 && "${as_root[@]}" apt-get install -y -qq protobuf-compiler >&2
elif have brew; then
  say 'installing protobuf'
  brew install --quiet protobuf >&2
fi
have protoc || { say 'install protoc first (Debian: apt-get install protobuf-compiler; macOS: brew install protobuf)'; exit 1; }
