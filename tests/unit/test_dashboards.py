"""Dashboards are made by code, ask one question a panel, and say what to do. Unproven: that Grafana draws them."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import click
import pytest
import yaml

from infra.grafana.generate import FOLDER, path_of, text_of
from infra.grafana.panels import Dashboard
from infra.grafana.questions import ALL
from overt.cli import cli
from overt.runtime.metrics import Metrics

PROVISIONING = FOLDER.with_name("provisioning")
UNITS = {"short", "s", "ops", "opm", "bytes", "percentunit", "bool_yes_no"}
"""Of Grafana's value formats, by their ids."""
KINDS = {"timeseries", "stat", "bargauge", "heatmap"}

every_dashboard = pytest.mark.parametrize("dashboard", ALL, ids=lambda dashboard: dashboard.uid)


def panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    found = json.loads(path_of(dashboard).read_text("utf-8"))["panels"]
    assert isinstance(found, list)
    return found


@every_dashboard
def test_the_committed_json_is_what_the_code_makes(dashboard: Dashboard) -> None:
    """Where it is not: python -m infra.grafana.generate"""
    assert path_of(dashboard).read_text("utf-8") == text_of(dashboard)


def test_no_other_dashboard_lies_there() -> None:
    assert set(FOLDER.iterdir()) == {path_of(dashboard) for dashboard in ALL}
    assert len({dashboard.title for dashboard in ALL}) == len(ALL)


@every_dashboard
def test_each_panel_asks_a_question_has_a_unit_and_says_what_to_do(dashboard: Dashboard) -> None:
    for panel in panels(dashboard):
        assert re.fullmatch(r"[A-Z].*\?( \(p95\))?", panel["title"]), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["type"] in KINDS
        assert re.fullmatch(r"[A-Za-z0-9].+[.]", panel["description"]), panel["title"]
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(set(titles)) == len(titles)


@every_dashboard
def test_panels_lie_side_by_side_and_not_on_each_other(dashboard: Dashboard) -> None:
    places = [panel["gridPos"] for panel in panels(dashboard)]
    for place in places:
        assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
    for one, other in itertools.combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y


@every_dashboard
def test_each_expression_asks_the_provisioned_source_for_metrics_that_exist(dashboard: Dashboard) -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text("utf-8"))["datasources"]
    known = {
        sample
        for family in Metrics().registry.collect()
        for sample in (
            [f"{family.name}_{end}" for end in ("bucket", "sum", "count")]
            if family.type == "histogram"
            else [f"{family.name}_total" if family.type == "counter" else family.name]
        )
    }
    # The info metrics carry their suffix in the sample only.
    known |= {f"{family.name}_info" for family in Metrics().registry.collect() if family.type == "info"}
    for panel in panels(dashboard):
        letters = [target["refId"] for target in panel["targets"]]
        assert letters
        assert len(set(letters)) == len(letters)
        for target in panel["targets"]:
            assert target["datasource"] == {"type": source["type"], "uid": source["uid"]}
            assert set(re.findall(r"\bovert_\w+", target["expr"])) <= known, panel["title"]


def test_no_series_or_legend_could_name_a_person() -> None:
    """Labels that are shown are those of the metrics, and those that Prometheus adds."""
    own = {label for metric in vars(Metrics()).values() for label in getattr(metric, "_labelnames", ())}
    for dashboard in ALL:
        legends = " ".join(line.legend for panel in dashboard.panels for line in panel.lines)
        assert set(re.findall(r"{{(\w+)}}", legends)) <= own | {"le", "part", "instance", "version"}


def test_grafana_finds_the_dashboards_where_compose_mounts_them() -> None:
    root = FOLDER.parents[2]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "overt.yml").read_text("utf-8"))["providers"]
    mounts = yaml.safe_load((root / "docker-compose.yml").read_text("utf-8"))["services"]["grafana"]["volumes"]
    assert f"./infra/grafana/dashboards:{provider['options']['path']}:ro" in mounts


def test_commands_that_a_panel_names_exist() -> None:
    named = {
        tuple(words)
        for dashboard in ALL
        for panel in dashboard.panels
        for words in re.findall(r"\bovert ([a-z]+) ([a-z]+)\b", panel.description)
    }
    assert named
    context = click.Context(cli)
    for name, command in named:
        group = cli.get_command(context, name)
        assert isinstance(group, click.Group), name
        assert group.get_command(context, command), f"overt {name} {command}"
