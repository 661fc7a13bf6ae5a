"""Hand a recording to CVAT, and read what people corrected there.

    python examples/to_cvat_and_back.py street.mp4                         # annotates, writes street.xml for CVAT
    python examples/to_cvat_and_back.py street.mp4 --corrected street.xml  # what changed, and all of it as COCO

In CVAT: make a task of the video, Upload annotations, CVAT 1.1; later Export task dataset, CVAT for video 1.1.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import tracker


def main(arguments: Sequence[str] | None = None) -> dict[int, str]:
    """Write the file for CVAT, or read it back; the class of each track that differs from the recording's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--corrected", type=Path, help="the file that CVAT exported")
    parser.add_argument("--out", type=Path, default=Path("runs/annotate"), help="folder of recordings and files")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args(arguments)

    with tracker.annotate(options.video, options.out, model=options.model) as recording:
        before = {track.track_id: recording.info.labels[track.class_id] for track in recording.tracks()}
        if options.corrected is None:
            target = options.out / f"{options.video.stem}.xml"
            recording.export("cvat", target)
            print(f"{len(before)} tracks for CVAT: {target}")
            return {}
    corrected = tracker.read_annotations(options.corrected, "cvat")
    after = {
        track_id: corrected.labels[corrected.objects.class_ids[rows[0]]]
        for track_id, rows in corrected.rows_by_track().items()
    }
    changed = {
        track_id: after.get(track_id, "deleted") for track_id in before if after.get(track_id) != before[track_id]
    }
    changed |= {track_id: label for track_id, label in after.items() if track_id not in before}
    for track_id, label in sorted(changed.items()):
        print(f"track {track_id}: {before.get(track_id, 'new')} -> {label}")
    target = options.out / f"{options.video.stem}.json"
    tracker.write_annotations(target, corrected, "coco")
    print(f"{len(after)} tracks as COCO: {target}")
    return changed


if __name__ == "__main__":
    main()
