"""The files around the code say what the code says."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from deploy.release_notes import CHANGELOG, notes
from deploy.sbom import debian_packages
from tests.architecture.source_files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_citation_names_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


def test_release_notes_are_a_section_of_the_changelog() -> None:
    text = "# Changes\n\n## [Unreleased]\n\n### Added\n- a\n\n## [1.2.0] - 2026-01-02\n\n- b\n"
    assert (notes(text), notes(text, "1.2.0")) == ("### Added\n- a\n", "- b\n")
    with pytest.raises(LookupError, match=r"has no 9; it has Unreleased, 1\.2\.0"):
        notes(text, "9")
    assert "- " in notes(CHANGELOG.read_text("utf-8"))


def test_what_a_commit_is_looked_at_with_is_what_the_tests_use() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert local["repo"] == "local"
    assert all(hook["entry"].startswith(".venv/bin/") for hook in local["hooks"])


def test_what_runs_for_a_pull_request_is_what_a_person_runs() -> None:
    path = ROOT / ".github" / "workflows" / "tests.yml"
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/github-workflows.json").read_text())
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(workflow)] == []
    (job,) = workflow["jobs"].values()
    assert job["steps"][-1] == {"run": ".ci/run"}


def test_forms_for_issues_ask_for_what_the_doctor_says() -> None:
    forms = {
        path.name: yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / ".github" / "ISSUE_TEMPLATE").iterdir()
    }
    assert forms["bug.yml"].keys() >= {"name", "description", "body"}
    assert "maskmill doctor" in str(forms["bug.yml"])


def test_what_an_image_holds_is_told_by_its_own_python() -> None:
    """As `make sbom` does it in each image: the script comes by its standard input."""
    script = (ROOT / "deploy" / "sbom.py").read_bytes()
    told = json.loads(subprocess.run([sys.executable, "-"], input=script, capture_output=True, check=True).stdout)
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    by_name = {each["name"]: each for each in told["components"] if each["purl"].startswith("pkg:pypi/")}
    assert by_name["fastapi"]["purl"] == f"pkg:pypi/fastapi@{by_name['fastapi']['version']}"
    assert by_name["fastapi"]["licenses"] == [{"license": {"name": "MIT"}}]
    references = [each["bom-ref"] for each in told["components"]]
    assert len(set(references)) == len(references)


def test_packages_of_the_base_image_are_told_where_they_are_installed(tmp_path: Path) -> None:
    status = tmp_path / "status"
    packages = [("base-files", "install ok installed"), ("gone", "deinstall ok config-files")]
    status.write_text(
        "\n\n".join(f"Package: {name}\nStatus: {state}\nArchitecture: amd64\nVersion: 12.4" for name, state in packages)
    )
    assert [each["purl"] for each in debian_packages(status)] == ["pkg:deb/debian/base-files@12.4?arch=amd64"]
    assert list(debian_packages(tmp_path / "none")) == []
