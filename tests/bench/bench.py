#!/usr/bin/env python3
"""Measure framefleet against ffmpeg with the same encoder settings, and write docs/BENCHMARKS.md.

  bench.py --framefleet target/release/framefleet --write docs/BENCHMARKS.md [--film FILE] [--pairs N] [--only PART]

Headline rows are medians of paired runs (three, or N; ours and theirs in turn, so that a busy machine harms both); the others
are one run each. Needs ffmpeg. The film is the corpus's 89 s 1080p clip where it is there, else one that is made.
"""
import argparse
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

import targets

TOP = Path(__file__).resolve().parent.parent.parent
SEED_TABLE = {45: 160, 25: 100, 15: 70, 10: 45, 5: 35}   # seconds for the 89 s conversion, as the reference publishes
SEED_BASE = 188


class Run:
    """One command: wall and CPU seconds with its children's, largest resident memory of any of its processes."""

    def __init__(self, command, cwd):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        child = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        self.peaks, self.merge_kib, watching = {}, 0, threading.Event()
        watch = threading.Thread(target=self.watch, args=(child.pid, watching))
        watch.start()
        self.out, self.err = child.communicate()
        self.wall = time.monotonic() - began
        watching.set()
        watch.join()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if child.returncode:
            sys.exit(f"{' '.join(map(str, command))} ended with {child.returncode}: {self.err[-2000:]}")

    def watch(self, root, over):
        while not over.wait(0.05):
            for pid in family(root):
                self.peaks[pid] = max(self.peaks.get(pid, 0), peak_kib(pid))
                if writes_output(pid):
                    self.merge_kib = max(self.merge_kib, self.peaks[pid])

    def parent_mib(self):
        return next(iter(self.peaks.values()), 0) / 1024

    def child_mib(self):
        return max(list(self.peaks.values())[1:], default=0) / 1024


def family(root):
    found, fresh = [root], [root]
    while fresh:
        below = []
        for pid in fresh:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    below += [int(child) for child in task.read_text().split()]
                except OSError:
                    pass
        found += below
        fresh = below
    return found


def writes_output(pid):
    """Whether it is a merging child: the only one that has an output open."""
    try:
        return any("/output-" in os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def peak_kib(pid):
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+)", text)
    return int(found.group(1)) if found else 0


class Bench:
    def __init__(self, args, folder):
        self.ours_program, self.folder, self.count = Path(args.framefleet).resolve(), folder, args.pairs
        self.film = Path(args.film) if args.film else self.find_film()
        self.rows = []

    def find_film(self):
        corpus = Path(os.environ.get("FRAMEFLEET_CORPUS", TOP / "../shared/corpus"))
        real = corpus / "bench/bench_1080p25_89s_h264_aac.mov"
        if real.exists():
            return real.resolve()
        made = self.folder / "made.mov"
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "mandelbrot=s=1920x1080:r=25:end_scale=0.0001",
                        "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "89", "-c:v", "libx264",
                        "-preset", "veryfast", "-crf", "20", "-c:a", "aac", made], check=True)
        return made

    def ours(self, film, out, *flags, log="error"):
        (self.folder / out).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        os.environ["FRAMEFLEET_LOG"] = log
        return self.run([self.ours_program, "transcode", film, out, "--state-dir", "state", *flags])

    def ours_job(self, job, outs):
        for out in outs:
            (self.folder / out).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        return self.run([self.ours_program, "transcode", "--job", job, "--state-dir", "state", "--workers", "2"])

    def run(self, command):
        return Run(command, self.folder)

    def theirs(self, film, out, preset, *flags):
        return Run(["ffmpeg", "-v", "error", "-y", "-i", film, "-map", "0:v:0", "-map", "0:a:0?", *flags, "-c:v", "libx264",
                    "-preset", preset, "-crf", "23", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k",
                    *([] if out.endswith(".flv") else ["-movflags", "+faststart"]), out], self.folder)

    def row(self, what, result, reach=""):
        self.rows.append((what, result, reach))
        print(f"{what}: {result} {reach}", flush=True)

    def pairs(self, preset, count):
        both = []
        for _ in range(count):
            ours = self.ours(self.film, "ours.mp4", "--preset", preset, "--workers", "2")
            theirs = self.theirs(self.film, "theirs.mp4", preset)
            both.append((ours, theirs))
        median = lambda which: statistics.median(which(pair) for pair in both)
        return both, median

    def headline(self, preset, reach_wall, reach_cpu):
        both, median = self.pairs(preset, self.count)
        wall, cpu = (median(lambda p: p[0].wall / p[1].wall), median(lambda p: p[0].cpu / p[1].cpu))
        ours, theirs = (median(lambda p, i=i: p[i].wall) for i in (0, 1))
        cpu_ours, cpu_theirs = (median(lambda p, i=i: p[i].cpu) for i in (0, 1))
        self.row(f"wall, {self.name()}, {preset}", f"{ours:.1f} s against {theirs:.1f} s: {wall:.3f} ×", reach_wall)
        self.row(f"CPU, same, {preset}", f"{cpu_ours:.1f} s against {cpu_theirs:.1f} s: {cpu:.3f} ×", reach_cpu)
        run = both[-1]
        self.row(f"largest child, {preset}", f"{run[0].child_mib():.0f} MiB against ffmpeg {run[1].parent_mib():.0f} MiB",
                 "≤ ffmpeg + 10 %")
        self.row(f"parent process, {preset}", f"{run[0].parent_mib():.0f} MiB", "≤ 60 MiB")
        sizes = [(self.folder / name).stat().st_size for name in ("ours.mp4", "theirs.mp4")]
        self.row(f"size and PSNR-Y at equal CRF, {preset}",
                 f"{sizes[0] / sizes[1]:.4f} × at {self.psnr('ours.mp4') - self.psnr('theirs.mp4'):+.3f} dB", "±1 % at equal PSNR")

    def psnr(self, name):
        told = subprocess.run(["ffmpeg", "-v", "info", "-i", name, "-i", self.film, "-map", "0:v", "-map", "1:v", "-lavfi",
                               "[0:v][1:v]psnr", "-f", "null", "-"], cwd=self.folder, capture_output=True, text=True).stderr
        return float(re.search(r"PSNR y:([0-9.]+)", told).group(1))

    def name(self):
        return self.film.name

    def short(self):
        subprocess.run([self.ours_program, "sample", "short.mov", "--duration", "2s", "--size", "640x360", "--overwrite"],
                       cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        self.ours("short.mov", "short.mp4", "--preset", "ultrafast")
        ours = statistics.median(self.ours("short.mov", "short.mp4", "--preset", "ultrafast").wall for _ in range(5))
        theirs = statistics.median(self.theirs("short.mov", "t.mp4", "ultrafast").wall for _ in range(5))
        self.row("fixed overhead, 2 s clip, ultrafast", f"{ours:.2f} s against {theirs:.2f} s", "≤ ffmpeg + 0.5 s")

    def seed_table(self):
        base = None
        for seconds in SEED_TABLE:
            run = self.ours(self.film, "seed.mp4", "--preset", "veryfast", "--segment-duration", f"{seconds}s")
            base = base or run.wall
            self.row(f"segments of {seconds} s, veryfast, 2 slots", f"{run.wall:.1f} s ({base / run.wall:.2f} × of 45 s)",
                     f"reference, elastic: {SEED_TABLE[seconds]} s of {SEED_BASE} s")

    def merge(self, crf):
        """What joining adds once the last segment is there, proof included: the merge has written all others by then."""
        ours = self.ours(self.film, "merged.mp4", "--preset", "ultrafast", "--crf", crf, "--workers", "2",
                         log="framefleet_coordinator=debug,framefleet_worker=debug")
        at = lambda mark: [datetime.fromisoformat(line.split()[0].rstrip("Z")) for line in ours.err.splitlines() if mark in line]
        tail = (at("merge ended")[-1] - max(t for t in at("attempt ended"))).total_seconds()
        size = (self.folder / "merged.mp4").stat().st_size / 1e6
        parts = self.folder / "parts"
        parts.mkdir()
        subprocess.run(["ffmpeg", "-v", "error", "-i", "merged.mp4", "-map", "0", "-c", "copy", "-f", "segment",
                        "-segment_time", "5", "-reset_timestamps", "1", parts / "%04d.mp4"], cwd=self.folder, check=True)
        (parts / "list").write_text("".join(f"file {part.name}\n" for part in sorted(parts.glob("*.mp4"))))
        theirs = Run(["ffmpeg", "-v", "error", "-y", "-f", "concat", "-i", "list", "-c", "copy", "-movflags", "+faststart",
                      "joined.mp4"], parts)
        self.row(f"merge and proof after the last segment, {size:.0f} MB of MP4",
                 f"{tail:.2f} s against {theirs.wall:.2f} s for ffmpeg's concat without proof: {tail / theirs.wall:.2f} ×", "≤ 1.2 ×")
        self.row(f"merging child, {size:.0f} MB", f"{ours.merge_kib / 1024:.0f} MiB", "≤ 96 MiB")
        shutil.rmtree(parts)

    def read_by(self, *words):
        trace = self.folder / "reads"
        subprocess.run(["strace", "-f", "-qq", "-e", "trace=pread64,preadv,read", "-P", self.film, "-o", trace,
                        self.ours_program, *words], cwd=self.folder, check=True, capture_output=True)
        return sum(int(n) for n in re.findall(r"= (\d+)$", trace.read_text(), re.M))

    def bytes_read(self):
        job = lambda *flags: self.read_by("transcode", self.film, "traced.mp4", "--preset", "ultrafast", "--state-dir",
                                          "state-traced", "--overwrite", *flags)
        index, pictures, all_of_it = self.read_by("plan", self.film), job("--audio-codec", "none"), job()
        told = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=size", "-of",
                               "csv=p=0", self.film], capture_output=True, text=True, check=True).stdout
        coded = sum(int(n.strip(",")) for n in told.split())
        encodes = pictures - index
        self.row("bytes read by the encode tasks", f"{encodes / 1e6:.1f} MB for {coded / 1e6:.1f} MB of coded pictures: "
                 f"{encodes / coded:.3f} ×", "≤ 1.15 × and one window")
        size = self.film.stat().st_size
        self.row("bytes read by index, sound, whole job", f"{index / 1e6:.1f}, {(all_of_it - pictures) / 1e6:.1f}, "
                 f"{all_of_it / 1e6:.1f} MB of a film of {size / 1e6:.1f} MB")

    def report(self):
        def version(command):
            return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
        cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        lines = ["# Benchmarks", "",
                 "Written by `make bench` (`tests/bench/bench.py`). Headline rows are medians of "
                 f"{self.count} paired runs in turn; ratios below 1 are ours faster or smaller.", "",
                 f"- machine: {os.cpu_count()} cores, {cpu.group(1) if cpu else platform.machine()}, "
                 f"{platform.system()} {platform.release()}; load at the start {self.load:.1f}",
                 f"- {version([self.ours_program, '--version'])}; {version(['gst-inspect-1.0', '--version'])}; "
                 f"{version(['ffmpeg', '-version'])}",
                 f"- film: {self.name()}, {self.film.stat().st_size} bytes; date {time.strftime('%Y-%m-%d')}", "",
                 "| what | measured | reach |", "|---|---|---|"]
        lines += [f"| {what} | {result} | {reach} |" for what, result, reach in self.rows]
        return "\n".join(lines) + "\n"


def main():
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--framefleet", required=True)
    top.add_argument("--write")
    top.add_argument("--film")
    top.add_argument("--pairs", type=int, default=3, help="paired runs for each headline row")
    top.add_argument("--only", choices=["film", "targets"], help="one part; the other stays as it is written")
    args = top.parse_args()
    with tempfile.TemporaryDirectory(prefix="framefleet-bench-", dir=TOP / "target") as folder:
        bench = Bench(args, Path(folder))
        bench.load = os.getloadavg()[0]
        film = on_film(bench) if args.only != "targets" else None
        others = targets.measure(bench) if args.only != "film" else None
    if not args.write:
        print("\n".join(filter(None, (film, others))))
        return
    page = TOP / args.write
    page.write_text(put_in(page.read_text() if page.exists() else "", film, others))


def on_film(bench):
    bench.short()
    bench.headline("veryfast", "≤ 0.93 ×", "≤ 1 ×")
    bench.headline("medium", "≤ 0.88 ×", "≤ 0.92 ×")
    bench.merge("20")
    bench.merge("1")
    bench.bytes_read()
    bench.seed_table()
    return bench.report()


def put_in(told, film, others):
    """The page with what was measured in its place; what people wrote about the figures stays."""
    first, *rest = re.split(r"^(?=## )", told, flags=re.M)
    if film:
        first = film + "\n"
    at = next((n for n, part in enumerate(rest) if part.startswith(targets.HEAD)), None)
    if others and at is None:
        rest.insert(0, others + "\n")
    elif others:
        rest[at] = others + "\n"
    return first + "".join(rest)


if __name__ == "__main__":
    main()
