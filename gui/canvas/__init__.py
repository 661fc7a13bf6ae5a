"""The picture and what is drawn, hit and dragged on it."""
