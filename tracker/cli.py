"""The command line: names of commands, options to settings, errors to one line and exit code 2.

A command's own module is imported only when it is called, so that `track` starts without torch.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tracker import __version__
from tracker.commands.command_parser import CommandParser, typed_program
from tracker.commands.help_text import complete_help, leaves
from tracker.config import nearest
from tracker.ending import EndAtOnce, end_on_sigterm, interrupt_behind, interrupted_code
from tracker.errors import ConfigError, TrackerError, why_unwritable
from tracker.extras import how_to_install
from tracker.paths import exists
from tracker.runner import Runner
from tracker.video.address import is_address, redact_within

__all__ = ["Show", "main", "names_source"]

Show = Callable[[Runner, str], None]
"""Opens a window on a started runner, returns when the window closes or the run ends."""


@dataclass(frozen=True, slots=True)
class _Command:
    summary: str
    modules: tuple[str, ...]
    """Each has `add_parsers(subparsers)`."""


COMMANDS = {
    "demo": _Command("make a clip from two photographs, track it, write everything", ("tracker.commands.demo",)),
    "track": _Command("follow people and vehicles in a file, camera or stream", ("tracker.commands.track",)),
    "watch": _Command("a set of cameras for months, without a window", ("tracker.commands.watch",)),
    "detect": _Command("boxes and masks of single images", ("tracker.commands.detect",)),
    "classify": _Command("what single images, or the frames of a video, show", ("tracker.commands.classify",)),
    "localize": _Command("what an image's one object is, and where", ("tracker.commands.localize",)),
    "segment": _Command("what every pixel of images shows", ("tracker.commands.segment",)),
    "annotate": _Command("whole archives into stores and annotation files, resumed", ("tracker.commands.annotate",)),
    "export-annotations": _Command(
        "a recording in the formats others read", ("tracker.commands.exchange_annotations",)
    ),
    "import-annotations": _Command(
        "annotations from elsewhere as a recording", ("tracker.commands.exchange_annotations",)
    ),
    "report": _Command("recordings as HTML pages, with one table of counts", ("tracker.commands.report",)),
    "search": _Command("tracks that look like one, in any recordings", ("tracker.commands.search",)),
    "across": _Command("one id for one object over several recordings", ("tracker.commands.across",)),
    "counts": _Command("tracks and events of many recordings in one table", ("tracker.commands.counts",)),
    "convert": _Command("annotations from one format into another", ("tracker.commands.convert",)),
    "associate": _Command("give the boxes of detection files lasting ids", ("tracker.commands.evaluate",)),
    "evaluate": _Command("measure a network or tracks against ground truth", ("tracker.commands.evaluate",)),
    "tune": _Command("search the tracker's settings against ground truth", ("tracker.commands.evaluate",)),
    "train": _Command("train a network of your own", ("tracker.commands.train",)),
    "export": _Command("a network of yours for another engine, compared", ("tracker.commands.export_network",)),
    "explain": _Command("where a network's evidence lies in an image", ("tracker.commands.explain",)),
    "summary": _Command("a network's layers: shapes, parameters, work, fields", ("tracker.commands.summary",)),
    "convolve": _Command("a layer of a network at work on numbers or an image", ("tracker.commands.convolve",)),
    "convolutionalize": _Command(
        "a classifier over a whole image in one pass, and window by window", ("tracker.commands.convolutionalize",)
    ),
    "config": _Command("print every setting with its meaning as TOML", ("tracker.commands.config",)),
    "completion": _Command("a script for the shell's completion", ("tracker.commands.completion",)),
}


GROUPS = {
    "See and follow": ("demo", "track", "detect", "classify", "localize", "segment", "watch"),
    "Recordings": (
        "annotate",
        "report",
        "counts",
        "search",
        "across",
        "export-annotations",
        "import-annotations",
        "convert",
    ),
    "Networks of your own": ("train", "evaluate", "export", "explain", "summary", "convolve", "convolutionalize"),
    "Trackers": ("associate", "tune"),
    "The program itself": ("config", "completion"),
}
"""The commands as the overview lists them."""

OTHER_COMMANDS = {
    "predict": "detect, or track for videos",
    "val": "evaluate",
    "validate": "evaluate",
    "benchmark": "evaluate",
    "settings": "config",
    "count": "annotate with --rules, then counts",
}
"""What other programs call ours."""


def main(arguments: Sequence[str], show: Show | None = None) -> int:
    """Run one command and return its exit code.

    0 all went well; 2 it could not be done, with one line on stderr; 3 done, but the input was damaged;
    130 interrupted, 143 terminated by SIGTERM; 141 the reader of its output went away, as `| head` does. `show` opens
    the live window where there is one.
    """
    try:
        end_on_sigterm()
        code = _run(list(arguments), show)
        sys.stdout.flush()
        return code
    except TrackerError as error:
        print(f"sightline: {redact_within(' '.join(str(error).split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        code = interrupted_code(interrupt)
        print("sightline: interrupted" if code == 130 else "sightline: terminated", file=sys.stderr)
        return code
    except ImportError as error:
        signalled = interrupt_behind(error)
        if signalled is not None:
            code = interrupted_code(signalled)
            print("sightline: interrupted" if code == 130 else "sightline: terminated", file=sys.stderr)
            return code
        advice = how_to_install(error) if isinstance(error, ModuleNotFoundError) else ""
        if not advice:
            raise
        print(f"sightline: {' '.join(arguments[:1])}: {advice}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains at its end
        return 141
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"sightline: {redact_within(where)}{why_unwritable(error)}", file=sys.stderr)
        return 2


def _run(arguments: list[str], show: Show | None) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        print(f"sightline {__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        if names_source(name):
            stray = next(argument for argument in arguments if not names_source(argument))
            raise ConfigError(
                f"{stray}: no existing file and no address; the window opens such alone. For anything else name the "
                f"command first: track {redact_within(name)} ..."
            )
        raise ConfigError(f"{name!r} is neither a command nor an existing file; {_meant(name)}")
    loading = EndAtOnce()
    try:
        parser = CommandParser(prog=typed_program())
        subparsers = parser.add_subparsers(required=True, parser_class=CommandParser)
        for module in COMMANDS[name].modules:
            importlib.import_module(module).add_parsers(subparsers)
        for words, leaf in leaves(subparsers.choices[name], name):
            complete_help(leaf, words)
        options = parser.parse_args(arguments)
    finally:
        loading.release()
    level = logging.ERROR if options.quiet else max(logging.DEBUG, logging.WARNING - 10 * options.verbose)
    logging.basicConfig(level=level, format="sightline: %(message)s", stream=sys.stderr)
    if options.quiet and getattr(options, "progress", "") is None:
        options.progress = "none"
    options.show_window = show
    options.command_modules = list(dict.fromkeys(module for each in COMMANDS.values() for module in each.modules))
    code: int = options.run(options)
    return code


def names_source(argument: str) -> bool:
    """Whether it is something that the window opens: a file or folder that exists, or an address."""
    return is_address(argument) or (exists(argument) and not argument.startswith("-"))


def _meant(name: str) -> str:
    """What a word that is no command may stand for."""
    if name in OTHER_COMMANDS:
        return f"here it is called {OTHER_COMMANDS[name]}"
    if name.startswith("-"):
        return "name the command first, such as track; --help lists them"
    return nearest(name, COMMANDS)


def _overview() -> str:
    program, width = typed_program(), max(map(len, COMMANDS))
    lines = [f"usage: {program} [COMMAND ...]", "", "Without a command, or with files and addresses, the window opens."]
    for title, names in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:{width}}  {COMMANDS[name].summary}" for name in names)]
    return "\n".join([*lines, "", f"{program} COMMAND --help lists its options and gives an example."])
