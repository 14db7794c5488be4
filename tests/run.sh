#!/usr/bin/env bash
# Everything that must hold before a change lands: formatting, lints, tests. Installs the Debian
# packages that tests need where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v apt-get >/dev/null 2>&1; then
  # A software Vulkan driver draws the window's snapshots. Nothing is needed to build but a C compiler.
  missing=()
  # The rest is for the script that drives the real program on a display of its own.
  for package in gcc libc6-dev ca-certificates libvulkan1 mesa-vulkan-drivers libegl1 libgl1-mesa-dri \
    xvfb xdotool imagemagick jq libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon0 libxkbcommon-x11-0; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing: ${missing[*]}"
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo="sudo"
    $sudo apt-get update -q
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"
  fi
fi

export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"
export CARGO_TERM_COLOR=never

cargo fmt --check
cargo clippy --locked --all-targets -- -D warnings
# The scientific core stands without the window.
cargo check --locked --no-default-features --lib --bins
if command -v cargo-nextest >/dev/null 2>&1; then
  cargo nextest run --locked --no-fail-fast
  cargo test --locked --doc
else
  cargo test --locked --no-fail-fast
fi
# The binary is there: tests of the command line need it. Elsewhere than on Linux windows are driven in other ways.
if command -v Xvfb >/dev/null 2>&1; then
  tests/desktop.sh
else
  echo "run.sh: no Xvfb, so tests/desktop.sh is left out"
fi
