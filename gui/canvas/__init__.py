"""The frame and what is drawn, hit and dragged on it."""
