"""Sightline's core: sources, detectors, trackers, analytics, stores, formats; the window stands beside it in `gui`."""

import os

# ONNX Runtime's official builds report to their maker; it looks once, when it is imported, here and in child processes.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
