"""Logs go to standard error, a line for a thing, and never tell what an exception's text quotes."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from overt.cli.errors import reporting
from overt.runtime.logs import configure_logging

SECRET = "0.1234, 0.5678"
_log = logging.getLogger("overt.test")


@pytest.fixture(autouse=True)
def _own_root() -> Iterator[None]:
    """Configuring replaces the root's handlers: the test runner's come back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers = handlers
    root.setLevel(level)


def fail() -> None:
    vector = [SECRET]
    raise ValueError(f"a vector of {vector} cannot be used")


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == "", "standard output is for results"
    return captured.err.splitlines()


def entries(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(capsys)]


def test_each_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    _log.info("the watchlist has %d entries", 3)
    _log.warning('quotes ", line\nbreaks, ünïcode and \x00')
    first, second = entries(capsys)
    assert set(first) == {"time", "level", "logger", "message"}
    assert (first["level"], first["logger"], first["message"]) == (
        "INFO", "overt.test", "the watchlist has 3 entries"
    )  # fmt: skip
    assert second["message"] == 'quotes ", line\nbreaks, ünïcode and \x00'


def test_times_are_utc_to_the_millisecond(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    before = datetime.now(UTC)
    _log.info("now")
    (entry,) = entries(capsys)
    at = datetime.fromisoformat(entry["time"])
    assert at.utcoffset() is not None
    assert abs((at - before).total_seconds()) < 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", entry["time"])


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exceptions_text_and_values_never_appear(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure_logging("INFO", form)
    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError(f"because of {SECRET}") from error
    except RuntimeError:
        _log.exception("a stage failed")
    said = "\n".join(lines(capsys))
    assert SECRET not in said
    assert "cannot be used" not in said
    assert "a stage failed" in said
    assert "RuntimeError" in said
    assert "test_logs.py:" in said, "where it was raised is told"


def test_another_handlers_traceback_is_not_taken_over(capsys: pytest.CaptureFixture[str]) -> None:
    """The logging module keeps the text that the first handler made of an exception on the record."""

    class Chatty(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logging.Formatter().format(record)

    chatty = Chatty()
    _log.addHandler(chatty)
    try:
        for form in ("text", "json"):
            configure_logging("INFO", form)
            try:
                fail()
            except ValueError:
                _log.exception("a stage failed")
    finally:
        _log.removeHandler(chatty)
    assert SECRET not in "\n".join(lines(capsys))


def test_the_exceptions_type_and_place_are_fields_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    try:
        fail()
    except ValueError:
        _log.exception("a stage failed")
    _log.error("outside of any", exc_info=True)
    with_one, without = entries(capsys)
    assert with_one["exception"] == "ValueError"
    assert re.fullmatch(r"test_logs\.py:\d+ < test_logs\.py:\d+", with_one["at"])
    assert {"exception", "at"}.isdisjoint(without)


@pytest.mark.parametrize("level", ["warning", "WARNING"])
def test_the_level_is_kept(capsys: pytest.CaptureFixture[str], level: str) -> None:
    configure_logging(level, "text")
    _log.info("too much")
    _log.warning("enough")
    (line,) = lines(capsys)
    assert line.endswith("enough")
    assert "WARNING" in line


def test_configuring_twice_does_not_say_everything_twice(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "text")
    configure_logging("INFO", "json")
    _log.info("once")
    assert len(entries(capsys)) == 1


def ending(error: BaseException) -> int:
    """The exit code with which the command line ends on an error."""
    with pytest.raises(SystemExit) as ended, reporting():
        raise error
    assert isinstance(ended.value.code, int)
    return ended.value.code


def failed() -> Exception:
    """A run that has ended because of a stage."""
    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError("embedder has stopped") from error
    except RuntimeError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("form", ["text", "json", None])
def test_an_error_that_nobody_expected_is_told_by_kind_and_place(
    form: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the command has not come as far as to configure its logs; and of a chain, where it began."""
    logging.getLogger().handlers = []  # the test runner's own
    if form:
        configure_logging("INFO", form)
    assert ending(failed()) == 1
    said = "\n".join(lines(capsys))
    assert "ValueError" in said
    assert "test_logs.py" in said
    assert SECRET not in said
    assert (form == "json") == said.startswith("{")


def test_who_debugs_is_shown_all_of_it() -> None:
    configure_logging("DEBUG", "text")
    with pytest.raises(RuntimeError), reporting():
        raise failed()
