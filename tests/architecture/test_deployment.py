"""What is deployed keeps its secrets: none has a default, nothing listens beyond the machine, and no process may more
than it needs."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from api.settings import ApiSettings
from deploy.install import AS_PIP_DOES, environment_of_uv
from tests.architecture.source_files import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
SECRET = re.compile(r"\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*)(:?[-?][^}]*)?\}")
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
OTHER_STORES = [ROOT / "deploy" / name for name in ("seaweedfs.compose.yml", "own-store.compose.yml")]
DOCKERFILES = [ROOT / "deploy" / place / "Dockerfile" for place in ("", "minio", "prometheus", "grafana", "proxy")]
CHECKED_BY_THE_IMAGE = {"dashboard", "api", "worker-cpu", "worker-gpu", "flower"}
OF_OTHERS = {"postgres", "redis", "minio", "prometheus", "grafana"}  # their programs begin as root, and give it up
WITHOUT_CHECK = {"setup", "scheduler", "trainer"}  # one ends; two do one thing at a time and answer nobody meanwhile


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_no_secret_has_a_default() -> None:
    uses = SECRET.findall(COMPOSE)
    assert uses
    assert [name for name, rule in uses if not rule.startswith(":?")] == []


def test_the_example_names_every_secret_and_gives_none() -> None:
    assert {name for name, _ in SECRET.findall(COMPOSE)} == {n for n, value in example().items() if value == "<random>"}


def test_services_are_published_on_loopback_alone() -> None:
    ports = [(name, str(port)) for name, service in SERVICES.items() for port in service.get("ports", [])]
    assert ports
    loopback = ("127.0.0.1:", "${MASKMILL_TLS_ADDRESS:-127.0.0.1}:")  # the proxy may be opened: it is there for others
    assert [(name, port) for name, port in ports if not port.startswith(loopback)] == []
    assert [name for name, port in ports if "ADDRESS" in port] == ["proxy"]


@pytest.mark.parametrize("path", [ROOT / "docker-compose.yml", *OTHER_STORES], ids=lambda path: path.name)
def test_compose_files_are_what_the_compose_specification_takes(path: Path) -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    found = jsonschema_rs.validator_for(schema).iter_errors(yaml.safe_load(path.read_text("utf-8")))
    assert [f"{'/'.join(map(str, each.instance_path))}: {each.message}" for each in found] == []


def test_our_images_run_on_a_root_that_cannot_be_written_and_without_capabilities() -> None:
    ours = {name: each for name, each in SERVICES.items() if name not in OF_OTHERS}
    assert {"api", "worker-cpu", "worker-gpu", "trainer", "scheduler", "webhooks", "dashboard", "proxy"} <= ours.keys()
    for name, each in ours.items():
        assert (each["read_only"], each["cap_drop"]) == (True, ["ALL"]), name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert each.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else []), name
        written = [str(place).partition(":")[0] for place in each.get("tmpfs", [])]
        written += [str(volume).split(":")[1] for volume in each.get("volumes", [])]
        assert "/tmp" in written, name
        assert {"/var/lib/maskmill", "/data"} & set(written), name


def test_processes_of_our_images_are_not_root() -> None:
    stages = re.split(r"^FROM \S+ AS ", DOCKERFILES[0].read_text(), flags=re.MULTILINE)[1:]
    final = [stage for stage in stages if re.search(r"^CMD ", stage, flags=re.MULTILINE)]
    assert len(final) >= 5
    inherit = {"trainer"}  # from the worker
    assert [each.split()[0] for each in final if "\nUSER maskmill\n" not in each] == sorted(inherit)


def test_the_proxy_takes_what_the_api_takes_and_holds_nothing_back() -> None:
    told = (ROOT / "deploy" / "proxy" / "Caddyfile").read_text()
    assert f"max_size {ApiSettings.model_fields['max_request_bytes'].default // 2**30}GiB" in told
    assert "flush_interval -1" in told  # streams of events
    assert "api:8008" in told


def test_make_env_fills_every_secret_and_keeps_what_is_there(tmp_path: Path) -> None:
    target = tmp_path / "env"
    command = [sys.executable, str(ROOT / "deploy" / "make_env.py"), str(ROOT / ".env.example"), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    written = dict(line.split("=", 1) for line in target.read_text().splitlines() if "=" in line and line[0] != "#")

    secrets = [value for name, value in written.items() if example()[name] == "<random>"]
    assert len(set(secrets)) == len(secrets)
    assert all(len(value) >= 32 for value in secrets)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert subprocess.run(command, capture_output=True).returncode != 0


def test_uv_looks_where_pip_is_set_to_look() -> None:
    told = environment_of_uv(
        ":env:.extra-index-url='https://one.test/simple https://two.test/simple'\n:env:.no-input='1'\n"
        "freeze.timeout='10'\nglobal.constraint='/limits.txt'\nglobal.extra-index-url='https://old.test/simple'\n"
        "global.find-links='\\n/wheels\\nhttps://three.test/wheels'\nglobal.index-url='https://four.test/simple'\n"
        "install.constraint='/closer.txt'\n"
    )
    assert told == {
        "UV_INDEX_URL": "https://four.test/simple",
        "UV_EXTRA_INDEX_URL": "https://one.test/simple https://two.test/simple",
        "UV_FIND_LINKS": "/wheels,https://three.test/wheels",
        "UV_CONSTRAINT": "/closer.txt",
        **AS_PIP_DOES,
    }


@pytest.mark.parametrize("setting", ["global.no-index='true'", "install.require-hashes='1'", ":env:.client-cert='/me'"])
def test_pip_installs_where_uv_cannot_be_told(setting) -> None:
    assert environment_of_uv(f"global.timeout='9'\n{setting}\n") is None


def test_no_image_but_the_trainers_holds_the_renderer_or_training() -> None:
    stages = re.split(r"^FROM \w+ AS ", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    installs = {stage.split()[0]: stage for stage in stages if "pip install --no-deps ." in stage}
    assert len(installs) == 6
    whole = {name for name, stage in installs.items() if "RUN rm -r scenes training &&" not in stage}
    assert whole == {"build-trainer"}


def test_the_page_reads_training_runs_where_the_services_mlflow_answers() -> None:
    uri = SERVICES["dashboard"]["environment"]["MASKMILL_DASHBOARD_TRACKING_URI"]
    address = re.fullmatch(r"\$\{MASKMILL_TRAINING_TRACKING_URI:-http://(\w+):(\d+)\}", uri)
    assert address is not None
    assert SERVICES[address[1]]["ports"][0].endswith(f":{address[2]}")
    client = next(each for each in extras()["registry"] if each.startswith("mlflow-skinny"))
    assert client in extras()["dashboard"]
    assert "pip install --cache-dir /pip-cache '.[dashboard]'" in DOCKERFILES[0].read_text("utf-8")


def extras() -> dict[str, list[str]]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {name: list(each) for name, each in project["optional-dependencies"].items()}


def brought_by(extra: str) -> set[str]:
    """Names of the distributions, those of the extras that it names included."""
    found: set[str] = set()
    for each in extras()[extra]:
        name, _, rest = re.split(r"[>=<!~ ;]", each)[0].partition("[")
        ours = rest.rstrip("]").split(",") if name == "maskmill-server" else []
        found |= {name} if not ours else set().union(*map(brought_by, ours))
    return found


def test_no_extra_brings_both_packages_of_onnx_runtime_which_overwrite_each_other() -> None:
    brought = {extra: brought_by(extra) & {"onnxruntime", "onnxruntime-gpu"} for extra in extras()}
    assert [extra for extra, found in brought.items() if len(found) > 1] == []
    assert {extra for extra, found in brought.items() if "onnxruntime-gpu" in found} == {"worker-gpu", "local-gpu"}
    assert brought["worker"] == brought["worker-cpu"] == brought["local"] == brought["training"] == {"onnxruntime"}


def test_no_image_holds_both_packages_of_onnx_runtime() -> None:
    """What an environment is copied over stays beneath it."""
    texts = re.split(r"^FROM ", DOCKERFILES[0].read_text("utf-8"), flags=re.MULTILINE)[1:]
    stages = {text.split()[2]: text for text in texts}

    def brought(name: str) -> set[str]:
        found = brought(parent) if (parent := stages[name].split()[0]) in stages else set()
        for extras in re.findall(r"pip install .*'\.\[(.*)\]'", stages[name]):
            found = found.union(*map(brought_by, extras.split(",")))
        for source in re.findall(r"^COPY --from=(\S+) /venv /venv$", stages[name], re.MULTILINE):
            found |= brought(source)
        return found & {"onnxruntime", "onnxruntime-gpu"}

    assert [name for name in stages if len(brought(name)) > 1] == []
    assert (brought("worker"), brought("worker-gpu")) == ({"onnxruntime"}, {"onnxruntime-gpu"})


def test_the_gpu_worker_has_what_runs_onnx_files_there_and_takes_every_model() -> None:
    installed = re.search(r"AS build-worker-gpu\n.*'\.\[(.*)\]'", DOCKERFILES[0].read_text("utf-8"))
    assert installed is not None
    assert installed[1] == "worker-gpu"
    assert brought_by("worker-gpu") >= brought_by("worker") - {"onnxruntime"} | {"onnxruntime-gpu", "torch"}
    environment = SERVICES["worker-gpu"]["environment"]
    assert environment["MASKMILL_WORKER_DEVICE"] == "cuda:0"
    assert "MASKMILL_WORKER_ENGINE" not in environment  # each reads the files of some models alone


def every_service() -> dict[str, Any]:
    """Those of the other stores too."""
    more = [yaml.safe_load(path.read_text("utf-8"))["services"] for path in OTHER_STORES]
    return {**{name: each for file in more for name, each in file.items() if name != "minio"}, **SERVICES}


def test_a_store_runs_whatever_profiles_are_named() -> None:
    assert "profiles" not in SERVICES["minio"]
    for path in OTHER_STORES:
        assert yaml.safe_load(path.read_text("utf-8"))["services"]["minio"] == {"profiles": ["never"]}, path
    assert "COMPOSE_PROFILES" not in (ROOT / ".env.example").read_text("utf-8")


def test_whoever_serves_is_asked_whether_it_does() -> None:
    stages = {
        stage.split()[0]: stage
        for stage in re.split(r"^FROM \S+ AS ", DOCKERFILES[0].read_text(), flags=re.MULTILINE)[1:]
    }
    assert all("\nHEALTHCHECK --" in stages[name] for name in ("api", "worker-base", "flower", "dashboard"))
    unchecked = {
        name for name, each in every_service().items() if each.get("healthcheck", {}).get("test") in (None, ["NONE"])
    }
    assert unchecked == CHECKED_BY_THE_IMAGE | WITHOUT_CHECK


def test_logs_and_memory_have_limits() -> None:
    unlimited = [
        name
        for name, each in every_service().items()
        if "max-size" not in each["logging"]["options"] or not each["mem_limit"]
    ]
    assert unlimited == []


def test_no_password_is_an_argument_of_a_process() -> None:
    """Compose fills in ${…} before a container starts; $$… is left to its shell, where printf is no process."""
    for name, each in every_service().items():
        arguments = " ".join(map(str, (each.get("command"), each.get("entrypoint"), each.get("healthcheck"))))
        assert not re.search(r"(?<!\$)\$\{\w*(PASSWORD|KEY)", arguments), name
        assert not re.search(r"requirepass \W*\$\$|-a \W*\$\$|--auth", arguments), name


def test_images_of_others_are_pinned_to_a_release() -> None:
    theirs = [each["image"] for each in every_service().values() if not each["image"].startswith("maskmill-")]
    theirs += [
        line.split("=", 1)[1]
        for path in DOCKERFILES
        for line in path.read_text().splitlines()
        if line.startswith("ARG") and "_IMAGE=" in line
    ]
    assert len(theirs) == 9
    assert [image for image in theirs if not re.search(r":(v?\d+\.\d+|bookworm-\d{8})", image)] == []


def test_nothing_of_the_checkout_is_mounted() -> None:
    assert [
        name for name, each in every_service().items() if any(str(v).startswith(".") for v in each.get("volumes", ()))
    ] == []
