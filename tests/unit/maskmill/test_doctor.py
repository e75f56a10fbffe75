"""The doctor looks at a real machine; what it cannot find there it is told."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as real_version
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from maskmill.doctor import Findings, examine
from maskmill.doctor.findings import Finding
from maskmill.doctor.installed import examine_parts
from maskmill.doctor.running import examine_running
from maskmill.doctor.settings import examine_settings
from maskmill.errors import StackError
from maskmill.installed import called, how_to_install
from maskmill.stack.checks import check_default_model, check_settings
from maskmill.stack.home import StackHome, write_private
from segmentation.engines import EngineKind
from storage.migrate import upgrade
from storage.settings import StorageSettings
from tests.tiny_models import tiny_bundle
from tests.unit.maskmill.toy_server import ToyServer, as_json, problem

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MASKMILL_BROKER_URL", "MASKMILL_STORAGE_DATABASE_URL", "MASKMILL_STORAGE_OBJECTS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def _by_name(findings: Findings) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings.found}


def test_a_developers_machine_is_well(tmp_path: Path) -> None:
    findings = examine(tmp_path / "home")
    assert findings.well, findings.as_dict()
    found = _by_name(findings)
    assert found["Python"].said.startswith("3.")
    assert found["broker server"].state == "good"
    assert found["local stack"].state == "absent"


def test_it_changes_nothing(tmp_path: Path) -> None:
    examine(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("celery", "mlflow-skinny", "openvino", "av"):
            raise PackageNotFoundError(name)
        return real_version(name)

    monkeypatch.setattr("maskmill.doctor.installed.version", version)
    findings = examine(tmp_path / "home")
    found = _by_name(findings)
    assert not findings.well
    assert (found["broker"].state, found["broker"].mend) == ("bad", how_to_install("broker"))
    assert found["registry"].state == "absent"
    assert (found["video"].state, found["video"].mend) == ("absent", how_to_install("video"))
    assert found["openvino"].state == "absent"  # another engine is there


@pytest.mark.parametrize(
    ("name", "value", "part", "said"),
    [
        ("MASKMILL_API_RETENTION_S", "5", "API settings", "retention_s"),
        ("MASKMILL_API_ALLOWED_HOSTS", "masks.example.org", "API settings", "no JSON"),
        (
            "MASKMILL_STORAGE_DATABASE_URL",
            "nonsense",
            "storage settings",
            "cannot be used: Value error, database_url must look",
        ),
        ("MASKMILL_WORKER_LEASE_S", "3", "worker settings", "lease_s must be at least twice heartbeat_s"),
        ("MASKMILL_STORAGE_S3_ENDPOINT", "minio:9000", "storage settings", "s3_endpoint must look like http://"),
        ("MASKMILL_STORAGE_S3_PUBLIC_ENDPOINT", "http://[a", "storage settings", "s3_public_endpoint must look like"),
        ("MASKMILL_BROKER_UPKEEP_INTERVAL_S", "0", "broker settings", "upkeep_interval_s"),
        (
            "MASKMILL_BROKER_URL",
            "amqp://guest@rabbit//",
            "broker settings",
            "url: Value error, must look like redis://",
        ),
        ("MASKMILL_BROKER_URL", "redis://broker:port/0", "broker settings", "url: Value error, must look like"),
        ("MASKMILL_LOG_LEVEL", "loud", "log settings", "level: Input should be 'debug'"),
        ("MASKMILL_OTEL_ENDPOINT", "otel:4318", "trace settings", "endpoint: URL scheme should be 'http' or 'https'"),
        ("MASKMILL_OTEL_SHARE", "2", "trace settings", "share"),
        ("MASKMILL_DASHBOARD_PORT", "80000", "page settings", "port"),
        ("MASKMILL_TRAINING_BUSY_PAUSE_S", "-1", "training settings", "busy_pause_s"),
        ("MASKMILL_TRAINING_TRACKING_URI", "mlruns", "training settings", "must look like http://host:port"),
        ("MASKMILL_WORKER_LEASE_S", "inf", "worker settings", "lease_s: Input should be a finite number"),
        ("MASKMILL_API_DEFAULT_MODEL", "nosuch", "default model", "no model 'nosuch'; there are: street-"),
        ("MASKMILL_API_PROT", "9", "unknown setting", "MASKMILL_API_PROT: nothing reads it"),
    ],
)
def test_settings_that_a_process_would_refuse_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str, said: str
) -> None:
    assert {each.state for each in examine_settings(tmp_path)} == {"good"}
    monkeypatch.setenv(name, value)
    bad = [each for each in examine_settings(tmp_path) if each.state != "good"]
    assert [each.name for each in bad] == [part]
    assert said in bad[0].said


def test_a_stack_with_a_default_model_that_is_not_there_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKMILL_API_DEFAULT_MODEL", "nosuch")
    with pytest.raises(StackError, match="MASKMILL_API_DEFAULT_MODEL: there is no model 'nosuch'; there are: street"):
        check_default_model(tmp_path)
    monkeypatch.setenv("MASKMILL_WORKER_FOLLOW", '["models:/nosuch@champion"]')
    check_default_model(tmp_path)
    monkeypatch.setenv("MASKMILL_API_DEFAULT_MODEL", "street-fast")
    check_default_model(tmp_path)


def test_a_misspelt_setting_is_answered_with_the_one_that_is_meant(tmp_path: Path) -> None:
    Path(".env").write_text(
        "MASKMILL_WROKER_ENGINE=torch\nMASKMILL_TLS_PORT=443\nPOSTGRES_PASSWORD=x\nMaskmill_worker_lease_s=60\n"
        "Maskmill_api_port=9\nmaskmill_api_prot=9\nmaskmill_api_key=x\n"
    )
    told = {each.said: each.mend for each in examine_settings(tmp_path) if each.state != "good"}
    assert told == {
        "MASKMILL_WROKER_ENGINE: nothing reads it": "is MASKMILL_WORKER_ENGINE meant?",
        "Maskmill_api_port: the command line does not read it": "write MASKMILL_API_PORT",
        "maskmill_api_prot: nothing reads it": "is MASKMILL_API_PORT meant?",
        "maskmill_api_key: the command line does not read it": "write MASKMILL_API_KEY",
    }


def test_every_variable_that_compose_reads_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (ROOT / "docker-compose.yml", ROOT / ".env.example", ROOT / "docs" / "configuration.md")
    for name in {name for file in files for name in re.findall(r"MASKMILL_\w*[A-Z]\b", file.read_text("utf-8"))}:
        monkeypatch.setitem(os.environ, name, "")
    assert not [each.said for each in examine_settings(tmp_path) if each.name == "unknown setting"]


def test_a_stack_says_in_a_sentence_which_setting_a_part_would_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    check_settings(page=True)
    monkeypatch.setenv("MASKMILL_DASHBOARD_UPLOAD_MIB", "0")
    check_settings(page=False)
    with pytest.raises(StackError, match="DashboardSettings cannot be used: upload_mib"):
        check_settings(page=True)
    monkeypatch.setenv("MASKMILL_OTEL_ENDPOINT", "otel:4318")
    with pytest.raises(StackError, match="TraceSettings cannot be used: endpoint: URL scheme"):
        check_settings(page=False)


def test_the_database_is_looked_at_where_there_is_one(tmp_path: Path) -> None:
    def state() -> list[str]:
        return [each.state for each in examine_settings(tmp_path / "home") if each.name == "database"]

    assert state() == []
    upgrade(StorageSettings(home=tmp_path / "home"))
    assert state() == ["good"]
    (tmp_path / "home/maskmill.db").write_text("something else, and longer than a header of SQLite")
    for beside in (tmp_path / "home").glob("maskmill.db-*"):
        beside.unlink()
    assert state() == ["bad"]


def test_programs_are_called_as_they_are_found_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `make demo` neither `maskmill` nor its `pip` is on the PATH; another `pip` may be."""
    ours, theirs = tmp_path / ".venv" / "bin", tmp_path / "usr"
    for folder in (ours, theirs):
        folder.mkdir(parents=True)
        (folder / "pip").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(ours / "python"))
    monkeypatch.setenv("PATH", str(theirs))
    assert called("pip") == str(Path(".venv", "bin", "pip"))
    assert how_to_install("large") == ".venv/bin/pip install 'maskmill-server[large]'"
    monkeypatch.setenv("PATH", f"{ours}:{theirs}")
    assert called("pip") == "pip"
    assert called("maskmill") == f"{ours / 'python'} -m maskmill"


def test_without_any_engine_nothing_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = EngineKind(files={}, ranks={}, distributions=("no-such-engine",), runtime="")
    monkeypatch.setattr("segmentation.engines.ENGINES", {"no-such-engine": kind})
    assert _by_name(examine(tmp_path))["no-such-engine"].state == "bad"


def test_a_model_with_other_weights_than_its_card_says_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = next((Path(sys.modules["maskmill"].__path__[0]).parent / "data" / "models").iterdir())
    damaged = tmp_path / "models" / bundled.name
    damaged.mkdir(parents=True)
    for path in bundled.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    weights = next(path for path in damaged.iterdir() if path.suffix == ".onnx")
    weights.write_bytes(weights.read_bytes()[:-1])
    monkeypatch.setenv("MASKMILL_STORAGE_MODEL_FOLDERS", json.dumps([str(tmp_path / "models")]))
    assert _by_name(examine(tmp_path))[bundled.name].state == "bad"


def test_a_setting_that_cannot_be_used_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKMILL_STORAGE_S3_POOL_SIZE", "many")
    catalogue = _by_name(examine(tmp_path))["catalogue"]
    assert catalogue.state == "bad"
    assert "s3_pool_size" in catalogue.said


def test_no_model_at_all_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKMILL_STORAGE_MODEL_FOLDERS", json.dumps([str(tmp_path / "none")]))
    assert _by_name(examine(tmp_path))["catalogue"].state == "bad"


def test_models_are_told_with_what_they_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models"
    tiny_bundle(folder, name="whole", licence="For research only. The authors ask to be cited.")
    tiny_bundle(folder, name="segformer-b0-cityscapes").file("onnx").write_bytes(b"other")
    tiny_bundle(folder, name="strange", label_space="mars")
    (folder / "garbled").mkdir()
    (folder / "garbled" / "card.json").write_text("{")
    monkeypatch.setenv("MASKMILL_STORAGE_MODEL_FOLDERS", json.dumps([str(folder)]))
    found = _by_name(examine(tmp_path))
    assert found["whole"].state == "good"
    assert found["whole"].said.endswith("; For research only")
    assert found["segformer-b0-cityscapes"].mend == "maskmill models pull segformer-b0-cityscapes"
    assert "garbled/card.json is not served" in found["garbled"].said
    assert "no label space is called 'mars'" in found["strange"].said
    assert "can be pulled" in found["hub"].said

    def version(name: str) -> str:
        if name in ("transformers", "openvino", "onnxruntime", "onnxruntime-gpu"):
            raise PackageNotFoundError(name)
        return real_version(name)

    monkeypatch.setattr("maskmill.doctor.installed.version", version)
    found = _by_name(examine(tmp_path))
    assert (found["whole"].state, found["hub"].state) == ("absent", "absent")
    assert "needs transformers" in found["hub"].said


@pytest.fixture
def home(tmp_path: Path, server: ToyServer) -> Iterator[StackHome]:
    """A home in which this very process looks like a running stack with one part that lives and one that does not."""
    home = StackHome(tmp_path / "home")
    me = psutil.Process()
    with home.locked():
        note = {"url": server.url, "pid": me.pid, "started": me.create_time(), "parts": ["api", "worker-1"]}
        write_private(home.up_file, note)
        home.note_pid("api", me.pid)
        yield home


def test_a_running_stack_is_looked_at_part_by_part(home: StackHome, server: ToyServer) -> None:
    server.on("GET", "/ready", as_json({"status": "ready"}))
    found = {finding.name: finding for finding in examine_running(home.root)}
    assert {name: finding.state for name, finding in found.items()} == {
        "local stack": "good",
        "api": "good",
        "worker-1": "bad",
        "ready": "good",
    }
    assert "worker-1.log" in found["worker-1"].said


def test_what_the_service_itself_misses_is_told(home: StackHome, server: ToyServer) -> None:
    server.on("GET", "/ready", problem(503, "not_ready", "no worker gave a sign of life"))
    found = {finding.name: finding for finding in examine_running(home.root)}
    assert "no worker" in found["ready"].said


def test_findings_read_well_in_a_terminal() -> None:
    found = [
        Finding(group="One", name="a", said="fine"),
        Finding(group="Two", name="b", state="bad", said="gone", mend="bring it back"),
    ]
    console = Console(file=io.StringIO(), width=100)
    Findings(found, "`maskmill up`").show(console)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]
    assert lines[:5] == ["One", "  a  ✓ fine", "Two", "  b  ✗ gone", "       → bring it back"]
    assert "1 of these must be mended" in lines[5]


def test_a_clients_installation_is_looked_at_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    found = _by_name(examine(tmp_path / "home"))
    assert "psutil is not installed" in found["Memory"].said
    assert found["local stack"].state == "absent"


def test_a_client_is_told_whether_its_service_answers(
    server: ToyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in ("maskmill.doctor", "maskmill.doctor.installed"):
        monkeypatch.setattr(f"{module}.is_client_alone", lambda: True)
    monkeypatch.setenv("MASKMILL_SERVER", server.url)
    server.on("GET", "/health", as_json({"status": "ok", "version": "1.2"}))
    server.on("GET", "/limits", as_json({"caller": {"tenant": "acme", "scope": "submit"}}))
    found = examine(tmp_path / "home")
    assert _by_name(found)["server"].said == f"{server.url}, version 1.2; you are tenant acme, scope submit"
    assert found.of == "this client"
    monkeypatch.setenv("MASKMILL_SERVER", "http://127.0.0.1:1")
    told = _by_name(examine(tmp_path / "home"))["server"]
    assert (told.state, "MASKMILL_SERVER" in told.mend) == ("absent", True)


def test_loops_that_were_not_compiled_are_told_with_what_builds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.kernels.library.library", lambda: None)
    (found,) = (each for each in examine_parts() if each.name == "compiled loops")
    assert (found.state, found.mend.rpartition("pip ")[2]) == ("absent", f"install --no-deps -e {ROOT}")
