"""The dashboard and the alerts of deploy/ ask for metrics that exist, and say how they are to be read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.architecture.source_files import ROOT
from tests.services.processes import missing
from tests.watching import PAGE, documented_metrics, metrics_in

DASHBOARD = ROOT / "deploy" / "grafana" / "maskmill.json"
PROMETHEUS = ROOT / "deploy" / "prometheus"
OF_PROCESSES = {"process_resident_memory_bytes", "process_cpu_seconds"}


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text("utf-8"))


def rules() -> list[Any]:
    (group,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text("utf-8"))["groups"]
    return list(group["rules"])


def queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (each["definition"] for each in dashboard()["templating"]["list"] if each["type"] == "query")


def test_every_query_and_every_alert_asks_for_metrics_that_exist() -> None:
    known = documented_metrics() | OF_PROCESSES
    asked = {name for text in (*queries(), *(rule["expr"] for rule in rules())) for name in metrics_in(text)}
    assert asked - known == set()


def test_every_metric_of_ours_but_few_is_on_the_dashboard() -> None:
    shown = {name for text in queries() for name in metrics_in(text)}
    unshown = {"maskmill_build_info", "maskmill_requests_running", "maskmill_slice_seconds", "maskmill_attempt_seconds"}
    assert documented_metrics() - shown - unshown == {"maskmill_jobs_deleted", "maskmill_webhook_seconds"}


def test_grafana_can_load_the_dashboard() -> None:
    """What its schema asks for: ids that differ, places that do not overlap, and a source that the variables name."""
    board = dashboard()
    assert (board["uid"], board["title"], board["schemaVersion"] >= 36) == ("maskmill", "Maskmill", True)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert {panel["type"] for panel in board["panels"]} <= {"row", "stat", "timeseries"}
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["targets"], panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    variables = {each["name"] for each in board["templating"]["list"]}
    used = {name for text in queries() for name in re.findall(r"\$(\w+)", text)} - {"__rate_interval"}
    assert used <= variables
    assert "datasource" in variables


def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """As recording rules, which `promtool` parses."""
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool", "whether Prometheus understands the dashboard")
    asked = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]
    recorded = [
        {"record": f"query_{at}", "expr": text.replace("$__rate_interval", "5m")} for at, text in enumerate(asked)
    ]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))
    command = [promtool, "check", "rules", "queries.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_explained_and_says_how_urgent_it_is() -> None:
    page = PAGE.read_text("utf-8")
    assert {rule["alert"] for rule in rules()} == set(re.findall(r"^\| `(Maskmill\w+)`", page, re.MULTILINE))
    assert {rule["labels"]["severity"] for rule in rules()} <= {"page", "ticket"}
    assert all(rule["annotations"]["summary"] for rule in rules())


def test_the_alerts_and_what_is_scraped_are_what_prometheus_understands() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool", "whether Prometheus understands the alerts")
    for command in (
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
        ("check", "config", "--syntax-only", "prometheus.yml"),
    ):
        done = subprocess.run([promtool, *command], cwd=PROMETHEUS, capture_output=True, text=True, timeout=170)
        assert done.returncode == 0, done.stdout + done.stderr
