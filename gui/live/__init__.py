"""The page of live sources: tiles, their sessions, what is recorded and noticed of them."""
