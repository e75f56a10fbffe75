"""What the documentation promises exists, and what exists is documented."""

from __future__ import annotations

import importlib
import re

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


def test_every_setting_is_documented() -> None:
    text = CONFIGURATION.read_text(encoding="utf-8")
    assert [variable for variable in _settings() if f"`{variable}`" not in text] == []


def test_every_documented_setting_exists() -> None:
    documented = set(
        re.findall(
            r"`(MASKMILL_(?:STORAGE|BROKER|API|WORKER|TRAINING|DASHBOARD)_[A-Z0-9_]+)`",
            CONFIGURATION.read_text("utf-8"),
        )
    )
    assert documented - set(_settings()) - OF_THE_COMMAND_LINE == set()


def test_every_make_command_in_a_page_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {(str(page), name) for page in PAGES for name in MAKE_COMMAND.findall((ROOT / page).read_text("utf-8"))}
    assert {(page, name) for page, name in named if name not in targets} == set()


def test_every_link_in_a_page_leads_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in LINK.findall(CODE.sub("", (ROOT / page).read_text("utf-8")))]
    assert [f"{page}: {link}" for page, link in links if not (ROOT / page.parent / link).exists()] == []
