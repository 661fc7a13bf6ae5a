"""Why a network says what it says: activation maps, occlusion, feature maps and filters, a summary of its layers.

May import nets, detect, geometry, types and errors.
"""
