"""What trainings read: checked before the first step, augmented, batched."""
