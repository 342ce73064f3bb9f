#!/bin/sh
# The product in a minute: a numbered, beeping film of 60 s, cut, encoded in parallel, joined, proven.
#
#   deploy/demo.sh path/to/framefleet folder
set -eu
framefleet=$1
folder=$2
mkdir -p "$folder"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

say "1. What this machine has"
"$framefleet" doctor

say "2. A film of 60 s whose pictures carry their number, with a beep each second"
"$framefleet" sample "$folder/film.mov" --duration 60s --overwrite

say "3. How it would be cut"
"$framefleet" plan "$folder/film.mov" --segment-duration 5s

say "4. Encoded in parallel segments, joined and proven, into two containers at once"
"$framefleet" transcode "$folder/film.mov" "$folder/film.mp4" "$folder/film.mkv" \
    --segment-duration 5s --preset veryfast --overwrite

if command -v ffprobe >/dev/null && command -v python3 >/dev/null; then
    say "5. Read back by ffmpeg, which shares no code with framefleet"
    for made in film.mp4 film.mkv; do
        printf '%s  ' "$made"
        python3 tests/oracle/seamcheck.py check "$folder/$made" --like "$folder/film.mov"
    done
fi
say "Made:"
ls -l "$folder"
