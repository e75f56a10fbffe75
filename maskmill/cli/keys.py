"""Commands about keys: create, list, revoke, limit. They write to the database itself, where the service runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from maskmill.cli.options import command
from maskmill.cli.output import age, plain_table, print_json, print_table, stderr, stdout
from maskmill.cli.stack import HomeOption

if TYPE_CHECKING:
    from jobs.callers import Limits
    from jobs.tenants.credentials import Credential
    from jobs.tenants.keyring import Keyring

app = typer.Typer(
    no_args_is_help=True,
    help="Make, list, revoke and limit the keys of this service: of the database that MASKMILL_STORAGE_DATABASE_URL "
    "names, else of the local stack's.",
)


@dataclass(frozen=True, kw_only=True)
class LimitOptions(HomeOption):
    requests_per_minute: Annotated[
        int | None, typer.Option(help="Requests within a minute; 0: no limit.", min=0, metavar="N", show_default=False)
    ] = None
    images_per_day: Annotated[
        int | None, typer.Option(help="Images within 24 hours; 0: no limit.", min=0, metavar="N", show_default=False)
    ] = None
    queued_images: Annotated[
        int | None,
        typer.Option(help="Images that wait at the same time; 0: no limit.", min=0, metavar="N", show_default=False),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Creating(LimitOptions):
    tenant: Annotated[str, typer.Option(help="Whose the jobs are that are made with it.", metavar="NAME")]
    scope: Annotated[str, typer.Option(help="read: see; submit: make and change jobs; admin: webhooks and keys too.")]


def create(choices: Creating) -> None:
    """Make a key. It is shown this once: the database keeps its digest."""
    from maskmill.stack.keys import newly_made

    new = newly_made(choices.home)
    with _keyring(choices) as keyring:
        is_first = not keyring.all()
        made, key = keyring.create(choices.tenant, choices.scope, _limits({}, choices))
    if choices.as_json:
        told = _told(made)
        print_json({"id": told.pop("id"), "key": key, **told})
        return
    stderr().print(Text(f"{made.id}: tenant {made.tenant}, scope {made.scope}. The key is shown this once:"))
    print(key)
    stderr().print("Clients send it as `Authorization: Bearer …`; maskmill takes it from MASKMILL_API_KEY.")
    if is_first:
        stderr().print("It is the first key: from now on every request needs one, from this machine too.")
    if new is not None:
        said = f"No database was there, and {new} was made: a service with another one does not know this key. --home,"
        stderr().print(Text(f"{said} MASKMILL_HOME and MASKMILL_STORAGE_DATABASE_URL say where it is."), soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Listing(HomeOption):
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone.", metavar="NAME")] = None


def list_keys(choices: Listing) -> None:
    """List the keys, revoked ones too: their ids, never the keys themselves."""
    with _keyring(choices) as keyring:
        found = keyring.all(choices.tenant)
    if choices.as_json:
        print_json({"items": [_told(each) for each in found]})
        return
    right = ("requests/min", "images/day", "queued")
    table = plain_table("id", "tenant", "scope", *right, "made", "revoked", right=right)
    for each in found:
        limits = ["–" if limit is None else str(limit) for limit in asdict(each.limits).values()]
        revoked = "" if each.revoked_at is None else age(each.revoked_at.isoformat())
        table.add_row(each.id, each.tenant, each.scope, *limits, age(each.created_at.isoformat()), revoked)
    print_table(table)


@dataclass(frozen=True, kw_only=True)
class Revoking(HomeOption):
    key_id: Annotated[str, typer.Argument(help="Id of the key (key_…).", metavar="ID", show_default=False)]


def revoke(choices: Revoking) -> None:
    """Make a key worthless, within seconds in every process, for good."""
    with _keyring(choices) as keyring:
        revoked = keyring.revoke(choices.key_id)
    _say(revoked, f"{revoked.id} of {revoked.tenant} is revoked", choices)


@dataclass(frozen=True, kw_only=True)
class Limiting(LimitOptions):
    key_id: Annotated[str, typer.Argument(help="Id of the key (key_…).", metavar="ID", show_default=False)]


def limit(choices: Limiting) -> None:
    """Change what may be asked with a key; limits that are not named stay."""
    with _keyring(choices) as keyring:
        found = keyring.get(choices.key_id)
        limited = keyring.limit(choices.key_id, _limits(asdict(found.limits), choices))
    said = [f"{name.replace('_', ' ')}: {value or 'no limit'}" for name, value in asdict(limited.limits).items()]
    _say(limited, f"{limited.id} of {limited.tenant}: {', '.join(said)}", choices)


command(app, "create", needs="local")(create)
command(app, "list", needs="local")(list_keys)
command(app, "revoke", needs="local")(revoke)
command(app, "limit", needs="local")(limit)


@contextmanager
def _keyring(choices: HomeOption) -> Iterator[Keyring]:
    from maskmill.stack.keys import open_keyring

    with open_keyring(choices.home) as keyring:
        yield keyring


def _limits(before: Mapping[str, int | None], choices: LimitOptions) -> Limits:
    from jobs.callers import Limits

    named = {name: getattr(choices, name) for name in ("requests_per_minute", "images_per_day", "queued_images")}
    return Limits(**{**before, **{name: value or None for name, value in named.items() if value is not None}})


def _say(credential: Credential, sentence: str, choices: HomeOption) -> None:
    if choices.as_json:
        print_json(_told(credential))
    else:
        stdout().print(Text(sentence), soft_wrap=True)


def _told(credential: Credential) -> dict[str, Any]:
    revoked_at = credential.revoked_at
    return {
        "id": credential.id,
        "tenant": credential.tenant,
        "scope": credential.scope,
        "limits": asdict(credential.limits),
        "created_at": credential.created_at.isoformat(),
        "revoked_at": None if revoked_at is None else revoked_at.isoformat(),
    }
