"""What newcomers trip over is named by the doctor, each with one sentence that says what to do."""

from __future__ import annotations

import shutil
import socket
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import pytest

from maskmill.doctor import machine, surroundings
from maskmill.doctor.findings import Finding
from maskmill.doctor.running import examine_running
from maskmill.errors import StackError
from maskmill.stack.checks import check_space
from maskmill.stack.home import StackHome

ROUTES = "Iface\tDestination\tGateway\neth0\t{}\t0100A8C0\n"


def named(name: str, folder: Path) -> Finding:
    found = [*machine.examine_machine(folder), *surroundings.examine_surroundings(folder, {})]
    return next(each for each in found if each.name == name)


def test_a_python_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "OLDEST_PYTHON", (4, 0))
    found = named("Python", tmp_path)
    assert (found.state, "PYTHON=python3.11" in found.mend) == ("bad", True)


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    little = SimpleNamespace(available=2**28, total=2**30)
    monkeypatch.setattr("psutil.virtual_memory", lambda: little)
    found = named("Memory", tmp_path)
    assert (found.state, found.said) == ("bad", "0.2 of 1.0 GiB free")
    assert "end other programs" in found.mend


def test_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    found = named("Home folder", tmp_path)
    assert (found.state, found.mend) == ("bad", "free some space on this disk")


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    found = named("Home folder", tmp_path)
    assert (found.state, "--home" in found.mend) == ("bad", True)


def test_a_stack_says_so_too_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match=r"cannot be written .*: choose another folder with --home"), _locked(tmp_path):
        pass
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    with pytest.raises(StackError, match=r"only 1 MB are free in .*: free some space on this disk"):
        check_space(tmp_path)


def _locked(folder: Path) -> AbstractContextManager[None]:
    return StackHome(folder / "file" / "home").locked()


def test_a_folder_that_hides_a_package_of_ours(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    found = named("Folder", tmp_path)
    assert (found.state, found.mend) == ("bad", "cd into another folder first")


def test_no_way_out_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    routes = tmp_path / "route"
    monkeypatch.setattr(surroundings, "ROUTES", routes)
    routes.write_text(ROUTES.format("0000A8C0"))
    alone = named("Network", tmp_path)
    assert (alone.state, "run-offline" in alone.mend) == ("absent", True)
    (by_proxy,) = [
        each
        for each in surroundings.examine_surroundings(tmp_path, {"HTTPS_PROXY": "http://p"})
        if each.name == "Network"
    ]
    assert by_proxy.said == "by the proxy of HTTPS_PROXY"
    routes.write_text(ROUTES.format(surroundings.DEFAULT_ROUTE))
    assert named("Network", tmp_path).state == "good"
    routes.unlink()
    assert surroundings.has_way_out()


def test_a_card_without_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(surroundings, "PCI", tmp_path)
    assert named("GPU", tmp_path).said == "none found; models run on the processor"
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "vendor").write_text("0x10de\n")
    found = named("GPU", tmp_path)
    assert (found.said, "driver" in found.mend) == ("an NVIDIA card without its driver", True)


def test_a_port_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("MASKMILL_API_PORT", str(taken.getsockname()[1]))
        monkeypatch.setattr("maskmill.doctor.running._who_answers", lambda _: "another program")
        port = [each for each in examine_running(tmp_path) if each.name.startswith("port")]
    assert [(each.said, "--port 0" in each.mend) for each in port] == [("taken by another program", True)]


def test_a_second_stack_in_one_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StackHome, "running", lambda _: {"url": "http://127.0.0.1:9", "pid": 1})
    first = next(iter(examine_running(tmp_path)))
    assert "another one needs a home and a port of its own: --home DIR --port 0" in first.said
