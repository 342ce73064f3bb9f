#!/usr/bin/env python3
"""Make numbered clips, and check that a transcode kept every frame and every beep.

make:  writes a clip whose every picture carries its own frame number as a row of
       black and white blocks, and whose sound beeps at each whole second.
facts: reads the numbers, times and beeps of a file with ffmpeg and prints them as JSON.
check: compares the facts of a transcoded file with those of its source (or of a constant
       rate), and says what was lost, repeated or moved. ffmpeg shares no code with the project.

Needs ffmpeg and ffprobe. Exit status: 0 all as expected, 1 something differs, 2 usage.

  seamcheck.py make clip.mov --seconds 20 --fps 30000/1001 --vargs "-c:v libx264 -bf 3 -g 250"
  seamcheck.py check out.mp4 --fps 30000/1001 --frames 599
  seamcheck.py check out.mp4 --like clip.mov
  seamcheck.py facts clip.mov > clip.json; seamcheck.py check out.mp4 --like-facts clip.json
"""
import argparse
import array
import bisect
import collections
import json
import os
import shlex
import subprocess
import sys
import threading
from fractions import Fraction

BITS = 20          # 18 bits of number, then 2 of parity, per picture
BLOCK = 32         # width of one block, in pixels of the 640-wide strip
STRIP = BITS * BLOCK
RATE = 48000       # samples per second of the beep track
BEEP = 0.05        # seconds
HOP = RATE // 1000   # samples in a millisecond
LOUD = 6000 ** 2 / 4   # mean square of a millisecond that belongs to a beep


def code(number):
    """The row of BITS grey samples, 16 or 235, that stands for a frame number."""
    bits = [(number >> i) & 1 for i in range(BITS - 2)]
    bits += [sum(bits[0::2]) & 1, sum(bits[1::2]) & 1]
    return bytes(235 if b else 16 for b in bits)


def decode(row):
    """The frame number in a row of grey samples, or None where its parity is wrong."""
    bits = [1 if v > 125 else 0 for v in row]
    if bits[-2] != sum(bits[0:-2:2]) & 1 or bits[-1] != sum(bits[1:-2:2]) & 1:
        return None
    return sum(b << i for i, b in enumerate(bits[:-2]))


def scene(args, width, height):
    """What stands below the numbers: moving, still, black, or a screen whose pictures repeat byte for byte."""
    size, rate = f"s={width}x{height}", f"r={args.fps}"
    return {
        "moving": f"testsrc2={size}:{rate},noise=alls=12:allf=t",
        "still": f"testsrc2={size}:r=1:d=1,loop=-1:1:0,fps={args.fps}",
        "black": f"color=black:{size}:{rate}",
    }[args.scene]


def make(args):
    fps = Fraction(args.fps)
    frames = int(args.seconds * fps)
    width, height = (int(v) for v in args.size.split("x"))
    beep = (f"aevalsrc=exprs='0.8*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,{BEEP})'"
            f":s={RATE}:d={float(args.seconds)}")
    strip_height = max(16, BLOCK * width // STRIP)
    times = ",settb=1/30000,setpts=" + args.times if args.times else ""
    graph = (f"[0:v]scale={width}:{strip_height}:flags=neighbor,setsar=1[strip];"
             f"[1:v]trim=end_frame={frames},setsar=1[scene];[scene][strip]overlay=0:0{times}[v]")
    if args.plain:
        graph = f"[0:v]nullsink;[1:v]trim=end_frame={frames},setsar=1{times}[v]"
    cmd = ["ffmpeg", "-v", "error", "-y",
           "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{BITS}x1", "-r", args.fps, "-i", "-",
           "-f", "lavfi", "-i", scene(args, width, height)]
    if not args.no_audio:
        cmd += ["-f", "lavfi", "-i", beep]
    cmd += ["-filter_complex", graph, "-map", "[v]", "-pix_fmt", args.pix_fmt]
    cmd += ["-vsync", "passthrough", "-enc_time_base", "1/30000"] if args.times else []
    cmd += shlex.split(args.vargs)
    cmd += ["-an"] if args.no_audio else ["-map", "2:a", "-t", str(float(args.seconds)), *shlex.split(args.aargs)]
    cmd += [args.out]
    feed = subprocess.Popen(cmd, stdin=subprocess.PIPE)
    try:
        for n in range(frames):
            feed.stdin.write(code(n))
        feed.stdin.close()
    except BrokenPipeError:
        pass
    if feed.wait():
        return 2
    print(json.dumps({"file": args.out, "frames": frames, "fps": args.fps}))
    return 0


def probe(path):
    """Times of decoded pictures, of blocks of sound with their samples, and decoding times of video packets."""
    out = subprocess.run(["ffprobe", "-v", "quiet", "-show_packets", "-show_frames", "-show_streams", "-show_entries",
                          "stream=index,codec_type,sample_rate,disposition:packet=stream_index,dts_time:"
                          "frame=stream_index,best_effort_timestamp_time,nb_samples", "-of", "json", path],
                         stdout=subprocess.PIPE, text=True).stdout
    told = json.loads(out or "{}")
    first = {}
    for stream in told.get("streams", []):
        if not stream.get("disposition", {}).get("attached_pic"):
            first.setdefault(stream["codec_type"], stream["index"])
    entries = told.get("packets_and_frames", [])
    seconds = lambda e, key: float(e[key]) if e.get(key, "N/A") != "N/A" else None
    of = lambda kind, key, type_: [seconds(e, key) for e in entries
                                   if e["type"] == type_ and e["stream_index"] == first.get(kind)]
    heard = [(seconds(e, "best_effort_timestamp_time"), int(e.get("nb_samples", 0))) for e in entries
             if e["type"] == "frame" and e["stream_index"] == first.get("audio")]
    rate = next((int(s["sample_rate"]) for s in told.get("streams", []) if s["index"] == first.get("audio")), RATE)
    return {"times": [t for t in of("video", "best_effort_timestamp_time", "frame") if t is not None],
            "dts": [t for t in of("video", "dts_time", "packet") if t is not None],
            "video": "video" in first, "sound": "audio" in first and bool(heard),
            "sound_start": (heard[0][0] or 0.0) if heard else None, "blocks": heard, "rate": rate}


def read(path, video, sound, strict):
    """The number strip of each picture, the samples of the first sound track, complaints, and how ffmpeg ended."""
    cmd = ["ffmpeg", "-v", "error", "-nostdin", *(["-xerror"] if strict else []), "-i", path]
    if video:
        cmd += ["-map", "0:v:0", "-vsync", "passthrough", "-enc_time_base", "1/1000000",
                "-vf", f"scale={STRIP}:-2:flags=bilinear,crop={STRIP}:{BLOCK // 2}:0:4,"
                       f"scale={BITS}:1:flags=area,format=gray", "-f", "rawvideo", "pipe:1"]
    heard, ear = bytearray(), None
    fds = ()
    if sound:
        far, near = os.pipe()
        fds = (near,)
        cmd += ["-map", "0:a:0", "-ac", "1", "-ar", str(RATE), "-f", "s16le", f"pipe:{near}"]

        def listen():
            with open(far, "rb") as stream:
                while block := stream.read(1 << 16):
                    heard.extend(block)
        ear = threading.Thread(target=listen)
        ear.start()
    if not video and not sound:
        return b"", b"", ["no track decodes"], 0
    run = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=fds)
    for fd in fds:
        os.close(fd)
    told = bytearray()
    mouth = threading.Thread(target=lambda: told.extend(run.stderr.read()))
    mouth.start()
    rows = run.stdout.read()
    for thread in filter(None, (ear, mouth)):
        thread.join()
    # a raw muxer's own complaint about its time base is not the file's fault: the times are judged by themselves
    noise = "non monotonically increasing dts to muxer"
    errors = [line for line in told.decode(errors="replace").splitlines() if line.strip() and noise not in line]
    ended = run.wait()
    if ended and not errors and noise not in told.decode(errors="replace"):
        errors = [f"ffmpeg ended with {ended}"]
    return rows, bytes(heard), errors, ended


def clock(blocks, rate):
    """From a count of samples to the file's own time: blocks of sound need not touch each other."""
    counts, count = [], 0
    for _, samples in blocks:
        counts.append(count)
        count += samples

    def time(seconds):
        at = max(0, bisect.bisect_right(counts, seconds * rate) - 1)
        # a block without a time follows the one before
        while at and blocks[at][0] is None:
            at -= 1
        return (blocks[at][0] or 0.0) + seconds - counts[at] / rate
    return time


def beeps(raw, time):
    """Where each beep stands on the file's own time line, in seconds.

    A codec smears an onset to both sides, so a beep's place is the centre of its energy less half a beep.
    """
    samples = array.array("h")
    samples.frombytes(raw[:len(raw) // 2 * 2])
    energy = []
    for i in range(0, len(samples), HOP):
        block = samples[i:i + HOP]
        energy.append(sum(map(int.__mul__, block, block)) / HOP if max(block) > 64 or min(block) < -64 else 0)
    places, i = [], 0
    while i < len(energy):
        if energy[i] < LOUD:
            i += 1
            continue
        end = i
        while end < len(energy) and max(energy[end:end + 20], default=0) > LOUD:
            end += 1
        lo, hi = max(0, i - 60), min(len(energy), end + 60)
        mass = sum(energy[lo:hi])
        centre = sum((k + 0.5) * e for k, e in enumerate(energy[lo:hi], lo)) / mass / 1000
        places.append(time(centre) - BEEP / 2)
        i = end + 60
    return places


def facts(path):
    """All that is compared: numbers, times, beeps (None without sound), decoding times, samples, complaints."""
    told = probe(path)
    rows, heard, errors, ended = read(path, told["video"], told["sound"], strict=True)
    if ended:
        rows, heard, _, _ = read(path, told["video"], told["sound"], strict=False)
    return {"numbers": [decode(rows[i:i + BITS]) for i in range(0, len(rows), BITS)],
            "times": told["times"], "dts": told["dts"], "errors": errors, "samples": len(heard) // 2,
            "sound_start": told["sound_start"],
            "beeps": beeps(heard, clock(told["blocks"], told["rate"])) if told["sound"] else None}


def numbers(path):
    """The frame number of each decoded picture, in presentation order."""
    rows, _, _, _ = read(path, True, False, strict=False)
    return [decode(rows[i:i + BITS]) for i in range(0, len(rows), BITS)]


def expected_times(args, like, count):
    """Times that the pictures must have, first one at 0: of the file to be like, or of the constant rate."""
    if args.fps:
        return [float(i / Fraction(args.fps)) for i in range(count)]
    return [t - like["times"][0] for t in like["times"]] if like else None


def expected_beeps(args, like, span):
    """Places that the beeps must have, first picture at 0: those of the file to be like, or each whole second."""
    if like and not args.seconds and like["beeps"] is not None:
        # what ffmpeg makes of decoding delay in a container without times is a guess
        first = 0 if args.counted else like["times"][0]
        return [place - first for place in like["beeps"]]
    return list(range(int(args.seconds or span) + (0 if args.seconds else 1)))


def judge_pictures(got, want):
    if got == want:
        return []
    unread = sum(g is None for g in got)
    missing = sorted(set(want) - set(got))
    seen, due = collections.Counter(got), collections.Counter(want)
    twice = sorted(g for g in seen if g is not None and seen[g] > due[g])
    disorder = sum(1 for a, b in zip(got, got[1:]) if a is not None and b is not None and b < a)
    return [f"pictures: {len(got)} instead of {len(want)}; missing {missing[:12]}; more than once {twice[:12]}; "
            f"{disorder} out of order; {unread} unreadable"]


def judge_times(args, got, ideal):
    faults, times = [], got["times"]
    if len(times) != len(got["numbers"]):
        faults.append(f"times: {len(times)} times for {len(got['numbers'])} pictures")
    elif times and ideal and len(times) == len(ideal):
        worst, at = max((abs(t - times[0] - i), n) for n, (t, i) in enumerate(zip(times, ideal)))
        if worst > args.time_tolerance + 1e-6:
            faults.append(f"times: picture {at} stands {worst * 1000:.3f} ms off its place")
    if any(b <= a for a, b in zip(times, times[1:])):
        faults.append("times: two pictures at one time")
    if not args.any_dts and any(b <= a for a, b in zip(got["dts"], got["dts"][1:])):
        faults.append("times: decoding times do not rise")
    return faults


def judge_sound(args, got, due):
    sound, times = got["beeps"], got["times"]
    if sound is None:
        return ["sound: no track"] if args.want_audio else []
    if args.no_audio or not times:
        return []
    faults = []
    if len(sound) != len(due):
        faults.append(f"sound: {len(sound)} beeps instead of {len(due)}")
    drift = max((abs(place - times[0] - d) for place, d in zip(sound, due)), default=0)
    if drift > args.onset_tolerance:
        faults.append(f"sound: a beep stands {drift * 1000:.1f} ms off its picture")
    return faults


def check(args):
    like = None
    if args.like_facts:
        with open(args.like_facts) as stored:
            like = json.load(stored)
    elif args.like:
        like = facts(args.like)
    want = like["numbers"] if like else list(range(args.frames))
    got = facts(args.file)
    faults = judge_pictures(got["numbers"], want)
    ideal = expected_times(args, like, len(want))
    faults += judge_times(args, got, ideal)
    span = ideal[-1] if ideal else (got["times"][-1] - got["times"][0] if got["times"] else 0)
    faults += judge_sound(args, got, expected_beeps(args, like, span))
    if like and like["beeps"] is not None and got["beeps"] is None and not args.no_audio:
        faults.append("sound: the track is gone")
    if got["errors"]:
        faults.append("decoder: " + got["errors"][0])
    for fault in faults:
        print(fault)
    if not faults:
        heard = "" if got["beeps"] is None else f", {len(got['beeps'])} beeps in step"
        print(f"ok: {len(got['numbers'])} pictures in place{heard}")
    return 1 if faults else 0


def main():
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(dest="verb", required=True)
    m = verbs.add_parser("make", help="write a numbered, beeping clip")
    m.add_argument("out")
    m.add_argument("--seconds", type=Fraction, default=Fraction(20))
    m.add_argument("--fps", default="30")
    m.add_argument("--size", default="640x360")
    m.add_argument("--pix-fmt", default="yuv420p")
    m.add_argument("--vargs", default="-c:v libx264 -preset veryfast -crf 20")
    m.add_argument("--aargs", default="-c:a aac -b:a 128k")
    m.add_argument("--no-audio", action="store_true")
    m.add_argument("--scene", choices=["moving", "still", "black"], default="moving")
    m.add_argument("--plain", action="store_true", help="no numbers: the scene alone, as a still film has none")
    m.add_argument("--times", help="picture times as a setpts expression in 1/30000 s, for variable rates")
    f = verbs.add_parser("facts", help="print a file's numbers, times and beeps as JSON")
    f.add_argument("file")
    c = verbs.add_parser("check", help="read the numbers and beeps back")
    c.add_argument("file")
    c.add_argument("--fps", default=None,
                   help="constant rate expected, e.g. 30000/1001; with --like, leave out to compare with its own times")
    c.add_argument("--frames", type=int)
    c.add_argument("--like", help="expect the pictures, beeps and (without --fps) times that this file has")
    c.add_argument("--like-facts", help="the same from stored facts")
    c.add_argument("--counted", action="store_true",
                   help="the source's container only counts pictures (AVI): the n-th stands at n / fps, the first at 0")
    c.add_argument("--seconds", type=float)
    c.add_argument("--onset-tolerance", type=float, default=0.010, help="seconds a beep may stand off its picture")
    c.add_argument("--time-tolerance", type=float, default=0.001,
                   help="seconds a picture may stand off its place (FLV and MKV round to 1 ms; AVI only counts frames)")
    c.add_argument("--no-audio", action="store_true", help="do not judge the sound")
    c.add_argument("--want-audio", action="store_true", help="a missing sound track is a fault")
    c.add_argument("--any-dts", action="store_true", help="do not judge the order of decoding times")
    args = top.parse_args()
    if args.verb == "check" and not args.like and not args.like_facts and args.frames is None:
        top.error("check needs --frames, --like or --like-facts")
    if args.verb == "facts":
        json.dump(facts(args.file), sys.stdout)
        sys.exit(0)
    sys.exit(make(args) if args.verb == "make" else check(args))


if __name__ == "__main__":
    main()
