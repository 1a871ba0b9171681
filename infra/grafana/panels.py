"""A dashboard as data, and the JSON that Grafana reads for it (schema version 39, Grafana 10 and newer)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SOURCE = {"type": "prometheus", "uid": "prometheus"}
RED, AMBER, GREEN = "red", "orange", "green"
_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Line:
    """An expression, and what its series are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One question. `unit` is Grafana's name for it; `description` says what to do. kind: timeseries, stat, bargauge,
    or heatmap. `steps`: from which value on which colour, the first without a value. `width` of 24 columns."""

    question: str
    lines: Sequence[Line]
    unit: str
    description: str
    kind: str = "timeseries"
    steps: Sequence[tuple[float | None, str]] = ()
    least: float | None = 0
    width: int = 8
    height: int = 8

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """As Grafana wants it, at its place."""
        steps = [{"value": value, "color": colour} for value, colour in self.steps or ((None, GREEN),)]
        defaults: dict[str, Any] = {"unit": self.unit, "thresholds": {"mode": "absolute", "steps": steps}}
        if self.least is not None:
            defaults["min"] = self.least
        return {
            "id": number,
            "type": self.kind,
            "title": self.question,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults | self._custom(), "overrides": []},
            "options": self._options(),
            "targets": [self._target(letter, line) for letter, line in zip("ABCDEFGH", self.lines, strict=False)],
        }

    def _target(self, letter: str, line: Line) -> dict[str, Any]:
        now = self.kind in ("stat", "bargauge")
        return {
            "refId": letter,
            "datasource": SOURCE,
            "expr": line.expression,
            "legendFormat": line.legend or "__auto",
            "instant": now,
            "range": not now,
            "format": "heatmap" if self.kind == "heatmap" else "time_series",
        }

    def _custom(self) -> dict[str, Any]:
        if self.kind != "timeseries":
            return {}
        lined = {"thresholdsStyle": {"mode": "line"}} if self.steps else {}
        return {"custom": {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": False} | lined}

    def _options(self) -> dict[str, Any]:
        reduced = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
        match self.kind:
            case "stat":
                return reduced | {"colorMode": "value", "graphMode": "none", "textMode": "auto"}
            case "bargauge":
                return reduced | {"orientation": "horizontal", "displayMode": "basic"}
            case "heatmap":
                return self._of_heatmap()
            case _:
                return {
                    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                    "tooltip": {"mode": "multi", "sort": "desc"},
                }

    def _of_heatmap(self) -> dict[str, Any]:
        """Counts of a histogram's buckets: the source says what is in each, nothing is calculated here."""
        colour = {"mode": "scheme", "scheme": "Blues", "fill": "dark-blue", "scale": "exponential", "exponent": 0.5}
        return {
            "calculate": False,
            "calculation": {},
            "cellGap": 1,
            "color": colour | {"steps": 32, "reverse": False},
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": self.unit},
        }


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels in reading order, under a name."""

    uid: str
    title: str
    panels: Sequence[Panel]

    def json(self) -> dict[str, Any]:
        """As Grafana's provisioning reads it."""
        return {
            "uid": self.uid,
            "title": f"Overt: {self.title}",
            "tags": ["overt"],
            "schemaVersion": 39,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": []},
            "annotations": {"list": [_ALARMS]},
            "links": [
                {"type": "dashboards", "title": "Overt", "tags": ["overt"], "asDropdown": False, "keepTime": True}
            ],
            "panels": list(self._placed()),
        }

    def _placed(self) -> list[dict[str, Any]]:
        """From left to right, a new row where one is full."""
        placed, x, y, row = [], 0, 0, 0
        for number, panel in enumerate(self.panels, 1):
            if x + panel.width > _COLUMNS:
                x, y, row = 0, y + row, 0
            placed.append(panel.json(number, x, y))
            x, row = x + panel.width, max(row, panel.height)
        return placed


_ALARMS = {
    "name": "Alarms",
    "enable": True,
    "datasource": SOURCE,
    "expr": 'ALERTS{alertname=~"Overt.*",alertstate="firing"}',
    "titleFormat": "{{alertname}}",
    "iconColor": RED,
}
