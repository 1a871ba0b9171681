"""The command line as whoever types it meets it: what is printed where, exit codes, signals, closed pipes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from overt.cli import cli, main, progress
from overt.cli.exit_codes import EXIT_CODES
from overt.models.obtain import Progress, Step
from tests.support.process import Service, overt
from tests.support.typed import DEPLOYMENT, environment, on_a_terminal, typed, typed_as_a_process


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    file = tmp_path / "d.yaml"
    file.write_text(DEPLOYMENT, "utf-8")
    return file


# Help


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from leaves(found, (*path, name))
    else:
        yield path


@pytest.mark.parametrize("path", sorted(leaves(cli)), ids=" ".join)
def test_every_command_has_examples_of_itself_and_a_summary_that_is_whole(path: tuple[str, ...]) -> None:
    runner = CliRunner()
    shown = runner.invoke(cli, [*path, "--help"]).output
    assert f"overt {' '.join(path)}" in shown.partition("Examples:")[2]
    above = runner.invoke(cli, [*path[:-1], "--help"]).output
    (line,) = re.findall(rf"^  {path[-1]} +(.*)$", above.partition("Commands:")[2], re.MULTILINE)
    assert not line.endswith("...")


def test_the_exit_codes_are_told() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output
    told = dict(re.findall(r"^ +(\d+)  (.+)$", shown.partition("Exit codes:")[2], re.MULTILINE))
    assert told == {str(code): meaning for code, meaning in EXIT_CODES.items()}


# Interrupts and pipes


@pytest.mark.parametrize("moment", ["overt.cli.errors", "overt.cli.models"])
def test_an_interrupt_while_modules_are_loaded_ends_with_130(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == moment:
                raise KeyboardInterrupt

    monkeypatch.setattr(sys, "meta_path", [Interrupted, *sys.meta_path])
    monkeypatch.setattr(sys, "argv", ["overt", "models", "list"])
    monkeypatch.delitem(sys.modules, moment, raising=False)
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 130


def test_a_reader_that_has_gone_ends_a_command_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            overt("settings"), env=environment(), stdout=closed, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (141, b"")


# Settings, deployment files, models


def test_settings_are_all_told_and_no_value_is_shown() -> None:
    done = typed("settings", redis_url="redis://:hushhush@127.0.0.1:1/0")
    assert done.returncode == 0
    assert "hushhush" not in done.stdout + done.stderr
    assert re.search(r"^OVERT_REDIS_URL .*\(set\)$", done.stdout, re.MULTILINE)
    assert re.search(r"^OVERT_KEYRING_FILE .*[^)]$", done.stdout, re.MULTILINE)


def test_settings_say_which_is_wrong_and_are_told_all_the_same() -> None:
    done = typed("settings", threads="many")
    assert done.returncode == 2
    assert "OVERT_THREADS" in done.stderr
    assert "OVERT_KAFKA_BOOTSTRAP" in done.stdout


def test_a_deployment_file_that_is_right_is_called_so_and_its_window_is_told(deployment: Path) -> None:
    (deployment.parent / "walk.avi").touch()
    (deployment.parent / "people" / "A").mkdir(parents=True)
    done = typed("deployment", "check", deployment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 camera" in done.stdout
    assert "is over" in done.stdout


def test_models_of_an_empty_folder_are_missing_and_said_to_be(tmp_path: Path) -> None:
    done = typed("models", "import", tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 3
    assert "overt models pull centerface" in done.stderr


def test_verifying_speaks_of_the_default_models_and_of_those_that_are_here(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "dlib-resnet-v1.onnx").write_bytes(b"another file")
    done = typed("models", "verify", cache=tmp_path)
    assert done.returncode == 3
    assert done.stdout.splitlines() == ["centerface: missing", "dlib-resnet-v1: wrong"]


# Services without a cluster


def test_a_service_without_kafka_and_redis_lives_is_not_ready_says_so_and_leaves_when_told(
    deployment: Path, tmp_path: Path
) -> None:
    nobody = {"kafka_bootstrap": "127.0.0.1:1", "redis_url": "redis://127.0.0.1:1/0"}
    service = Service(overt("serve", "detector", "-d", deployment), tmp_path, settings=nobody, name="detector")
    service.spawn()
    try:
        service.child.wait_until(lambda: service.status("/healthz") == 200, 60, what="alive")
        assert service.status("/readyz") == 503
        service.child.wait_until(lambda: "Connection refused" in service.log_text(), 60, what="at its first attempt")
        service.terminate(30)
    finally:
        service.kill()
    assert service.child.exit_code == 0
    assert "detector: ready" not in service.log_text()
    assert "detector: stopped" in service.log_text()


def test_a_service_whose_port_is_taken_names_the_settings(deployment: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = typed_as_a_process("serve", "detector", "-d", deployment, metrics_port=str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "OVERT_METRICS_PORT" in done.stderr
    assert "Traceback" not in done.stderr


# Progress


def test_on_a_terminal_progress_is_one_line_what_is_said_stands_above_and_nothing_is_left() -> None:
    text = on_a_terminal("""
import threading
from overt.cli import progress

bar = progress.Bar("images")
bar(1, 3)
bar(2, 3)
progress.say("one was refused")
bar(3, 3)

progress._TICK_S = 0.01
shown = threading.Event()

def status():
    if threading.current_thread().name == "progress" and progress._LINE._shown:
        shown.set()
    return "frames 7"

with progress.during(status):
    assert shown.wait(60)
""")
    bar = b"\r\x1b[Kimages: 1/3\r\x1b[Kimages: 2/3\r\x1b[Kone was refused\r\nimages: 3/3\r\n"
    running, clear = b"\r\x1b[Kframes 7", b"\r\x1b[K"
    assert re.fullmatch(re.escape(bar) + b"(" + re.escape(running) + b")+" + re.escape(clear), text)


def test_off_a_terminal_a_step_says_a_line_for_each_quarter(capsys: pytest.CaptureFixture[str]) -> None:
    bar = progress.Bar("pictures")
    for done in range(1, 310):
        bar(done, 309)
    assert capsys.readouterr().err.splitlines() == [f"pictures: {n}/309" for n in (1, 78, 155, 232, 309)]


def test_off_a_terminal_a_download_says_its_size_once(capsys: pytest.CaptureFixture[str]) -> None:
    told = progress.Downloads()
    for done in (0, 0, 2_000_000, 7_000_000, 7_000_000):
        told(Progress("centerface", Step.DOWNLOAD, done, 7_000_000))
    told(Progress("centerface", Step.CONVERT))
    told(Progress("centerface", Step.READY))
    assert capsys.readouterr().err.splitlines() == ["centerface: download of 7.0 MB", "centerface: convert"]


def test_off_a_terminal_what_runs_shows_itself_at_growing_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_TICK_S", 0.001)
    monkeypatch.setattr(progress, "_FIRST_LINE_S", 0.05)
    told: list[float] = []
    enough = threading.Event()

    def status() -> str:
        told.append(time.monotonic())
        if len(told) == 4:
            enough.set()
        return "running"

    began = time.monotonic()
    with progress.during(status):
        assert enough.wait(60)
    assert all(at - began >= 0.05 * (2 ** (n + 1) - 1) for n, at in enumerate(told))
