#!/usr/bin/env python3
"""Write a field-coded (PAFF) H.264 elementary stream whose pictures carry seamcheck's numbers.

x264 cannot code fields as pictures of their own, so this writes the bits itself: Main profile, CAVLC, every frame
two field pictures (field_pic_flag = 1). A field's top row of macroblocks, which holds the number strip, is I_PCM in
every field; the scene below it is I_PCM in key pictures and skipped (copied from the field of the same parity before)
in all others.

  paff.py out.h264 --frames 100 --gop 25 --fps 25 [--first 0]
"""
import argparse
from fractions import Fraction

from seamcheck import BITS, code

MB_COLUMNS, MB_ROWS = 20, 12          # of a frame: 320 x 192; 180 lines are shown
SHOWN_LINES = 180
FRAME_NUM_BITS = 8


class Bits:
    """A bit writer."""

    def __init__(self):
        self.done, self.word, self.count = bytearray(), 0, 0

    def u(self, bits, value):
        self.word = (self.word << bits) | value
        self.count += bits
        while self.count >= 8:
            self.count -= 8
            self.done.append((self.word >> self.count) & 255)
        self.word &= (1 << self.count) - 1

    def ue(self, value):
        length = (value + 1).bit_length()
        self.u(2 * length - 1, value + 1)

    def se(self, value):
        self.ue(2 * value - 1 if value > 0 else -2 * value)

    def align_zero(self):
        if self.count:
            self.u(8 - self.count, 0)

    def raw(self, data):
        assert self.count == 0
        self.done += data

    def trailing(self):
        self.u(1, 1)
        self.align_zero()
        return bytes(self.done)


def nal(ref_idc, unit_type, payload):
    out, zeros = bytearray([ref_idc << 5 | unit_type]), 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return b"\0\0\0\1" + bytes(out)


def sps(fps):
    b = Bits()
    b.u(8, 77)                        # Main
    b.u(8, 0)
    b.u(8, 30)                        # level 3
    b.ue(0)                           # id
    b.ue(FRAME_NUM_BITS - 4)
    b.ue(2)                           # picture order is decoding order
    b.ue(2)                           # reference frames
    b.u(1, 0)
    b.ue(MB_COLUMNS - 1)
    b.ue(MB_ROWS // 2 - 1)            # in units of field macroblock rows
    b.u(1, 0)                         # frame_mbs_only_flag: fields allowed
    b.u(1, 0)                         # no MBAFF
    b.u(1, 1)                         # direct_8x8_inference, needed with fields
    b.u(1, 1)                         # cropping
    b.ue(0)
    b.ue(0)
    b.ue(0)
    b.ue((MB_ROWS * 16 - SHOWN_LINES) // 4)
    b.u(1, 1)                         # VUI
    b.u(4, 0)                         # no aspect, overscan, signal type, chroma place
    b.u(1, 1)                         # timing: a tick is a field
    b.u(32, fps.denominator)
    b.u(32, fps.numerator * 2)
    b.u(1, 1)                         # fixed rate
    b.u(2, 0)                         # no HRD
    b.u(1, 0)                         # no pic_struct
    b.u(1, 0)                         # no bitstream restriction
    return nal(3, 7, b.trailing())


def pps():
    b = Bits()
    b.ue(0)
    b.ue(0)
    b.u(1, 0)                         # CAVLC
    b.u(1, 0)
    b.ue(0)                           # one slice group
    b.ue(0)
    b.ue(0)                           # one reference field
    b.u(1, 0)
    b.u(2, 0)
    b.se(0)
    b.se(0)
    b.se(0)
    b.u(1, 1)                         # deblocking may be switched off
    b.u(1, 0)
    b.u(1, 0)
    return nal(3, 8, b.trailing())


def strip_rows(number):
    """The 20 macroblocks that hold the number: one block of the code a macroblock."""
    assert MB_COLUMNS == BITS
    return [bytes([v]) * 256 + b"\x80" * 128 for v in code(number)]


def scene_block(column, row):
    """A still scene with enough detail that a wrong field shows."""
    luma = bytes(40 + (column * 13 + row * 29 + x * 3 + y * 7) % 160 for y in range(16) for x in range(16))
    return luma + bytes([100 + column]) * 64 + bytes([150 - row]) * 64


SCENE = [[scene_block(c, r) for c in range(MB_COLUMNS)] for r in range(MB_ROWS // 2)]


def pcm(b, macroblock, skip_run, kind):
    if skip_run:
        b.ue(0)                       # mb_skip_run
    b.ue(kind)
    b.align_zero()
    b.raw(macroblock)


def field(number, frame_num, parity, idr, intra):
    """One field picture: a slice of all its macroblocks."""
    b = Bits()
    b.ue(0)                           # first macroblock
    b.ue(7 if intra else 5)           # I or P, all slices alike
    b.ue(0)
    b.u(FRAME_NUM_BITS, frame_num)
    b.u(1, 1)                         # field_pic_flag
    b.u(1, parity)                    # bottom_field_flag
    if idr:
        b.ue(0)                       # idr_pic_id
    if not intra:
        b.u(1, 0)                     # as many references as the PPS says
        b.u(1, 0)                     # no reordering
    if idr:
        b.u(2, 0)
    else:
        b.u(1, 0)                     # sliding window
    b.se(0)
    b.ue(1)                           # no deblocking
    for macroblock in strip_rows(number):
        pcm(b, macroblock, not intra, 25 if intra else 30)
    if intra:
        for row in SCENE[1:]:
            for macroblock in row:
                pcm(b, macroblock, False, 25)
    else:
        b.ue(MB_COLUMNS * (MB_ROWS // 2 - 1))
    return nal(3, 5 if idr else 1, b.trailing())


def main():
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("out")
    top.add_argument("--frames", type=int, default=100)
    top.add_argument("--first", type=int, default=0)
    top.add_argument("--gop", type=int, default=25)
    top.add_argument("--fps", type=Fraction, default=Fraction(25))
    args = top.parse_args()
    with open(args.out, "wb") as out:
        for n in range(args.frames):
            in_gop = n % args.gop
            key = in_gop == 0
            frame_num = in_gop % (1 << FRAME_NUM_BITS)
            if key:
                out.write(b"\0\0\0\1\x09\xf0" + sps(args.fps) + pps())
            else:
                out.write(b"\0\0\0\1\x09\xf0")
            out.write(field(args.first + n, frame_num, 0, key, key))
            out.write(b"\0\0\0\1\x09\xf0")
            out.write(field(args.first + n, frame_num, 1, False, key))


if __name__ == "__main__":
    main()
