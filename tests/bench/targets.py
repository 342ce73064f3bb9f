"""Benchmarks of ladders, of light operations, and of the reference's MP4 and FLV tables, beside ffmpeg; see bench.py."""
import statistics
import subprocess

HEAD = "## Ladders, light operations, MP4 and FLV"
# CPU time of ffmpeg with several threads is higher than with one; reaches are set against that.
LADDER = {"veryfast": "wall ≤ 0.80 ×, CPU ≤ 1.05 ×", "medium": "wall ≤ 0.80 ×, CPU ≤ 1.00 ×"}
# The reference's wall seconds on an elastic machine, by size: MP4 to FLV, FLV to MP4.
REFERENCE = {"640x480": (11.2, 34.5), "1280x720": (20.5, 100.3), "1920x1080": (40, 226.4), "3840x2160": (142, 912)}
LONG_SECONDS, LONG_SECONDS_4K = 89, 10
RUNS = 5


class Targets:
    def __init__(self, bench):
        self.bench, self.rows = bench, []

    def row(self, *cells):
        self.rows.append(cells)
        print(" | ".join(cells), flush=True)

    def ffmpeg(self, *words):
        return self.bench.run(["ffmpeg", "-v", "error", "-y", *words])

    def film(self, name, size, seconds):
        """The film of the headline, in another size: made by ffmpeg, with a key picture every two seconds."""
        self.ffmpeg("-i", self.bench.film, "-t", str(seconds), "-vf", f"scale={size.replace('x', ':')}", "-c:v", "libx264",
                    "-preset", "veryfast", "-g", "50", "-c:a", "aac", "-b:a", "128k", name)

    def ladder(self, preset):
        """Three sizes of one decode; sound in the first of them."""
        sizes, outs = ["1920x1080", "1280x720", "640x360"], []
        for number, size in enumerate(sizes):
            sound = "" if number == 0 else "\n    audio: none"
            outs.append(f"  - to: rung-{size}.mp4\n    video: {{ preset: {preset}, size: {size} }}{sound}\n")
        (self.bench.folder / "ladder.yaml").write_text(f"version: 1\nsource: {self.bench.film}\noutputs:\n{''.join(outs)}")
        ours = self.bench.ours_job("ladder.yaml", [f"rung-{size}.mp4" for size in sizes])
        coding = ["-c:v", "libx264", "-preset", preset, "-crf", "23", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
        theirs = self.ffmpeg("-i", self.bench.film, "-filter_complex",
                             "[0:v]split=3[a][b][c];[b]scale=1280:720[m];[c]scale=640:360[s]",
                             "-map", "[a]", "-map", "0:a:0?", *coding, "-c:a", "aac", "-b:a", "128k", "large.mp4",
                             "-map", "[m]", *coding, "middle.mp4", "-map", "[s]", *coding, "small.mp4")
        self.row(f"1080p, 720p and 360p of one film, {preset}",
                 f"{ours.wall:.1f} s, CPU {ours.cpu:.1f} s", f"{theirs.wall:.1f} s, CPU {theirs.cpu:.1f} s",
                 f"wall {ours.wall / theirs.wall:.2f} ×, CPU {ours.cpu / theirs.cpu:.2f} ×", LADDER[preset])

    def light(self):
        self.film("light.mp4", "854x480", LONG_SECONDS)
        self.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x90", "-frames:v", "1", "logo.png")
        palette = "[0:v]fps=10,scale=320:180,split[a][b];[a]palettegen[p];[b][p]paletteuse"
        work = [
            ("tracks, tags and duration", ["probe", "light.mp4"],
             ["ffprobe", "-v", "error", "-show_format", "-show_streams", "light.mp4"], "< 0.1 s"),
            ("sound, as it is", ["transcode", "light.mp4", "o.m4a", "--audio-codec", "copy"],
             ["-i", "light.mp4", "-vn", "-c:a", "copy", "t.m4a"], "< 0.4 s"),
            ("sound to MP3", ["transcode", "light.mp4", "o.mp3"],
             ["-i", "light.mp4", "-vn", "-c:a", "libmp3lame", "-b:a", "128k", "t.mp3"], ""),
            ("GIF of 3 s, 10 a second, 320x180", ["gif", "light.mp4", "o.gif", "--start", "2s", "--duration", "3s", "--fps", "10",
                                                 "--size", "320x180"],
             ["-ss", "2", "-t", "3", "-i", "light.mp4", "-filter_complex", palette, "t.gif"], "< 1 s"),
            ("sprites each 5 s, 5x4 of 160x90", ["sprites", "light.mp4", "o.vtt", "--interval", "5s", "--tile", "5x4", "--size",
                                                "160x90"],
             ["-i", "light.mp4", "-vf", "fps=1/5,scale=160:90,tile=5x4", "-an", "t-%d.jpg"], "< 3.2 s"),
            ("thumbnail at 45 s", ["thumbnails", "light.mp4", "o.jpg", "--at", "45s"],
             ["-ss", "45", "-i", "light.mp4", "-frames:v", "1", "t.jpg"], ""),
            ("image watermark, whole film, ultrafast",
             ["transcode", "light.mp4", "o.mp4", "--preset", "ultrafast", "--watermark", "logo.png", "--workers", "2"],
             ["-i", "light.mp4", "-i", "logo.png", "-filter_complex", "overlay=W-w-16:16", "-c:v", "libx264", "-preset",
              "ultrafast", "-crf", "23", "-c:a", "aac", "-b:a", "128k", "t.mp4"], "< 4.1 s"),
        ]
        for what, ours, theirs, reach in work:
            theirs = theirs if theirs[0] == "ffprobe" else ["ffmpeg", "-v", "error", "-y", *theirs]
            pairs = [(self.ours(ours), self.bench.run(theirs)) for _ in range(RUNS)]
            wall = [statistics.median(pair[side].wall for pair in pairs) for side in (0, 1)]
            self.row(f"{what}, {LONG_SECONDS} s of 854x480", f"{wall[0]:.2f} s", f"{wall[1]:.2f} s",
                     f"wall {wall[0] / wall[1]:.2f} ×", reach)

    def ours(self, words):
        for made in self.bench.folder.glob("o[.-]*"):
            made.unlink()
        state = [] if words[0] == "probe" else ["--state-dir", "state"]
        return self.bench.run([self.bench.ours_program, *words, *state])

    def formats(self):
        for size, reference in REFERENCE.items():
            seconds = LONG_SECONDS_4K if size == "3840x2160" else LONG_SECONDS
            self.film("as.mp4", size, seconds)
            self.ffmpeg("-i", "as.mp4", "-c", "copy", "as.flv")
            for (source, target), told in zip((("mp4", "flv"), ("flv", "mp4")), reference):
                ours = self.bench.ours(f"as.{source}", f"to.{target}", "--preset", "veryfast", "--workers", "2")
                theirs = self.bench.theirs(f"as.{source}", f"t.{target}", "veryfast")
                pace = lambda run: f"{run.wall:.1f} s, CPU {run.cpu:.1f} s: {seconds / run.cpu:.2f} s of film a CPU second"
                self.row(f"{source.upper()} to {target.upper()}, {seconds} s of {size}, H.264 veryfast and AAC", pace(ours),
                         pace(theirs), f"wall {ours.wall / theirs.wall:.2f} ×, CPU {ours.cpu / theirs.cpu:.2f} ×",
                         f"reference: {told} s of its own film")

    def report(self):
        lines = [HEAD, "", "One run each; light operations are medians of five, in turn, and make their output anew each time, "
                 "state and proof included.", "", "| what | framefleet | ffmpeg | ratio | reach |", "|---|---|---|---|---|"]
        return "\n".join(lines + [f"| {' | '.join(cells)} |" for cells in self.rows]) + "\n"


def measure(bench):
    targets = Targets(bench)
    targets.light()
    targets.formats()
    for preset in LADDER:
        targets.ladder(preset)
    return targets.report()
