"""Why a network says what it says: Grad-CAM, feature maps, and a summary of its layers.

May import nets, detect, geometry, types and errors.
"""
