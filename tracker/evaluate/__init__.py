"""Judges networks and trackers with the field's own metrics. May import nets, detect and everything below."""
