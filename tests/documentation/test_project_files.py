"""The files around the code say what the code says."""

from __future__ import annotations

import tomllib

import pytest
import yaml

from deploy.release_notes import CHANGELOG, notes
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


def test_forms_for_issues_ask_for_what_the_doctor_says() -> None:
    forms = {
        path.name: yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / ".github" / "ISSUE_TEMPLATE").iterdir()
    }
    assert forms["bug.yml"].keys() >= {"name", "description", "body"}
    assert "maskmill doctor" in str(forms["bug.yml"])
