"""Tracks that look alike, and identities across recordings."""
