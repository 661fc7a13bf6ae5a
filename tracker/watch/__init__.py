"""Cameras watched for months without a window: what is recorded, what happened, who is told.

May import everything of the core up to the factory, never Qt.
"""
