#!/usr/bin/env bash
# Makes every picture of this folder again, from the sessions in sessions/ and the samples in the program.
#   screenshots/make.sh [PROGRAM]    the program is target/release/camlens unless another is named
# Without a display of its own it brings one: Xvfb must be installed.
set -euo pipefail
cd "$(dirname "$0")"
program=$(realpath "${1:-../target/release/camlens}")
[ -x "$program" ] || { echo "make.sh: there is no program at $program; cargo build --release" >&2; exit 1; }
work=$(mktemp -d)
display=
leave() {
  [ -z "$display" ] || kill "$display" 2>/dev/null || true
  rm -rf "$work"
}
trap leave EXIT

# Always a display of this size: the pictures are the same wherever they are made.
command -v Xvfb >/dev/null || { echo "make.sh: Xvfb is not installed" >&2; exit 1; }
Xvfb -displayfd 3 -screen 0 1600x1000x24 -nolisten tcp 3>"$work/display" 2>/dev/null &
display=$!
for _ in $(seq 100); do [ -s "$work/display" ] && break; sleep 0.1; done
[ -s "$work/display" ] || { echo "make.sh: Xvfb does not start" >&2; exit 1; }
export DISPLAY=:$(cat "$work/display") LIBGL_ALWAYS_SOFTWARE=1 XDG_RUNTIME_DIR=$work
unset WAYLAND_DISPLAY WAYLAND_SOCKET

# shot SESSION PICTURE [OPTION...]
shot() {
  echo "$2"
  "$program" "$work/$1.camlens" --screenshot "$work/$2" --size 1440x900 --device cpu "${@:3}" 2>"$work/said" || {
    cat "$work/said" >&2
    exit 1
  }
  mv "$work/$2" "$2"
}

# A second network to compare with: the demo's after one epoch more, on synthetic chests of this program. Its session
# stands beside it, since paths in a session are relative to it.
echo one-epoch-more.safetensors
{
  "$program" samples --people 40 --seed 7 --out "$work/people"
  "$program" train --data "$work/people" --from ../models/demo --epochs 1 --seed 2 --out "$work/trained"
} >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
mv "$work/trained/model.safetensors" "$work/one-epoch-more.safetensors"
cp sessions/*.camlens "$work"

shot main window-dark.png
shot main window-light.png --light
for session in sessions/*.camlens; do
  name=$(basename "$session" .camlens)
  [ "$name" = main ] || shot "$name" "window-$name.png"
done

# The figure of the README.
echo fine-grained.png
"$program" figure --demo --sample man-right-middle --class Pneumonia --scale 0.4 --blur 8 --cut 0.1 \
  --layer layer1.0,layer2.0,layer3.0,layer4 --out "$work/fine-grained.png" --row "grad-cam,layer-cam,fg-cam:shortcut=window,\
fg-cam:shortcut=window;denoise=yes,lrp-epsilon-plus:shortcut=window,grad-cam-lrp:shortcut=window" 2>"$work/said" || {
  cat "$work/said" >&2
  exit 1
}
mv "$work/fine-grained.png" fine-grained.png
