"""Images to a label per pixel, by FCN or U-Net on ONNX Runtime or torch.

Imports nets and what lies below; torch when a .safetensors network is opened, not before.
"""
