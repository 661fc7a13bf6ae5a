"""What runs a network: ONNX Runtime, OpenVINO, TorchScript or torch; each gives the raw maps of `nets/yolo.py`."""
