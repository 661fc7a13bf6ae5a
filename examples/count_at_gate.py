"""Count who crosses a line, by class and direction.

python examples/count_at_gate.py street.mp4 --rules examples/gate.toml
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import tracker

GATE = Path(__file__).with_name("gate.toml")


def main(arguments: Sequence[str] | None = None) -> Counter[tuple[str, str]]:
    """Print each crossing, then the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="video, camera number or address")
    parser.add_argument("--rules", default=GATE, help="lines and zones as TOML")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args(arguments)

    counts: Counter[tuple[str, str]] = Counter()
    for result in tracker.track(options.source, model=options.model, rules=options.rules):
        for event in result.events:
            if event.kind == "line":
                label = result.labels[event.class_id]
                way = "in" if event.value > 0 else "out"
                counts[label, way] += 1
                print(f"{event.time:8.2f} s  {label} {event.track_id} goes {way} at {event.name}")
    for (label, way), number in sorted(counts.items()):
        print(f"{label} {way}: {number}")
    return counts


if __name__ == "__main__":
    main()
