"""`watch`: the cameras of a file, without a window and for months; records, keeps events, alerts somebody.

As a service (systemd): ExecStart=sightline watch /etc/sightline/cameras.toml, Restart=always, with the passwords in an
EnvironmentFile. SIGTERM ends it cleanly with exit code 143.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tracker.commands.options import (
    add_detector_options,
    add_settings_options,
    add_tracking_options,
    settings_from,
)
from tracker.commands.progress import LastLine
from tracker.commands.watch_events import add_event_options, answer
from tracker.ending import HeldSignals, raise_if_interrupted
from tracker.errors import ConfigError
from tracker.heap import give_back_large_blocks
from tracker.watch import camera_set
from tracker.watch.camera_set import read_cameras
from tracker.watch.server import StatusServer
from tracker.watch.set_watch import SetWatch

__all__ = ["add_parsers"]

REPORT_EVERY_S = 5.0
GLANCE_S = 0.2


def add_parsers(subparsers: Any) -> None:
    """Add `watch`."""
    parser = subparsers.add_parser(
        "watch",
        help="watch a set of cameras without a window",
        description=__doc__,
        epilog=f"FILE.toml: {camera_set.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cameras", type=Path, metavar="FILE.toml", help="the cameras, and what is wanted of them")
    listen = "where /healthz and /metrics answer, such as 127.0.0.1:9464; off by default"
    parser.add_argument("--listen", metavar="HOST:PORT", help=listen)
    add_event_options(parser)
    add_detector_options(parser)
    add_tracking_options(parser)
    add_settings_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    with LastLine(options) as last:
        return _watch(options, last)


def _watch(options: argparse.Namespace, last: LastLine) -> int:
    cameras = read_cameras(options.cameras)
    code = answer(options, cameras)
    if code is not None:
        return code
    settings = settings_from(options)
    last.style = settings.output.progress
    give_back_large_blocks(few_heaps=True)
    watch = SetWatch(cameras, settings)
    server = None
    as_json = settings.output.progress == "json"
    if options.listen is not None:
        server = StatusServer(*_host_and_port(options.listen), watch.health, watch.metrics)
        _tell(json.dumps({"port": server.port}) if as_json else f"health and metrics: port {server.port}")
    held = HeldSignals()
    watch.start()
    last.reported = True
    try:
        held.release()
        reported = 0.0
        while watch.running:
            time.sleep(GLANCE_S)
            raise_if_interrupted()
            if as_json and time.monotonic() - reported > REPORT_EVERY_S:
                reported = time.monotonic()
                _tell(_reading(watch, done=False))
    finally:
        watch.stop()
        if server is not None:
            server.close()
        _tell(_reading(watch, done=True) if as_json else _summary(watch))
    return 0


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _reading(watch: SetWatch, *, done: bool) -> str:
    """How the cameras stand, with the frames of each, as one line of JSON."""
    tree = watch.health()[1]
    for reading in watch.readings():
        tree["cameras"][reading.name]["frames"] = reading.progress.frames if reading.progress is not None else 0
    return json.dumps({"time": round(time.time(), 3), **tree, "done": done})


def _summary(watch: SetWatch) -> str:
    lines = []
    for reading in watch.readings():
        frames = reading.progress.frames if reading.progress is not None else 0
        lines.append(f"{reading.name}: {frames} frames, {reading.problem or reading.link}")
    waiting = watch.alerts_waiting
    lines.append(f"events: {watch.store.path}" + (f"; {waiting} alerts wait for the next start" if waiting else ""))
    return "\n".join(lines)


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"--listen {text}: expected HOST:PORT, such as 127.0.0.1:9464")
    return host.strip("[]") or "127.0.0.1", int(port)
