"""Metrics of a process on a port of its own."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from telemetry.exposition import open_port, process_registry, write_target
from telemetry.version import version

LOCAL = "127.0.0.1"


def test_a_process_tells_who_it_is_and_what_it_takes() -> None:
    port = open_port(process_registry("worker"), host=LOCAL, first=0)
    assert port is not None
    try:
        text = httpx.get(f"http://{LOCAL}:{port.number}/metrics").text
    finally:
        port.close()
    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert {"process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds"} <= found.keys()
    (build,) = found["maskmill_build_info"].samples
    assert (build.labels["part"], build.labels["version"]) == ("worker", version())


def test_several_processes_of_one_machine_find_a_port_each(tmp_path: Path) -> None:
    with socket.create_server((LOCAL, 0)) as taken:
        first = taken.getsockname()[1]
        opened = [
            open_port(CollectorRegistry(), host=LOCAL, first=first, note=tmp_path / f"{n}.json", labels={"worker": n})
            for n in "ab"
        ]
    ports = [each for each in opened if each is not None]
    assert len({first, *(each.number for each in ports)}) == 3
    noted = [json.loads((tmp_path / f"{n}.json").read_text()) for n in "ab"]
    named = zip(ports, "ab", strict=True)
    assert noted == [[{"targets": [f"{LOCAL}:{p.number}"], "labels": {"worker": n}}] for p, n in named]
    for each in ports:
        each.close()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_gets_no_port_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert open_port(CollectorRegistry(), host="203.0.113.1", first=9464) is None  # an address of nobody's machine
    monkeypatch.setattr("telemetry.exposition.PORTS_TRIED", 1)
    with socket.create_server((LOCAL, 0)) as taken:
        assert open_port(CollectorRegistry(), host=LOCAL, first=taken.getsockname()[1]) is None
    assert caplog.text.count("no metrics") == 2


def test_a_note_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    write_target(tmp_path / "file" / "note.json", "127.0.0.1:1", {})
    assert "not noted" in caplog.text
