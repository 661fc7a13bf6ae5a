"""The network and the tracker settings at work for all live sources."""
