"""The desktop app: sees results, never makes them. The only package that knows Qt; may import all of `tracker`.

`app` opens the `window`; `session` joins Qt and a Runner, `player` plays a file, `annotation` follows the process that
annotates it; `video_view` paints, `interaction` hit-tests as pure functions; the other files are one panel each.
"""
