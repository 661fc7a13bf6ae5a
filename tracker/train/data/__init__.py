"""What trainings read: checked before the first step, augmented, batched."""

from tracker.train.data.detection import DataCheck, draw_box_masks, load_data

__all__ = ["DataCheck", "draw_box_masks", "load_data"]
