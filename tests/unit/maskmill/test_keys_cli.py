"""`maskmill keys`: on a database of its own, made when it is not there; and `maskmill up` for others."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from jobs.tenants.credentials import id_of
from maskmill.cli.exits import REFUSED
from maskmill.errors import StackError
from maskmill.local import LocalStack, StackOptions
from maskmill.stack.keys import need_a_key, open_keyring
from storage.migrate import downgrade
from storage.settings import StorageSettings

Run = Callable[..., Result]
NO_LIMITS = {"requests_per_minute": None, "images_per_day": None, "queued_images": None}


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MASKMILL_")]:
        monkeypatch.delenv(name)
    return tmp_path / ".maskmill"


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_keys_are_made_listed_limited_and_revoked(run: Run, home: Path) -> None:
    made = told(run("keys", "create", "--tenant", "acme", "--scope", "submit", "--images-per-day", 9, "--json"))
    assert list(made)[:5] == ["id", "key", "tenant", "scope", "limits"]
    assert id_of(made.pop("key")) == made["id"]
    assert (made["tenant"], made["scope"], made["limits"]) == ("acme", "submit", {**NO_LIMITS, "images_per_day": 9})
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert told(run("keys", "list", "--json")) == {"items": [made]}
    assert told(run("keys", "list", "--tenant", "zeta", "--json")) == {"items": []}
    words = ("--requests-per-minute", 5, "--images-per-day", 0, "--json")
    limited = told(run("keys", "limit", made["id"], *words))
    assert limited["limits"] == {**NO_LIMITS, "requests_per_minute": 5}
    assert told(run("keys", "limit", made["id"], "--queued-images", 3, "--json"))["limits"]["requests_per_minute"] == 5
    assert told(run("keys", "revoke", made["id"], "--json"))["revoked_at"]


def test_the_key_alone_is_on_stdout_and_never_again(run: Run) -> None:
    key = run("keys", "create", "--tenant", "acme", "--scope", "read").stdout.strip()
    credential_id = id_of(key)
    assert credential_id is not None
    for words in (("list",), ("limit", credential_id), ("revoke", credential_id), ("list",)):
        shown = run("keys", *words)
        assert credential_id in shown.stdout
        assert key[-43:] not in shown.output


def test_a_database_that_no_service_has_is_told(run: Run, home: Path, tmp_path: Path) -> None:
    first = run("keys", "create", "--tenant", "acme", "--scope", "admin")
    assert f"{home / 'maskmill.db'} was made" in first.stderr
    assert "was made" not in run("keys", "create", "--tenant", "acme", "--scope", "read").stderr
    assert "was made" in run("keys", "create", "--tenant", "a", "--scope", "read", "--home", tmp_path / "b").stderr


def test_a_mistake_is_a_sentence(run: Run) -> None:
    refused = run("keys", "create", "--tenant", "Acme", "--scope", "all", "--json")
    assert refused.exit_code == REFUSED
    assert json.loads(refused.stdout)["error"]["code"] == "invalid_options"
    assert "there is no key" in run("keys", "revoke", "key_x").stderr


def test_no_key_is_taken_from_the_command_line(run: Run) -> None:
    assert run("jobs", "--api-key", "mm_x").exit_code != 0
    assert "MASKMILL_API_KEY" in run("--help").stdout


def test_a_database_of_others_keeps_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKMILL_STORAGE_DATABASE_URL", f"sqlite:///{tmp_path}/shared.db")
    with open_keyring(None) as keyring:
        assert list(keyring.all()) == []
    downgrade(StorageSettings(), "0007")
    with pytest.raises(StackError, match=r"storage\.migrate"), open_keyring(None):
        pass


def test_a_stack_that_others_reach_needs_a_key(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anywhere = "0.0.0.0"  # noqa: S104
    refused = run("up", "--host", anywhere, "--json")
    assert refused.exit_code == REFUSED
    assert "maskmill keys create" in json.loads(refused.stdout)["error"]["message"]
    need_a_key("127.0.0.1")
    monkeypatch.setenv("MASKMILL_API_TRUST_NETWORK", "true")
    need_a_key(anywhere)
    monkeypatch.delenv("MASKMILL_API_TRUST_NETWORK")
    run("keys", "create", "--tenant", "acme", "--scope", "read")
    need_a_key(anywhere)


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("192.0.2.1", "192.0.2.1")],  # noqa: S104
)
def test_the_api_of_a_stack_listens_where_it_is_told(host: str, address: str) -> None:
    stack = LocalStack(StackOptions(port=0, host=host), lambda notice: None)
    api = next(iter(stack._services()))
    assert api.command[api.command.index("--host") + 1] == host
    assert stack.url == f"http://{address}:{stack.port}"
