"""What `watch` has kept: events searched, written as a table, marked; and alerts tried out."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import uuid
from contextlib import closing
from datetime import datetime
from pathlib import Path

from tracker.annotate.recordings import legible
from tracker.commands.outputs import output_file
from tracker.config import nearest
from tracker.errors import ConfigError, SinkError, why_unwritable
from tracker.watch.alerts import deliver, target_of, why_not_delivered
from tracker.watch.camera_set import EVENT_KINDS, CameraSet
from tracker.watch.event_store import Column, EventSearch, EventStore, StoredEvent
from tracker.watch.set_records import EVENTS_FILE

__all__ = ["add_event_options", "answer"]

MOST_LISTED = 1000
MOST_WRITTEN = 100_000


def add_event_options(parser: argparse.ArgumentParser) -> None:
    """What is asked of events instead of watching."""
    group = parser.add_argument_group("events kept so far, instead of watching")
    group.add_argument("--events", action="store_true", help=f"list them, newest first, {MOST_LISTED} at most")
    text = "write them as a table, oldest first"
    group.add_argument("--events-csv", type=output_file(".csv"), metavar="FILE.csv", help=text)
    group.add_argument("--thumbnails", type=Path, metavar="FOLDER", help="write what they looked like, as EVENT.jpg")
    group.add_argument("--mark", type=int, metavar="EVENT", help="never delete the recording of this event")
    group.add_argument("--unmark", type=int, metavar="EVENT", help="delete it in its time again")
    group.add_argument("--camera", metavar="NAME", help="only events of this camera")
    group.add_argument("--kind", metavar="KIND", help="only events of this kind, such as zone-enter, line or lost")
    group.add_argument("--zone", metavar="NAME", help="only events of this zone or line")
    group.add_argument("--event-class", metavar="CLASS", help="only events of this class")
    group.add_argument("--since", type=_moment, metavar="TIME", help="from then on, as 2026-11-28 or 2026-11-28T07:30")
    group.add_argument("--until", type=_moment, metavar="TIME", help="before then")
    group.add_argument("--test-alerts", action="store_true", help="send every alert of the set a test event")


def answer(options: argparse.Namespace, cameras: CameraSet) -> int | None:
    """Do what is asked of events; the exit code, or None where the cameras are to be watched."""
    if options.test_alerts:
        return _test_alerts(cameras)
    marks = [
        (number, marked) for number, marked in ((options.mark, True), (options.unmark, False)) if number is not None
    ]
    if not (options.events or options.events_csv or options.thumbnails or marks):
        return None
    path = cameras.folder / EVENTS_FILE
    if not path.is_file():
        raise ConfigError(f"{path}: no events are kept there yet; watch the cameras first")
    if options.since is not None and options.until is not None and options.until <= options.since:
        raise ConfigError("--until: it is not after --since, so no event could be between them")
    search = EventSearch(options.camera, options.kind, options.zone, options.event_class, options.since, options.until)
    with closing(EventStore(path)) as store:
        _refuse_unknown(options, cameras, store)
        for number, marked in marks:
            if not store.mark(number, marked=marked):
                raise ConfigError(f"--mark {number}: there is no such event; --events lists them")
        if options.events_csv is not None:
            sys.stdout.write(f"{store.write_csv(options.events_csv, search)} events: {options.events_csv}\n")
        if options.thumbnails is not None:
            sys.stdout.write(
                f"{_write_thumbnails(options.thumbnails, store, search)} thumbnails: {options.thumbnails}\n"
            )
        if options.events:
            sys.stdout.writelines(_line(event) + "\n" for event in store.search(search, limit=MOST_LISTED))
    return 0


def _write_thumbnails(folder: Path, store: EventStore, search: EventSearch) -> int:
    """Write what the newest of these events looked like; how many. Raises SinkError where that is refused."""
    found = store.thumbnails([event.event for event in store.search(search, limit=MOST_WRITTEN)])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, jpeg in found.items():
            (folder / f"{number}.jpg").write_bytes(jpeg)
    except OSError as error:
        raise SinkError(f"{folder}: cannot be written: {why_unwritable(error)}") from error
    return len(found)


def _refuse_unknown(options: argparse.Namespace, cameras: CameraSet, store: EventStore) -> None:
    """Raise ConfigError, naming the nearest, for what neither the set nor any event has: it would find nothing."""
    lines = [rule.name for camera in cameras.camera for rule in camera.rules.line]
    zones = [rule.name for camera in cameras.camera for rule in camera.rules.zone]
    asked: tuple[tuple[str, str | None, Column, list[str]], ...] = (
        ("--camera", options.camera, "camera", [camera.name for camera in cameras.camera]),
        ("--kind", options.kind, "kind", [*EVENT_KINDS]),
        ("--zone", options.zone, "name", lines + zones),
        ("--event-class", options.event_class, "class", []),
    )
    for option, value, column, own in asked:
        if value is None:
            continue
        known = {*own, *store.values_of(column)} - {""}
        if value not in known:
            raise ConfigError(f"{option} {value}: no event has it; {nearest(value, known)}")


def _line(event: StoredEvent) -> str:
    moment = datetime.fromtimestamp(event.time).astimezone().isoformat(" ", "seconds")
    details = [
        event.camera,
        event.kind,
        event.name,
        event.label,
        f"track {event.track}" if event.track else "",
        event.clip,
    ]
    return "  ".join([f"{event.event:6}{'*' if event.marked else ' '}", moment, *map(legible, filter(None, details))])


def _test_alerts(cameras: CameraSet) -> int:
    """Send a test event at once, past quiet hours and limits; 0 where all arrived."""
    if not cameras.alert:
        raise ConfigError("no [[alert]] in the set; see `sightline watch --help`")
    failed = 0
    event = StoredEvent(0, cameras.camera[0].name, "test", "test", "", 0, time.time(), 0.0)
    for number, alert in enumerate(cameras.alert, 1):
        target = f"alert {number}, {target_of(alert)}"
        try:
            deliver(alert, event, f"test-{uuid.uuid4().hex}")
            sys.stdout.write(f"{target}: delivered\n")
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            failed += 1
            sys.stdout.write(f"{target}: not delivered ({why_not_delivered(error)})\n")
    return 1 if failed else 0


def _moment(text: str) -> float:
    """Seconds since 1970 of a local time, or of one with its zone."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"expected a time such as 2026-11-28 or 2026-11-28T07:30, found {text!r}"
        ) from None
