"""Every rule fires when it should and only then, by `promtool test rules`; each leads to its runbook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from overt.runtime.metrics import Metrics
from tests.support.prometheus import PROMETHEUS, RULES, Rule, alerts, prometheus_unavailable, promtool
from tests.support.requirements import require
from tests.support.rule_cases import CASES, Case

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


@pytest.fixture
def with_promtool() -> None:
    """Skips by name and reason where it is not to be had."""
    require(prometheus_unavailable())


def as_promtool_wants(rule_file: Path, cases: Sequence[Case]) -> dict[str, Any]:
    """Cases of one file's rules for `promtool test rules`: each counts the alert's firing series. What others are built
    on, the open window, is always among the rules."""
    return {
        "rule_files": sorted({str(rule_file), str(PROMETHEUS / "rules" / "deployment.yml")}),
        "evaluation_interval": "10s",
        "tests": [
            {
                "name": f"{number} {case.alert} at {case.at_s} s",
                "interval": "10s",
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}}) or vector(0)',
                        "eval_time": f"{case.at_s}s",
                        "exp_samples": [{"labels": "{}", "value": case.fires}],
                    }
                ],
            }
            for number, case in enumerate(cases)
        ],
    }


def run(cases: Sequence[Case], folder: Path) -> str:
    """What promtool complains about; nothing where all cases hold."""
    files = []
    for rule_file in RULES:
        words = rule_file.read_text("utf-8")
        those = [case for case in cases if f"- alert: {case.alert}\n" in words]
        files.append(folder / rule_file.name)
        files[-1].write_text(yaml.safe_dump(as_promtool_wants(rule_file, those)), encoding="utf-8")
    done = promtool("test", "rules", *files)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.usefixtures("with_promtool")
def test_each_rule_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    assert run(CASES, tmp_path) == ""


@pytest.mark.usefixtures("with_promtool")
def test_a_case_that_does_not_hold_would_be_seen(tmp_path: Path) -> None:
    wrong = Case("OvertKeysLiveLong", 30, 1, {"overt_transient_key_life_seconds": "30x400"})
    assert "OvertKeysLiveLong" in run([wrong], tmp_path)


@pytest.mark.usefixtures("with_promtool")
def test_rules_and_configuration_are_what_prometheus_accepts() -> None:
    for done in (promtool("check", "rules", *RULES), promtool("check", "config", PROMETHEUS / "prometheus.yml")):
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_case_of_firing_and_one_of_not() -> None:
    names = {rule.name for rule in alerts()}
    assert {case.alert for case in CASES if case.fires} == names
    assert {case.alert for case in CASES if not case.fires} == names


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule.name)
def test_every_rule_leads_to_its_runbook(rule: Rule) -> None:
    """Symptom, check and action stand under a heading of the rule's name."""
    page, _, anchor = rule.annotations["runbook_url"].partition("#")
    assert page == "docs/operations.md"
    assert anchor == rule.name.lower()
    assert rule.severity in ("critical", "warning", "info")
    section = re.search(rf"^### {rule.name}$(.*?)(?=^#|\Z)", OPERATIONS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert section is not None, f"docs/operations.md has no heading {rule.name}"
    for part in ("**Symptom.**", "**Check.**", "**Action.**"):
        assert part in section[1], f"{rule.name} has no {part}"


def test_every_runbook_has_its_rule() -> None:
    headings = set(re.findall(r"^### (Overt\w+)$", OPERATIONS.read_text("utf-8"), re.MULTILINE))
    assert headings == {rule.name for rule in alerts()}


def test_the_rules_name_only_metrics_that_exist() -> None:
    """A misspelt one would never fire."""
    families = {family.name: family.type for family in Metrics().registry.collect()}
    known = set()
    for name, kind in families.items():
        known |= {
            "counter": {f"{name}_total"},
            "histogram": {f"{name}_bucket", f"{name}_sum", f"{name}_count"},
        }.get(kind, {name})
    for rule in alerts():
        assert set(re.findall(r"\bovert_\w+", rule.expression)) <= known, rule.name


def test_prometheus_asks_each_service_of_compose_at_the_port_of_the_image() -> None:
    """By the compose file and the Dockerfile as they stand."""
    root = PROMETHEUS.parents[1]
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    (sought,) = config["scrape_configs"][0]["dns_sd_configs"]
    compose = yaml.safe_load((root / "docker-compose.yml").read_text("utf-8"))
    watched = {name for name, one in compose["services"].items() if "watch" in (one.get("networks") or ())}
    assert set(sought["names"]) == watched - {"prometheus"}
    assert f"OVERT_METRICS_PORT={sought['port']}" in (root / "infra" / "docker" / "Dockerfile").read_text("utf-8")
