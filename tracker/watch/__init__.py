"""Cameras watched for months without a window: what is recorded, what happened, who is notified.

May import everything of the core up to the factory, never Qt.
"""
