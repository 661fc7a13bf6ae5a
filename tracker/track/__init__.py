"""Tracking: detections in, lasting identities out. May import types, protocols, geometry, config and errors.

Read engine.py for the life of a track, stages.py for who is matched with whom, presets.py for the trackers by name.
"""
