"""Offline refinement of a finished recording: fragments linked, gaps filled, paths smoothed."""
