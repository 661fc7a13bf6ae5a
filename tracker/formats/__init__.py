"""Annotations in and out: one file per format, each with `read` and `write`, some with a sink for live runs.

May import geometry, config, types and errors. A format's module is imported when it is first asked for.
"""
