"""Who goes faster than the limit, in km/h, by four points of the image whose place on the ground is known.

python examples/speeds.py street.mp4 --rules examples/speeds.toml
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import tracker

SCENE = Path(__file__).with_name("speeds.toml")


def main(arguments: Sequence[str] | None = None) -> dict[int, float]:
    """Print everybody above the limit; the speed of each, by track."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="video, camera number or address")
    parser.add_argument("--rules", default=SCENE, help="the four points and the limit as TOML")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args(arguments)

    fast: dict[int, float] = {}
    for result in tracker.track(options.source, model=options.model, rules=options.rules):
        for event in result.events:
            if event.kind == "speed":
                fast[event.track_id] = event.value
                print(f"{event.time:8.2f} s  {result.labels[event.class_id]} {event.track_id}: {event.value:.0f} km/h")
    print(f"{len(fast)} above the limit")
    return fast


if __name__ == "__main__":
    main()
