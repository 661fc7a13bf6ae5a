"""What pyproject.toml cannot say: the networks of `weights` lie inside the package `tracker` once installed."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["tracker", "tracker.*", "gui", "gui.*"]), "tracker.weights"],
    package_dir={"tracker.weights": "weights"},
)
