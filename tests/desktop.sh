#!/usr/bin/env bash
# A person's session with the real program on a display of its own: mouse and keyboard in, files and pictures out.
#   tests/desktop.sh [FOLDER]   keeps a screenshot of each step in FOLDER; CAMLENS names another program to drive
# Controls are found by the names that screen readers hear (`camlens --controls`); every wait is for something to happen.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${CAMLENS:-target/debug/camlens}")
[ -x "$program" ] || { echo "desktop.sh: there is no program at $program" >&2; exit 1; }
film=../shared/data/dicom/generated/20_no_window_12bit.dcm
who='Synthetic.?Header|TEST-0001' # the patient in that file
kept=$(realpath -m "${1:-target/desktop}")

for tool in Xvfb xdotool import identify jq; do
  command -v "$tool" >/dev/null || { echo "desktop.sh: '$tool' is not installed" >&2; exit 1; }
done
# Lower case and no signs that a keyboard has to be changed for.
work=$(dirname "$(mktemp -u)")/camlens-desktop-$$
mkdir -p "$work"/{home,config,data,none,run} "$kept"
chmod 700 "$work/run"
rm -f "$kept"/*.png
pids=()
leave() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap leave EXIT
fail() {
  echo "desktop.sh: $1" >&2
  timeout 20 import -window root "$kept/failed.png" 2>/dev/null || true
  tail -n 5 "$work/said" >&2 2>/dev/null || true
  exit 1
}

# wait_for SECONDS WHAT COMMAND...
wait_for() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < until)) || fail "waited in vain: $what"
    kill -0 "$window" 2>/dev/null || fail "the program ended while this was awaited: $what"
    sleep 0.1
  done
}
step=0
# Keeps a picture of the screen, which must show something.
shoot() {
  step=$((step + 1))
  local spread picture=$kept/$(printf %02d "$step")-$1.png
  import -window root "$picture"
  spread=$(identify -format '%[fx:standard_deviation]' "$picture")
  awk -v s="$spread" 'BEGIN { exit !(s > 0.05) }' || fail "step '$1' shows a blank window (spread $spread)"
}
# The middle of a control, or a point at these shares of its width and height: X Y.
at() {
  jq -er --arg role "$1" --arg name "$2" --argjson x "${3:-0.5}" --argjson y "${4:-0.5}" '
    map(select(.role == $role and (.name | startswith($name))))[0].rect |
    "\((.[0] + $x * (.[2] - .[0])) | floor) \((.[1] + $y * (.[3] - .[1])) | floor)"' "$work/controls.json" 2>/dev/null
}
there() { at "$1" "$2" >/dev/null; }
gone() { ! there "$1" "$2"; }
focused() {
  jq -e --arg role "$1" --arg name "$2" \
    'any(.[]; .role == $role and (.name | startswith($name)) and .focused)' "$work/controls.json" >/dev/null 2>&1
}
# Between two events lies a frame, or press and release would come as one: also where a frame takes long.
pace=0.2
mouse() { xdotool mousemove "$@" sleep "$pace"; }
click() {
  local place
  wait_for 20 "'$2'" there "$1" "$2"
  place=$(at "$1" "$2")
  # shellcheck disable=SC2086
  mouse $place
  xdotool mousedown 1 sleep "$pace" mouseup 1 sleep "$pace"
}
# drag ROLE NAME from X Y to X Y, in shares of the control
drag() {
  wait_for 20 "'$2'" there "$1" "$2"
  local from to x0 y0 x1 y1 i
  from=$(at "$1" "$2" "$3" "$4")
  to=$(at "$1" "$2" "$5" "$6")
  read -r x0 y0 <<<"$from"
  read -r x1 y1 <<<"$to"
  mouse "$x0" "$y0"
  xdotool mousedown 1 sleep "$pace"
  for i in 1 2 3; do
    mouse $((x0 + (x1 - x0) * i / 3)) $((y0 + (y1 - y0) * i / 3))
  done
  xdotool mouseup 1 sleep "$pace"
}
keys() { xdotool windowfocus "$id" key --clearmodifiers "$@" sleep "$pace"; }
# type_into ROLE NAME TEXT: in place of what stands there
type_into() {
  click "$1" "$2"
  # Letters that come sooner are commands.
  wait_for 10 "'$2' to take keys" focused "$1" "$2"
  keys ctrl+a
  xdotool type --delay 15 "$3"
  keys Return
}
# Asks with KEYS for a path in a sheet, as on a desktop without dialogs, and waits for the file.
write_file() {
  local sheet='File to write' tries
  for tries in 1 2 3; do
    keys "$1"
    for _ in $(seq 40); do
      there TextInput "$sheet" && break 2
      sleep 0.1
    done
  done
  type_into TextInput "$sheet" "$2"
  wait_for 30 "the file $(basename "$2")" test -s "$2"
  wait_for 10 "the sheet to close" gone TextInput "$sheet"
}
# says FILE FILTER: what a session holds
says() { jq -e ".session | $2" "$1" >/dev/null 2>&1; }
# The session that the window keeps by itself; it looks at what has changed when it draws, so it is given cause to.
keeps() {
  xdotool mousemove_relative -- 1 0 mousemove_relative -- -1 0
  says "$kept_session" "$1"
}
# by FILTER COMMAND...: does something until the kept session shows it, three times at most
by() {
  local filter=$1 tries i
  shift
  for tries in 1 2 3; do
    "$@"
    for i in $(seq 80); do
      keeps "$filter" && return
      sleep 0.1
    done
    echo "desktop.sh: once more: $*" >&2
  done
  fail "three times in vain: $*; the session does not say: $filter"
}
expect() { says "$1" "$2" || fail "$(basename "$1") does not say: $2"; }

# ---- a display and the program ----------------------------------------------------------------------
Xvfb -displayfd 3 -screen 0 1600x900x24 -nolisten tcp 3>"$work/display" 2>/dev/null &
pids+=($!)
window=$!
wait_for 10 "a display" test -s "$work/display"
export DISPLAY=:$(cat "$work/display")
args=()
if [ -f "$film" ]; then
  cp "$film" "$work/film.dcm"
else
  echo "desktop.sh: NO DICOM FILE at $film; a sample is used instead, and no patient's name is looked for" >&2
  cp assets/samples/adult-bilateral.png "$work/film.png"
fi
opened=$(echo "$work"/film.*)
# No PATH and no bus: nothing that could show a dialog of the desktop.
env -u DBUS_SESSION_BUS_ADDRESS -u WAYLAND_DISPLAY PATH="$work/none" HOME="$work/home" XDG_CONFIG_HOME="$work/config" \
  XDG_DATA_HOME="$work/data" XDG_RUNTIME_DIR="$work/run" LIBGL_ALWAYS_SOFTWARE=1 \
  "$program" --size 1600x900 --controls "$work/controls.json" >"$work/said" 2>&1 &
window=$!
pids+=("$window")
wait_for 30 "a window" eval 'id=$(xdotool search --onlyvisible --name "^Camlens" 2>/dev/null | head -n 1) && [ -n "$id" ]'
xdotool windowmove "$id" 0 0 windowfocus "$id"

# ---- the session ------------------------------------------------------------------------------------
wait_for 30 "the notice of the first start" there Button 'I understand'
shoot first-start
click Button 'I understand'
settings=$work/config/camlens/settings.json
wait_for 10 "the notice is taken note of" grep -qs '"understood": "' "$settings"

type_into TextInput 'Path of an X-ray or a network' "$opened"
kept_session=$work/config/camlens/last.camlens
wait_for 30 "the picture to open" keeps ".cases[0].image.path == \"$opened\""
shoot picture
target=$(jq -r .session.cases[0].target "$kept_session")
other=Normal
[ "$target" != Normal ] || other=Pneumonia
click Button "$other"
last=$(jq -r '.session.panels[0].layer' "$kept_session")
slide() {
  drag Slider Denoise 0.03 0.5 0.30 0.5
  drag Slider Blur 0.03 0.5 0.40 0.5
  drag Slider Cut 0.20 0.5 0.55 0.5
  drag Slider Opacity 0.50 0.5 0.80 0.5
  drag Slider 'Layer, panel 1' 0.95 0.5 0.40 0.5
}
slid='(.look.post.denoise > 0.2 and .look.post.denoise < 0.4) and .look.post.blur_px > 5 and
  (.look.post.cut > 0.45 and .look.post.cut < 0.65) and (.look.view.opacity > 0.7 and .look.view.opacity < 0.9)'
by "($slid) and .panels[0].layer != \"$last\"" slide
shoot sliders

draw() {
  local place
  place=$(at Image 'X-ray with')
  # shellcheck disable=SC2086
  mouse $place
  keys b
  drag Image 'X-ray with' 0.40 0.44 0.62 0.58
  keys Escape
}
by '.cases[0].regions.coco.annotations | length == 1' draw
shoot box

write_file ctrl+s "$work/one.camlens"
one=$work/one.camlens
expect "$one" '.cases[0].image | has("path")'
expect "$one" ".cases[0].target == \"$other\""
expect "$one" "$slid"
expect "$one" ".panels[0].layer != \"$last\" and (.panels[0].layer | length) > 0"
expect "$one" '.cases[0].regions.coco.annotations | length == 1'
expect "$one" '.cases[0].regions.coco.annotations[0].bbox | (.[2] > 20 and .[3] > 20)'
shoot saved

write_file ctrl+e "$work/grid.png"
identify "$work/grid.png" | grep -q PNG || fail "grid.png is no PNG"
for chunk in 'tEXtSoftware.Camlens' 'tEXtDisclaimer.Research use only'; do
  grep -aq "$chunk" "$work/grid.png" || fail "grid.png has no $chunk"
done
spread=$(identify -format '%[fx:standard_deviation]' "$work/grid.png")
awk -v s="$spread" 'BEGIN { exit !(s > 0.05) }' || fail "grid.png is blank"
shoot exported

keys ctrl+k
wait_for 10 "the palette" focused TextInput 'Find an action'
xdotool type --delay 15 'invert'
keys Return
wait_for 15 "grey levels to be inverted" keeps '.cases[0].display.invert == true'
shoot palette
keys ctrl+z
wait_for 15 "undo" keeps '.cases[0].display == null'
shoot undo

keys ctrl+q
code=0
for _ in $(seq 200); do kill -0 "$window" 2>/dev/null || break; sleep 0.1; done
kill -0 "$window" 2>/dev/null && fail "the program goes on after Ctrl+Q"
wait "$window" || code=$?
[ "$code" -eq 0 ] || fail "the program ended with status $code"
says "$kept_session" '.cases[0].regions.coco.annotations | length == 1' || fail "the last session lost its region"

# ---- nobody's name in anything that was written ---------------------------------------------------------
if [ -f "$film" ]; then
  grep -aqE "$who" "$opened" || fail "the DICOM file does not name its patient: the search below means nothing"
  if found=$(grep -raliE "$who" "$work" --exclude=film.dcm); then
    fail "the patient's name stands in: $found"
  fi
fi
echo "desktop.sh: $step steps, pictures in $kept, $SECONDS s"
