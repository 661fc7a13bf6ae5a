"""Headless annotation of many recordings: planned, run on processes, resumed after any kill, exported.

May import build and what lies below it, never commands or Qt.
"""
