"""Why a network says what it says: activation maps of a detection, feature maps, and a summary of its layers.

May import nets, detect, geometry, types and errors.
"""
