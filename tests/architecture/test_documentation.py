"""What the documentation promises exists, and what exists is documented."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from pydantic import AliasChoices, AliasPath
from pydantic_settings import BaseSettings

from tests.architecture.source_files import PACKAGES, ROOT, project_files

CONFIGURATION = ROOT / "docs" / "configuration.md"
PAGES = [path for path in project_files() if path.suffix == ".md"]
MAKE_COMMAND = re.compile(r"(?:^|`|\$ )make ([a-z][a-z-]*)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")
OF_THE_COMMAND_LINE = {"MASKMILL_API_KEY"}
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def _settings() -> list[str]:
    """The environment variable of every setting of every package."""
    names = []
    for package in PACKAGES:
        if not (ROOT / package / "settings.py").is_file():
            continue
        module = importlib.import_module(f"{package}.settings")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, BaseSettings) and value.__module__ == module.__name__:
                names += _variables(value)
    return sorted(set(names))


def _variables(settings: type[BaseSettings]) -> list[str]:
    prefix = settings.model_config.get("env_prefix", "")
    return [_variable(prefix, name, field.validation_alias) for name, field in settings.model_fields.items()]


def _variable(prefix: str, name: str, alias: str | AliasPath | AliasChoices | None) -> str:
    """The first of a field's names that looks like a variable of ours."""
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    ours = [choice for choice in choices if isinstance(choice, str) and choice.startswith("MASKMILL_")]
    return ours[0] if ours else f"{prefix}{name}".upper()


@pytest.mark.parametrize("variable", _settings())
def test_every_setting_is_documented(variable: str) -> None:
    assert f"`{variable}`" in CONFIGURATION.read_text(encoding="utf-8")


def test_every_documented_setting_exists() -> None:
    documented = set(
        re.findall(r"`(MASKMILL_(?:STORAGE|BROKER|API|WORKER|TRAINING)_[A-Z0-9_]+)`", CONFIGURATION.read_text("utf-8"))
    )
    assert documented - set(_settings()) - OF_THE_COMMAND_LINE == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_make_command_in_a_page_is_a_target(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(MAKE_COMMAND.findall((ROOT / page).read_text("utf-8"))) - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_in_a_page_leads_somewhere(page: Path) -> None:
    text = CODE.sub("", (ROOT / page).read_text("utf-8"))
    broken = [link for link in LINK.findall(text) if not (ROOT / page.parent / link).exists()]
    assert broken == []
