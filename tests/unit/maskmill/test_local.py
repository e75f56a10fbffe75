"""Which processes a local stack has, and with what settings; running them is for the end-to-end tests."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import sys
from pathlib import Path

import pytest

from maskmill.errors import StackError
from maskmill.local import LocalStack, StackOptions, running_stack
from maskmill.stack.broker import LocalBroker, free_port, new_broker
from maskmill.stack.home import StackHome, read_json
from maskmill.stack.part import PartSpec


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MASKMILL_")]:
        monkeypatch.delenv(name)


def _stack(**options: object) -> LocalStack:
    return LocalStack(StackOptions(port=0, **options), lambda notice: None)  # type: ignore[arg-type]


def _specs(stack: LocalStack) -> dict[str, PartSpec]:
    return {spec.name: spec for spec in (*stack._services(), *stack._beside())}


def test_every_part_shares_one_home_and_listens_on_loopback() -> None:
    stack = _stack(workers=2, flower=True, mlflow=True)
    specs = _specs(stack)
    assert list(specs) == ["api", "worker-1", "worker-2", "scheduler", "webhooks", "flower", "mlflow"]
    assert {spec.environment["MASKMILL_HOME"] for spec in specs.values()} == {str(Path.cwd() / ".maskmill")}
    assert "127.0.0.1" in specs["api"].command
    assert "--address=127.0.0.1" in specs["flower"].command
    assert specs["mlflow"].command[specs["mlflow"].command.index("--host") + 1] == "127.0.0.1"
    assert specs["mlflow"].environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_mlflows_pages_need_the_whole_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_skinny(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", only_skinny)
    options = StackOptions(home=tmp_path / "home", port=0, mlflow=True)
    with pytest.raises(StackError, match=r"maskmill-server\[mlflow\]"), running_stack(options, lambda notice: None):
        pass


def test_workers_have_names_of_their_own_and_an_allocator_that_keeps_memory() -> None:
    worker = _specs(_stack(workers=2, engine="onnxruntime"))["worker-2"]
    assert "worker-2@%h" in worker.command
    assert worker.environment["MASKMILL_WORKER_ENGINE"] == "onnxruntime"
    assert worker.environment["MALLOC_MMAP_THRESHOLD_"] == "1073741824"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_whoever_serves_or_works_has_its_memory_in_large_pages() -> None:
    specs = _specs(_stack())
    said = {name for name, each in specs.items() if "hugetlb" in each.environment.get("GLIBC_TUNABLES", "")}
    assert said == {"api", "worker-1"}


def test_several_workers_share_the_processors_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.settings.cpu_count", lambda: 16)
    assert "MASKMILL_WORKER_STREAMS" not in _specs(_stack())["worker-1"].environment
    shared = _specs(_stack(workers=2))["worker-2"].environment
    assert (shared["MASKMILL_WORKER_STREAMS"], shared["MASKMILL_WORKER_PICTURE_THREADS"]) == ("2", "8")
    monkeypatch.setenv("MASKMILL_WORKER_STREAMS", "5")
    assert "MASKMILL_WORKER_STREAMS" not in _specs(_stack(workers=2))["worker-1"].environment


def test_the_broker_is_stopped_last(tmp_path: Path) -> None:
    home = StackHome(tmp_path / "home")
    with home.locked():
        broker = new_broker().spec(home)
    assert broker.stage > max(spec.stage for spec in _specs(_stack(workers=2, flower=True)).values())


def test_concurrency_is_the_workers_own_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKMILL_WORKER_CONCURRENCY", "7")
    command = list(_specs(_stack())["worker-1"].command)
    assert command[command.index("--concurrency") + 1] == "7"


def test_a_broker_of_ones_own_is_used_instead_of_the_bundled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _stack()._needs_broker()
    monkeypatch.setenv("MASKMILL_BROKER_URL", "redis://elsewhere/0")
    assert not _stack()._needs_broker()
    monkeypatch.setenv("MASKMILL_BROKER_URL", "elsewhere:6379")
    with pytest.raises(StackError, match="must look like redis://"):
        _stack()._needs_broker()


def test_the_brokers_secret_is_in_private_files_and_not_in_its_command(tmp_path: Path) -> None:
    home = StackHome(tmp_path / 'a "strange" home')
    broker = LocalBroker(port=1, password="hush-hush")
    with home.locked():
        spec = broker.spec(home)
        assert "hush-hush" not in " ".join(spec.command)
        assert read_json(home.broker_file) == {"url": "redis://:hush-hush@127.0.0.1:1/0"}
        config = home.run / "broker.conf"
        assert config.stat().st_mode & 0o077 == 0
        assert r"\"strange\"" in config.read_text()


def test_nobody_else_may_look_into_the_home(tmp_path: Path) -> None:
    home = StackHome(tmp_path / "home")
    with home.locked():
        assert home.root.stat().st_mode & 0o077 == 0


def test_a_broker_that_is_not_there_does_not_answer() -> None:
    assert not LocalBroker(port=free_port(), password="x").answers()


def test_a_taken_port_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port} is taken.*--port"):
            LocalStack(StackOptions(port=port), lambda notice: None)


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKMILL_BROKER_SOCKET_TIMEOUT_S", "soon")
    with (
        pytest.raises(StackError, match="BrokerSettings cannot be used: socket_timeout_s"),
        running_stack(StackOptions(home=tmp_path / "home", port=0), lambda notice: None),
    ):
        pass


def test_what_is_not_installed_is_named_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskmill.local.LIBRARIES", ("celery", "no_such_library"))
    with (
        pytest.raises(StackError, match=r"^no_such_library not installed.*maskmill-server\[local\]"),
        running_stack(StackOptions(home=tmp_path / "home", port=0), lambda notice: None),
    ):
        pass


def test_a_folder_that_would_hide_our_packages_is_refused(tmp_path: Path) -> None:
    (tmp_path / "worker").mkdir()
    with (
        pytest.raises(StackError, match="would hide"),
        running_stack(StackOptions(home=tmp_path / "home", port=0), lambda notice: None),
    ):
        pass
    assert not (tmp_path / "home").exists()


def test_an_engine_that_is_not_installed_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    options = StackOptions(home=tmp_path / "home", port=0, engine="torch")
    with (
        pytest.raises(StackError, match=r"^--engine torch: the package torch is not.*maskmill-server\[worker\]"),
        running_stack(options, lambda notice: None),
    ):
        pass


def test_an_engine_that_can_run_no_model_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = StackOptions(home=tmp_path / "home", port=0, engine="torch")
    said = (
        r"^no model can be run on cpu here: street-accurate \(torch: the bundle has no torchscript file\), street-fast"
    )
    with pytest.raises(StackError, match=said), running_stack(options, lambda notice: None):
        pass
    assert not (tmp_path / "home").exists()


def test_a_gpu_that_was_named_and_is_not_there_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKMILL_WORKER_DEVICE", "cuda:99")
    options = StackOptions(home=tmp_path / "home", port=0)
    said = r"^no model can be run on cuda:99 here: .*maskmill-server\[worker-gpu\]"
    with pytest.raises(StackError, match=said), running_stack(options, lambda notice: None):
        pass


def test_old_clients_are_served_unless_somebody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _specs(_stack())["api"].environment["MASKMILL_API_COMPAT"] == "1"
    Path(".env").write_text("MASKMILL_API_COMPAT=false\n")
    assert "MASKMILL_API_COMPAT" not in _specs(_stack())["api"].environment
    Path(".env").unlink()
    monkeypatch.setenv("MASKMILL_API_COMPAT", "0")
    assert "MASKMILL_API_COMPAT" not in _specs(_stack())["api"].environment
