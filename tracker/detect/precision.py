"""Which of two files of one network runs faster here: the float one, or the one with 8-bit convolutions.

Whole numbers pay on processors that multiply them natively (VNNI, AMX, Arm's dot product), and not on every one of
these: so both files are timed on this machine, once, and what came out is remembered for files of the same content.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from tracker.detect.engines.exported import open_engine
from tracker.errors import ConfigError

__all__ = ["Precision", "eight_bit_file", "faster", "has_whole_number_products", "trials_file"]

log = logging.getLogger(__name__)

Precision: TypeAlias = Literal["float", "int8"]
NATIVE = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}
"""Names, in Linux's list, of what multiplies whole numbers natively."""
GAIN = 1.1
"""How much faster the 8-bit file must be for its loss of accuracy to be worth it."""
ROUNDS = 6
LONGEST_TRIAL_S = 1.5


def eight_bit_file(path: Path, *, shipped: bool) -> Path:
    """The 8-bit file of a network, where `export --int8` writes it: beside it, or here for one that is shipped.

    Raises ConfigError where there is none.
    """
    folder = Path() if shipped else path.parent
    names = [f"{path.stem}-int8{suffix}" for suffix in (".onnx", ".xml")]
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise ConfigError(
            f"--precision: no {names[0]} or {names[1]} in {folder.resolve()}; make it by `export "
            f"{path.stem if shipped else path.with_suffix('.safetensors')} --int8 --data FILE`, or leave it out"
        )
    return found


def has_whole_number_products(flags: Callable[[], str] | None = None) -> bool | None:
    """Whether this processor multiplies whole numbers natively; None where the system does not say."""
    read = flags or _processor_flags
    words = set(read().split())
    return bool(words & NATIVE) if words else None


def faster(plain: Path, small: Path, *, imgsz: int, threads: int, remembered: Path | None = None) -> Precision:
    """What to run here; timed within two seconds where `remembered` does not know it already."""
    if has_whole_number_products() is False:
        return "float"
    key = " ".join((_processor(), str(threads), str(imgsz), _digest(plain), _digest(small)))
    place = trials_file() if remembered is None else remembered
    known = _read(place)
    if known.get(key) in ("float", "int8"):
        chosen: Precision = known[key]
        return chosen
    times = _timed([plain, small], imgsz=imgsz, threads=threads)
    chosen = "int8" if times[1] * GAIN < times[0] else "float"
    log.info("--precision auto: %s takes %.1f ms, %s %.1f ms: %s", plain, 1e3 * times[0], small, 1e3 * times[1], chosen)
    _write(place, {**known, key: chosen})
    return chosen


def _timed(files: list[Path], *, imgsz: int, threads: int) -> list[float]:
    """The shortest time of a call of each, taken in turns."""
    engines = [open_engine(path, threads=threads) for path in files]
    image = np.random.default_rng(0).integers(0, 255, (1, imgsz, imgsz, 3), np.uint8)
    shortest = [float("inf")] * len(files)
    for engine in engines:
        engine.run(image)
    begun = time.perf_counter()
    for _ in range(ROUNDS):
        for row, engine in enumerate(engines):
            started = time.perf_counter()
            engine.run(image)
            shortest[row] = min(shortest[row], time.perf_counter() - started)
        if time.perf_counter() - begun > LONGEST_TRIAL_S:
            break
    return shortest


def trials_file() -> Path:
    """Where what came out on this machine is remembered: the folder that the system has for such files."""
    if sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Caches"
    else:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "sightline" / "precision.json"


def _read(place: Path) -> dict[str, Any]:
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(place: Path, content: dict[str, Any]) -> None:
    """Whoever cannot remember tries again the next time."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f"{place.name}.{os.getpid()}.part")
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        part.replace(place)
    except OSError as error:
        log.info("%s: not remembered: %s", place, error.strerror)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _processor_flags() -> str:
    """What Linux says the processor can do; empty elsewhere."""
    lines = _cpuinfo("flags") or _cpuinfo("Features")
    return lines[0] if lines else ""


def _processor() -> str:
    names = _cpuinfo("model name")
    return names[0] if names else f"{platform.system()} {platform.machine()} {platform.processor()}"


def _cpuinfo(name: str) -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name]
