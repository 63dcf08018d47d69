#!/usr/bin/env bash
# Proves the directions of ARCHITECTURE.md: which crate may know which heavy driver. Each `forbid` fails if the driver is
# in the crate's tree; the `require` beside it fails if it is not where it must be, so that a renamed package cannot make
# every check pass.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
failed=0

# Where only tests know it, cargo prints nothing and is content.
knows() { [ -n "$("$cargo" tree --locked -q -p "$1" -e normal -i "$2" 2>/dev/null)" ]; }
forbid() {
  local heavy=$1; shift
  for crate in "$@"; do
    if knows "$crate" "$heavy"; then echo "direction broken: $crate knows $heavy"; failed=1; fi
  done
}
require() { knows "$1" "$2" || { echo "check broken: $1 should know $2"; failed=1; }; }

pure="telesift-schemas telesift-text telesift-windows"
rules="telesift-normalize telesift-signal-score telesift-noise-filter telesift-learn"
middle="telesift-ports telesift-stages telesift-api telesift-telegram telesift-models telesift-extract"

forbid lancedb $pure $rules $middle telesift-engine telesift-log-embedded telesift-catalog
forbid wasmtime $pure $rules $middle telesift-log-embedded telesift-catalog telesift-store-lance
forbid fjall $pure $rules $middle telesift-engine telesift-catalog telesift-store-lance
forbid fluvio $pure $rules $middle telesift-engine telesift-log-embedded telesift-catalog telesift-store-lance
forbid sqlx $pure $rules $middle telesift-engine telesift-log-embedded telesift-store-lance
forbid candle-core $pure $rules telesift-extract telesift-ports telesift-stages telesift-api telesift-telegram telesift-engine telesift-log-embedded telesift-log-fluvio telesift-catalog telesift-store-lance
forbid axum $pure $rules telesift-extract telesift-ports telesift-stages telesift-telegram telesift-models telesift-engine telesift-catalog
forbid tokio $pure $rules
forbid telesift-ports $pure $rules

require telesift-store-lance lancedb
require telesift-engine wasmtime
require telesift-log-embedded fjall
require telesift-log-fluvio fluvio
require telesift-models candle-core
require telesift-catalog sqlx
require telesift-api axum
require telesift tokio

[ "$failed" -eq 0 ] && echo "directions hold"
exit "$failed"
