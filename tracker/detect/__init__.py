"""Images in, Detections out: our network on ONNX Runtime or torch, and the ultralytics adapter.

May import nets, geometry, config, types, errors. `onnx` never imports torch.
"""
