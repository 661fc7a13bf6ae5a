"""Command lines as people write them: lists after one option, words of other programs, and refusals that help.

May import config, errors and paths only.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Collection, Sequence
from glob import has_magic
from pathlib import PurePath
from typing import Any, NoReturn

from tracker.config import device_name, nearest
from tracker.errors import ConfigError
from tracker.paths import exists

__all__ = ["CommandParser", "comma_list", "device_option", "typed_program"]

ASSIGNMENT = re.compile(r"([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
FOLDERS = ("--out", "--project")
"""Where results go: `track` makes a folder for each run in --project, the others write to --out."""
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "--weights": ("--model",),
    "--yolo-model": ("--model",),
    "--img": ("--imgsz",),
    "--view-img": ("--show",),
    "--tracking-method": ("--tracker",),
    **dict.fromkeys(("--out", "--output", "--out-dir", "--output-dir", "--save-dir", "--project"), FOLDERS),
}
"""What other programs, or other commands, call our options; the first that a command has is meant."""
INPUTS = ("source", "input", "video")
"""What other programs call the argument that stands without a name here."""


def typed_program() -> str:
    """What the user called the program by."""
    name = PurePath(sys.argv[0]).name if sys.argv else ""
    return {"main.py": "python main.py", "__main__.py": "python -m tracker"}.get(name, "sightline")


def comma_list(text: str) -> tuple[str, ...]:
    """The parts of `a,b,c`."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def device_option(text: str) -> str:
    """The device as torch calls it. Raises ArgumentTypeError for what is none."""
    try:
        return device_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class CommandParser(argparse.ArgumentParser):
    """Refuses with a ConfigError instead of printing usage, and says which option was meant.

    Options of type `comma_list` take their values parted by commas or by blanks, as in `--classes 0 2`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options["allow_abbrev"] = False
        super().__init__(*arguments, **options)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            raise ConfigError(self._explain(unknown[0], options))
        return options

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        arguments = list(args)
        self._refuse_assignments(arguments)
        joined = self._join_lists(arguments)
        try:
            options, unknown = super().parse_known_args(joined, namespace)
        except _MissingError:
            fewer = self._join_lists(arguments, spare_last=True)  # --classes person 0: the camera 0
            if fewer == joined:
                raise
            options, unknown = super().parse_known_args(fewer, namespace)
        if not hasattr(options, "known_options"):
            options.called = self.prog
            options.known_options = [name for name in self._option_string_actions if name.startswith("--")]
        return options, unknown

    def error(self, message: str) -> NoReturn:
        kind = _MissingError if message.startswith("the following arguments are required") else ConfigError
        raise kind(f"{message}; try `{self.prog} --help`")

    def _explain(self, unknown: str, options: Any) -> str:
        if exists(unknown):
            return f"{unknown} is read as an option; write ./{unknown}" if unknown[0] == "-" else _one_too_many(unknown)
        if not unknown.startswith("-"):
            return _one_too_many(unknown)
        name, known = unknown.partition("=")[0], getattr(options, "known_options", [])
        if name.lstrip("-") in INPUTS:
            return f"unknown option {name}; what is read stands without a name: `{options.called} street.mp4`"
        other = _other_name(name.replace("_", "-"), known)
        return f"unknown option {name}; {f'here it is {other}' if other else nearest(name, known)}"

    def _refuse_assignments(self, arguments: Sequence[str]) -> None:
        """Raise ConfigError for `conf=0.3`, which is how other programs write --conf 0.3."""
        for place, argument in enumerate(arguments):
            match = ASSIGNMENT.fullmatch(argument)
            if match is None or exists(argument) or (place and self._takes_value(arguments[place - 1])):
                continue
            name, value = match.groups()
            option = f"--{name.replace('_', '-')}"
            if option not in self._option_string_actions:
                option = _other_name(option, self._option_string_actions) or option
            if "." in name and "--set" in self._option_string_actions:
                raise ConfigError(f"{argument}: write --set {argument}")
            if option in self._option_string_actions:
                raise ConfigError(f"{argument}: write {self._as_option(option, value)}")
            if name in INPUTS or name in [action.dest for action in self._get_positional_actions()]:
                raise ConfigError(f"{argument}: write {value} alone, without {name}=")

    def _as_option(self, option: str, value: str) -> str:
        """How this option is given that value."""
        action = self._option_string_actions[option]
        if action.nargs != 0:
            return f"{option} {value}"
        if value.lower() in ("true", "1", "yes"):
            return option
        negation = f"--no-{option[2:]}"
        return negation if negation in action.option_strings else f"nothing: without {option} it is off"

    def _takes_value(self, argument: str) -> bool:
        action = self._option_string_actions.get(argument)
        return action is not None and action.nargs != 0

    def _join_lists(self, arguments: Sequence[str], *, spare_last: bool = False) -> list[str]:
        """The arguments with the values of each list as one, `--classes 0 2` as `--classes 0,2`.

        With `spare_last` the last value of the last list stands by itself.
        """
        joined: list[str] = []
        spare: tuple[int, str] | None = None
        place = 0
        while place < len(arguments):
            action = self._option_string_actions.get(arguments[place])
            joined.append(arguments[place])
            place += 1
            if action is None or action.type is not comma_list or place == len(arguments):
                continue
            values = [arguments[place]]
            place += 1
            while place < len(arguments) and _is_value(arguments[place]):
                values.append(arguments[place])
                place += 1
            if len(values) > 1:
                spare = len(joined), values[-1]
            joined.append(",".join(values))
        if spare is not None and spare_last:
            at, value = spare
            joined[at : at + 1] = [joined[at].removesuffix(f",{value}"), value]
        return joined


class _MissingError(ConfigError):
    """An argument is missing."""


def _is_value(text: str) -> bool:
    """Whether a word after a value is one more value of the list, not an option, a path or an address."""
    if text.startswith("-") or exists(text) or ADDRESS.match(text) or has_magic(text):
        return False
    return not PurePath(text).suffix and not set("/\\") & set(text)


def _other_name(option: str, known: Collection[str]) -> str:
    """What a command that knows these options calls this one; empty where it has none like it."""
    return next((other for other in OTHER_NAMES.get(option, ()) if other in known), "")


def _one_too_many(argument: str) -> str:
    return f"unexpected argument {argument!r}: one more than this command takes; try --help"
