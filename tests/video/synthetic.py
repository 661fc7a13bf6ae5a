"""Small clips with known truth: every frame shows its own number, readable from the pixels after any codec."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tracker.types import Image

BITS = 10
DARK, BRIGHT = 30, 220
SAMPLE_RATE = 48_000


def numbered_image(number: int, *, width: int = 160, height: int = 96) -> Image:
    """A frame whose upper half holds the number as ten bars, first the highest bit, its lower half a moving patch."""
    image = np.full((height, width, 3), 90, np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        image[: height // 2, left:right] = BRIGHT if number >> (BITS - 1 - bit) & 1 else DARK
    left = number * 5 % max(1, width - 16)
    image[height // 2 + 4 : height - 4, left : left + 16] = (200, 40, 40)
    return image


def read_number(image: Image) -> int:
    """The number that `numbered_image` wrote."""
    height, width = image.shape[:2]
    number = 0
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        quarter = max(1, (right - left) // 4)
        bar = image[height // 8 : 3 * height // 8, left + quarter : right - quarter]
        number = number << 1 | int(bar.mean() > (DARK + BRIGHT) / 2)
    return number


def irregular_ticks(count: int, *, seed: int = 0, first: int = 0) -> list[int]:
    """Strictly increasing stamps with steps from 1 to 200, as a phone in bad light makes them."""
    steps = np.random.default_rng(seed).integers(1, 200, count - 1)
    return [first, *(first + np.cumsum(steps)).tolist()]


def write_clip(
    path: Path,
    *,
    frames: int = 30,
    width: int = 160,
    height: int = 96,
    rate: Fraction | int = 25,
    ticks: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 1000),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    b_frames: int = 0,
    key_every: int = 10,
    options: dict[str, str] | None = None,
    muxer_options: dict[str, str] | None = None,
    rotation: int = 0,
    audio_codec: str | None = None,
    audio_begin_s: float = 0.0,
    audio_s: float | None = None,
) -> Path:
    """A clip of numbered frames under `path`, whose suffix is the container; returns `path`.

    `ticks` are the frames' stamps in units of `time_base`, by default one each 1 / `rate`. `rotation` is what the
    player has to turn by, counter-clockwise. The audio is a quiet tone, `audio_s` seconds long.
    """
    rate = Fraction(rate)
    if ticks is None:
        ticks, time_base = range(frames), 1 / rate
    with av.open(str(path), "w", container_options=muxer_options or {}) as container:
        defaults = {"preset": "ultrafast", "crf": "20"} if codec == "libx264" else {}
        video = container.add_stream(codec, rate=rate, options=defaults | (options or {}))
        video.width, video.height, video.pix_fmt = width, height, pixel_format
        video.time_base = video.codec_context.time_base = time_base
        video.codec_context.max_b_frames = b_frames
        video.codec_context.gop_size = key_every
        if codec == "mpeg4":
            video.codec_context.qmin = video.codec_context.qmax = 3
        if rotation:
            video.set_display_rotation(rotation)
        audio = None
        if audio_codec is not None:
            audio = container.add_stream(audio_codec, rate=SAMPLE_RATE)
            audio.codec_context.layout = "mono"
        for number, tick in zip(range(frames), ticks, strict=True):
            image = av.VideoFrame.from_ndarray(numbered_image(number, width=width, height=height), format="rgb24")
            image = image.reformat(format=pixel_format)
            image.pts, image.time_base = tick, time_base
            container.mux(video.encode(image))
        container.mux(video.encode(None))
        if audio is not None:
            length_s = float((ticks[-1] - ticks[0]) * time_base) + 0.04 if audio_s is None else audio_s
            for packet in _tone(audio, audio_begin_s, length_s):
                container.mux(packet)
    return path


def _tone(stream: av.AudioStream, begin_s: float, length_s: float) -> list[av.Packet]:
    seconds = np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE
    wave = (3000 * np.sin(2 * np.pi * 440 * seconds)).astype(np.int16)[None]
    sound = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
    sound.sample_rate = SAMPLE_RATE
    sound.pts, sound.time_base = round(begin_s * SAMPLE_RATE), Fraction(1, SAMPLE_RATE)
    resampler = av.AudioResampler(
        format=stream.codec_context.format,
        layout="mono",
        rate=SAMPLE_RATE,
        frame_size=stream.codec_context.frame_size or 1024,
    )
    packets = []
    for piece in [*resampler.resample(sound), *resampler.resample(None)]:
        packets += stream.encode(piece)
    return packets + stream.encode(None)
