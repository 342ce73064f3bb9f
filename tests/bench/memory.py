#!/usr/bin/env python3
"""Measure what a slot takes of memory by codec and picture, as docs/OPERATIONS.md has it.

  memory.py --framefleet target/release/framefleet [--only h264]

One segment of four seconds each, of pictures that move everywhere; the largest resident memory of its child. The time
is not looked at, so any build will do and nothing else need rest.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import Run

PICTURES = ["640x360", "1280x720", "1920x1080", "3840x2160"]
CODECS = [("h264", "mp4"), ("hevc", "mp4"), ("vp9", "webm"), ("av1", "mp4")]


def film(folder, size):
    made = folder / f"{size}.mov"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"mandelbrot=s={size}:r=25:end_scale=0.0001", "-t", "4",
                    "-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-pix_fmt", "yuv420p", made], check=True)
    return made


def mib(program, folder, source, codec, kind):
    out = folder / f"{source.stem}-{codec}.{kind}"
    os.environ["FRAMEFLEET_LOG"] = "error"
    run = Run([program, "transcode", source, out, "--video-codec", codec, "--state-dir", folder / "state", "--workers", "1",
               "--segment-duration", "none", "--overwrite"], folder)
    return run.child_mib()


def table(program, only):
    codecs = [(codec, kind) for codec, kind in CODECS if not only or codec == only]
    rows = ["| picture | " + " | ".join(codec for codec, _ in codecs) + " |", "|---" * (len(codecs) + 1) + "|"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in PICTURES:
            source = film(folder, size)
            found = [mib(program, folder, source, codec, kind) for codec, kind in codecs]
            rows.append(f"| {size} | " + " | ".join(f"{value:.0f} MiB" for value in found) + " |")
            print(rows[-1], file=sys.stderr, flush=True)
    return "\n".join(rows) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--framefleet", required=True)
    parser.add_argument("--only", choices=[codec for codec, _ in CODECS])
    args = parser.parse_args()
    print(table(Path(args.framefleet).resolve(), args.only), end="")


if __name__ == "__main__":
    main()
