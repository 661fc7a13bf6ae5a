"""The 80 classes of COCO (Lin et al., "Microsoft COCO: Common Objects in Context", 2014), and groups of them."""

from __future__ import annotations

__all__ = ["CLASS_GROUPS", "COCO_LABELS"]

NAMES = """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
    stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
    backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball
    bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife,
    spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair,
    couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone,
    microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier,
    toothbrush
"""
COCO_LABELS = tuple(" ".join(name.split()) for name in NAMES.split(","))

CLASS_GROUPS: dict[str, tuple[str, ...]] = {
    "people-and-vehicles": ("person", "bicycle", "car", "motorcycle", "bus", "train", "truck"),
    "animals": COCO_LABELS[14:24],
    "indoor": COCO_LABELS[39:],
}
"""Names under which several classes can be asked for at once."""
