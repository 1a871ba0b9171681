"""YAML text to plain values, with the line of every value.

A deployment file needs a small part of YAML, and the rest has surprised people: keys that occur twice (the last one
wins), `no` read as false, `10:30` read as 630, aliases that grow without bound. Scalars follow the core schema of
YAML 1.2; repeated keys, aliases and tags are problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from overt.governance.fields import Loc

MAX_DEPTH = 32
MAX_EVENTS = 100_000

AGAIN = "\0again"
"""Part of a place inside the value of a repeated key; no key of a text can hold a NUL."""

_INT = re.compile(r"^[-+]?[0-9]{1,18}$")
_FLOAT = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with the text itself."""

    line: int
    loc: Loc
    message: str


@dataclass(slots=True)
class Tree:
    """The values of a text; `lines` says where each key (or item) stands, counted from 1."""

    value: Any = None
    lines: dict[Loc, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    broken: bool = False
    """Whether the text could not be read to its end, so that `value` is not whole."""

    def line_of(self, loc: Loc) -> int:
        """The line of a place, or of the nearest part around it that exists."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)


class _Stop(Exception):
    """Reading on makes no sense."""


def read(text: str) -> Tree:
    """Reads one YAML document. What is wrong with it is listed in the tree's `faults`."""
    tree = Tree()
    try:
        _Reader(tree, _bounded(tree, text)).document()
    except _Stop:
        tree.broken = True
    except yaml.MarkedYAMLError as error:
        tree.broken = True
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        tree.faults.append(Fault(line, (), _syntax_message(error, text, line, mark.column if mark else 0)))
    except yaml.reader.ReaderError as error:
        tree.broken = True
        line = text.count("\n", 0, error.position) + 1
        tree.faults.append(
            Fault(line, (), "has a control character that YAML does not allow; delete it and type the line again")
        )
    return tree


def _bounded(tree: Tree, text: str) -> Iterator[yaml.Event]:
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > MAX_EVENTS:
            what = f"is nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else "has too many values"
            tree.faults.append(Fault(_line(event), (), f"{what}, which no deployment needs; is this the right file?"))
            raise _Stop
        yield event


def _syntax_message(error: yaml.MarkedYAMLError, text: str, line: int, column: int) -> str:
    lines = text.splitlines()
    there = lines[line - 1] if line <= len(lines) else ""
    if "\t" in there[: column + 1]:
        return "has a tab; YAML is indented with spaces only: replace each tab by two spaces"
    said = " ".join(part for part in (error.context, error.problem) if part)
    return (
        f"is not valid YAML at column {column + 1} ({said}); check the indentation, colons, quotes and brackets here"
        " and in the line above"
    )


class _Reader:
    def __init__(self, tree: Tree, events: Iterator[yaml.Event]) -> None:
        self._tree = tree
        self._events = events

    def document(self) -> None:
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._fault(event, (), "a second document starts here ('---'); write one file for each deployment")
                    raise _Stop
            elif isinstance(event, yaml.NodeEvent):
                self._tree.value = self._node(event, ())

    def _node(self, event: yaml.Event, loc: Loc) -> Any:
        if isinstance(event, yaml.AliasEvent):
            self._fault(event, loc, "is an alias (*name); write the value out where it is needed")
            return None
        if getattr(event, "tag", None) is not None:
            self._fault(event, loc, f"has the tag {event.tag}; remove it, values here are plain")  # type: ignore[attr-defined]
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(loc)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(loc)
        assert isinstance(event, yaml.ScalarEvent)
        return _scalar(event.value) if event.style is None and event.tag is None else event.value

    def _mapping(self, loc: Loc) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                self._fault(event, loc, "has a list or a mapping as a key; a key is a word followed by a colon")
                raise _Stop
            key, at = event.value, (*loc, event.value)
            line = _line(event)
            if key in values:
                self._fault(event, at, f"is given twice, first in line {self._tree.lines[at]}; keep one of the two")
                self._node(next(self._events), (*at, AGAIN))  # read past, at a place of its own
                continue
            self._tree.lines[at] = line
            values[key] = self._node(next(self._events), at)
        return values

    def _sequence(self, loc: Loc) -> list[Any]:
        values: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            at = (*loc, len(values))
            self._tree.lines[at] = _line(event)
            values.append(self._node(event, at))
        return values

    def _fault(self, event: yaml.Event, loc: Loc, message: str) -> None:
        self._tree.faults.append(Fault(_line(event), loc, message))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text
