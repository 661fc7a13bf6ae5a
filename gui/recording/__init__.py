"""The page of one recording: player, timeline, tracks, corrections, counts, export."""
