"""Look inside: a kernel at work, maps of any layer, anchors and suppression, on the frames that are shown."""
