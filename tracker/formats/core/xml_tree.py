"""XML as a small tree that knows its lines; refuses document type definitions, and with them every entity bomb."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

from tracker.errors import FormatError, refuse_special

__all__ = ["Node", "read_xml"]

_DEEPEST = 64


@dataclass(slots=True)
class Node:
    """One element."""

    tag: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, tag: str) -> list[Node]:
        """The children of that name."""
        return [child for child in self.children if child.tag == tag]

    def first(self, *path: str) -> Node | None:
        """The first descendant along the path of names."""
        node: Node | None = self
        for tag in path:
            node = next((child for child in node.children if child.tag == tag), None) if node else None
        return node

    def words(self, *path: str) -> str:
        """The stripped text of the descendant along the path, empty where there is none."""
        node = self.first(*path)
        return node.text.strip() if node else ""


def read_xml(path: Path | str, root: str) -> Node:
    """The file's root element, which must have that name. Raises FormatError with the line of any fault."""
    try:
        refuse_special(Path(path))
        content = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from error
    top = Node("", {}, 0)
    stack = [top]
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(stack) > _DEEPEST:
            raise FormatError(f"{path}: line {parser.CurrentLineNumber}: nested too deeply")
        node = Node(tag, attributes, parser.CurrentLineNumber)
        stack[-1].children.append(node)
        stack.append(node)

    def end(_tag: str) -> None:
        stack.pop()

    def text(piece: str) -> None:
        stack[-1].text += piece

    def refuse(*_details: Any) -> NoReturn:
        raise FormatError(
            f"{path}: line {parser.CurrentLineNumber}: document type definitions are refused; remove the DOCTYPE"
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise FormatError(f"{path}: line {error.lineno}: not XML: {expat.ErrorString(error.code)}") from error
    except (ValueError, LookupError) as error:  # an encoding the machine does not know
        raise FormatError(f"{path}: line 1: not XML: {error}") from error
    found = top.children[0]
    if found.tag != root:
        raise FormatError(f"{path}: line {found.line}: expected <{root}>, found <{found.tag}>")
    return found
