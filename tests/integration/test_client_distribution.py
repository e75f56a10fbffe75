"""`pip install maskmill`: the wheel of the client, built, unpacked and called where nothing of the service is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from tests.architecture.source_files import ROOT, project_files

# Neither the checkout nor an editable installation of it: the folder of the wheel, then libraries, and not those.
ALONE = "import sys; sys.path[:0] = [{wheel!r}]; sys.path.append({site!r}); sys.modules['psutil'] = None; "
COMMAND = ALONE + "sys.argv = ['maskmill', *{arguments!r}]; from maskmill.cli import main; main()"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources: building leaves files beside them."""
    copy, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for path in project_files():
        if path.parts[0] == "maskmill" or path.is_relative_to("deploy/client"):
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, copy / path)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "-w", built, copy / "deploy" / "client"], check=True, capture_output=True, timeout=170)
    (found,) = built.iterdir()
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(target)
    return target


def about(installed: Path) -> Message:
    (text,) = installed.glob("*.dist-info/METADATA")
    return Parser().parsestr(text.read_text("utf-8"))


def call(installed: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = COMMAND.format(wheel=str(installed), site=sysconfig.get_path("purelib"), arguments=arguments)
    command = [sys.executable, "-I", "-S", "-c", program]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=170, check=False)


def test_it_holds_the_package_maskmill_whole_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {str(path) for path in project_files() if path.parts[0] == "maskmill"}


def test_it_brings_httpx_typer_and_rich(installed: Path) -> None:
    wanted = about(installed).get_all("Requires-Dist", [])
    always, chosen = ([each for each in wanted if ("extra ==" in each) == is_extra] for is_extra in (False, True))
    assert sorted(map(_name, always)) == ["httpx", "rich", "typer"]
    assert sorted((each.partition("extra == ")[2].strip('"'), _name(each)) for each in chosen) == [
        *(("notebook", name) for name in ("numpy", "pandas", "pillow")),
        *(("video", name) for name in ("av", "pillow")),
    ]


def _name(requirement: str) -> str:
    return requirement.partition("<")[0].partition(">")[0]


def test_it_has_the_version_of_the_service_and_its_licence(installed: Path) -> None:
    service = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert (about(installed)["Name"], service["name"]) == ("maskmill", "maskmill-server")
    assert about(installed)["Version"] == service["version"]
    (licence,) = installed.glob("*.dist-info/licenses/LICENSE")
    assert licence.read_text() == (ROOT / "LICENSE").read_text()


def test_what_it_asks_for_is_what_the_service_asks_for_it() -> None:
    service = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    client = tomllib.loads((ROOT / "deploy" / "client" / "pyproject.toml").read_text("utf-8"))["project"]
    theirs = {*service["dependencies"], *service["optional-dependencies"]["cli"]}
    assert set(client["dependencies"]) <= theirs


def test_its_command_line_speaks_to_servers(installed: Path, tmp_path: Path) -> None:
    assert call(installed, "--version", cwd=tmp_path).stdout == f"{about(installed)['Version']}\n"
    picture = tmp_path / "street.jpg"
    picture.write_bytes(b"picture")
    ended = call(installed, "submit", str(picture), "--server", "http://127.0.0.1:9", "--json", cwd=tmp_path)
    assert (ended.returncode, json.loads(ended.stdout)["error"]["code"]) == (3, "server_unreachable")


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("up", "local"),
        ("demo", "local"),
        ("models list --local", "local"),
        ("models list --hub", "local"),
        ("models check street-fast", "training"),
        ("train scenes-quick", "training"),
        ("search scenes-quick", "training"),
        ("evaluate street-fast scenes", "training"),
        ("compare street-fast street-accurate", "training"),
        ("explain street-fast street.jpg", "training"),
        ("export run --name mine", "training"),
        ("promote run", "training"),
    ],
)
def test_a_command_of_the_service_says_where_it_works(
    installed: Path, tmp_path: Path, command: str, extra: str
) -> None:
    ended = call(installed, *command.split(), "--json", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (1, ""), ended.stderr
    said = json.loads(ended.stdout)["error"]
    assert said["code"] == "missing_package"
    assert f"it is part of the service: pip install -e '.[{extra}]'" in said["message"]


def test_its_doctor_says_what_is_there_and_what_is_not(installed: Path, tmp_path: Path) -> None:
    told = json.loads(call(installed, "doctor", "--json", cwd=tmp_path).stdout)
    assert "this is a client" in json.dumps(told)
