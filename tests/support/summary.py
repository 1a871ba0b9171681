"""What a test run says at its end: what it could not have, its minutes, and whether real Kafka was there."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable

import pytest

# A test that asks for one of these needs the part; parametrised tests that ask at run time carry the mark themselves.
_MARK_OF_FIXTURE = {
    "kafka": "kafka",
    "kafka_factory": "kafka",
    "redis_server": "redis",
    "rtsp_server": "rtsp",
    "rtsp_factory": "rtsp",
}


def mark_by_fixture(items: Iterable[pytest.Item]) -> None:
    """Give each test the mark of every real part among its fixtures."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _MARK_OF_FIXTURE:
                item.add_marker(_MARK_OF_FIXTURE[fixture])


def executed_on_kafka(reporter: pytest.TerminalReporter) -> int:
    """How many tests that need a real broker have run, whatever came of it."""
    return sum(
        report.when == "call" and "kafka" in report.keywords for report in _reports(reporter, "passed", "failed")
    )


def kafka_was_left_out(config: pytest.Config) -> bool:
    """True where CI is set, the run was one of the whole suite, and no test has run on a real broker."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.collectonly
    return bool(os.environ.get("CI")) and whole and reporter is not None and executed_on_kafka(reporter) == 0


def write_summary(reporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print missing parts with the tests that wanted them, minutes of each suite, tests executed on real Kafka."""
    skipped: dict[str, list[str]] = defaultdict(list)
    for report in _reports(reporter, "skipped"):
        if isinstance(report.longrepr, tuple):
            skipped[str(report.longrepr[2]).removeprefix("Skipped: ")].append(report.nodeid.removeprefix("tests/"))
    seconds: dict[str, float] = defaultdict(float)
    for report in _reports(reporter, *reporter.stats):
        seconds[report.nodeid.removeprefix("tests/").split("/")[0]] += report.duration
    reporter.section("parts and time")
    for reason, tests in sorted(skipped.items()):
        reporter.write_line(f"not run: {reason}")
        for test in tests:
            reporter.write_line(f"  {test}")
    minutes = ", ".join(f"{suite} {spent / 60:.1f}" for suite, spent in sorted(seconds.items()))
    reporter.write_line(f"minutes by suite: {minutes or 'none'}")
    reporter.write_line(f"executed on real Kafka: {executed_on_kafka(reporter)} tests")
    if kafka_was_left_out(config):
        reporter.write_line("failed: CI is set, and no test has run on real Kafka", red=True)


class ToldAtOnce:
    """A plugin that prints what failed as it fails: a run that is ended from outside prints no summary."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._reporter.ensure_newline()
            self._reporter.write_line(f"failed: {report.nodeid} ({report.when})", red=True)
            self._reporter.write_line(report.longreprtext)


def _reports(reporter: pytest.TerminalReporter, *outcomes: str) -> list[pytest.TestReport]:
    found = [report for outcome in outcomes for report in reporter.stats.get(outcome, [])]
    return [report for report in found if isinstance(report, pytest.TestReport)]
