"""What the window needs of Qt and the system around it: application, theme, icons, keys, background work."""
