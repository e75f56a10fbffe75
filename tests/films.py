"""Tiny films for tests, made by the library that reads them."""

from __future__ import annotations

import importlib
import io
from fractions import Fraction
from typing import Any

import numpy as np

_MATRICES = {"ITU709": 1, "ITU601": 6}  # by their numbers in a film. Source: ITU-T H.273, table 4
_UNTOLD = 2


def film(
    *,
    seconds: float = 3.0,
    rate: int = 4,
    size: tuple[int, int] = (64, 48),
    container: str = "mp4",
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
    corner: bool = False,
    colour: tuple[int, int, int] | None = None,
    matrix: str | None = None,
    told: bool = False,
    aspect: str | None = None,
) -> bytes:
    """Frame `n` is grey of brightness 10 × n, or all of them have one colour. corner: the upper left one is white.
    matrix: by which colours are encoded; told: whether the film says so. aspect: width over height of a pixel."""
    av: Any = importlib.import_module("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if matrix is not None and told:
            stream.codec_context.colorspace = _MATRICES[matrix]
        stream.pix_fmt = pixels
        for number in range(round(seconds * rate)):
            grey = np.full((size[1], size[0], 3), colour or min(255, 10 * number), np.uint8)
            grey[: size[1] // 2, : size[0] // 2] = 255 if corner else grey[0, 0]
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            if matrix is not None:
                frame = frame.reformat(format=pixels, dst_colorspace=matrix)
                frame.colorspace = _MATRICES[matrix] if told else _UNTOLD
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return buffer.getvalue()


def damaged(codec: str, *, hashed: bool = False) -> tuple[bytes, bytes]:
    """Five seconds of twelve frames each, of which the first stands for itself: sound, and with zeros in the
    middle of the second one. hashed: with hashes of its frames, and with one wrong bit there."""
    av: Any = importlib.import_module("av")
    buffer = io.BytesIO()
    tiles = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    with av.open(buffer, "w", format="mp4") as out:
        options = {"g": "12", "bf": "0", "x265-params": "log-level=none:bframes=0:scenecut=0" + ":hash=1" * hashed}
        stream = out.add_stream(codec, rate=12, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(60):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(tiles, 3 * number, 1), format="rgb24")))
        out.mux(stream.encode())
    with av.open(io.BytesIO(buffer.getvalue())) as container:
        start, size = [(each.pos, each.size) for each in container.demux(video=0) if each.size][17]
    film = bytearray(buffer.getvalue())
    if hashed:
        film[start + size // 2] ^= 1
    else:
        film[start + 8 : start + size // 2] = bytes(size // 2 - 8)
    return buffer.getvalue(), bytes(film)


def sound(*, cover: bool = False) -> bytes:
    """A film without pictures. cover: with the one that players show of a piece of music."""
    av: Any = importlib.import_module("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=8000)
        stream.layout = "mono"
        if cover:
            picture = out.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
            out.mux(picture.encode())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return buffer.getvalue()
