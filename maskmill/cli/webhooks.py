"""Commands about webhooks: listen, test, secret, rotate, default, deliveries, redeliver."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Annotated, Any

import typer
from rich.text import Text

from maskmill.cli.address import connect
from maskmill.cli.exits import DONE, REFUSED
from maskmill.cli.options import JobOption, ServerOptions, command
from maskmill.cli.output import age, plain_table, print_json, print_table, program, stdout
from maskmill.errors import InvalidInput, NotFound
from maskmill.webhooks import WebhookInvalid, verify

MOST_BYTES = 1 << 20
STATUS_STYLE = {"delivered": "green", "pending": "yellow", "exhausted": "red", "gone": "magenta"}
EVENTS = ("job.started", "job.progress", "job.completed")

app = typer.Typer(help="Try webhooks out, see what was sent, choose where they go.", no_args_is_help=True)


@dataclass(frozen=True, kw_only=True)
class Listening(ServerOptions):
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0: any free one.", max=65535)] = 8010
    secret: Annotated[
        str | None,
        typer.Option(envvar="MASKMILL_WEBHOOK_SECRET", help="whsec_…; else the server is asked.", metavar="SECRET"),
    ] = None
    answer: Annotated[int, typer.Option(help="Status to answer with, to see what happens.", min=200, max=599)] = 204
    count: Annotated[int | None, typer.Option(help="End after so many.", min=1)] = None


def listen(choices: Listening) -> None:
    """Receive webhooks on this machine; print each, and whether its signature is right."""
    secret = choices.secret or _secret_of(choices)
    log = _Log(secret, choices)
    with _receiver(choices.port, log) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        if choices.as_json:
            print(json.dumps({"listening": url}), flush=True)
        else:
            _say_how_to_try(url)
        while log.wants_more:
            server.handle_request()
    raise typer.Exit(REFUSED if log.refused else DONE)


def _receiver(port: int, log: _Log) -> HTTPServer:
    """Raises InvalidInput for a port that another program has."""
    try:
        return HTTPServer(("127.0.0.1", port), _handler(log))
    except OSError as error:
        said = error.strerror or error
        raise InvalidInput(f"port {port} is not to be had ({said}); choose another with --port") from error


@dataclass(frozen=True, kw_only=True)
class Testing(ServerOptions):
    url: Annotated[str, typer.Argument(help="Where to send a signed ping.", metavar="URL", show_default=False)]


def test(choices: Testing) -> None:
    """Have the server send a signed ping, and tell what came back."""
    with connect(choices) as server:
        told = server.webhooks.test(choices.url)
    if choices.as_json:
        print_json(told)
    else:
        came = told["error"] or f"{told['status_code']}"
        verdict = ("taken", "green") if told["delivered"] else ("not taken", "red")
        stdout().print(Text.assemble(verdict, f": {came} after {told['duration_ms']:.0f} ms"))
    raise typer.Exit(DONE if told["delivered"] else REFUSED)


def secret(choices: ServerOptions) -> None:
    """Print the secret that signs all webhooks."""
    _print_secret(choices, _secret_of(choices))


def rotate(choices: ServerOptions) -> None:
    """Make a new secret; for 24 hours the old one signs too."""
    with connect(choices) as server:
        _print_secret(choices, server.webhooks.rotate())


@dataclass(frozen=True, kw_only=True)
class Default(ServerOptions):
    url: Annotated[str | None, typer.Argument(help="Set it; without it, show it.", metavar="[URL]")] = None
    events: Annotated[str | None, typer.Option(help=f"Comma-separated: {', '.join(EVENTS)}.", metavar="NAMES")] = None
    remove: Annotated[bool, typer.Option("--remove", help="Jobs that name no receiver tell nobody.")] = False


def default(choices: Default) -> None:
    """Show or set where the webhooks of jobs go that name no receiver."""
    if choices.remove and choices.url is not None:
        raise InvalidInput("--remove and a URL are two wishes: name one of them")
    if choices.events and choices.url is None:
        raise InvalidInput("--events are of the URL that is set: name it too")
    with connect(choices) as server:
        if choices.remove:
            server.webhooks.remove_default()
            told: dict[str, Any] | None = None
        elif choices.url is not None:
            events = [name.strip() for name in choices.events.split(",")] if choices.events else None
            told = server.webhooks.set_default(choices.url, events=events)
        else:
            told = _default_of(server.webhooks.default)
    if choices.as_json:
        print_json({"webhook": told})
    elif told is None:
        stdout().print("jobs that name no receiver tell nobody")
    else:
        gone = " (it answered 410 and is told nothing since)" if told["gone_at"] else ""
        stdout().print(f"{told['url']}: {', '.join(told['events'])}{gone}", soft_wrap=True)


def deliveries(choices: JobOption) -> None:
    """List what was sent of a job and what is owed still, with every attempt."""
    with connect(choices) as server:
        found = list(server.job(choices.job_id).deliveries())
    if choices.as_json:
        print_json({"items": found})
        return
    table = plain_table("id", "event", "status", "attempts", "last", "said", right=("attempts",))
    for each in found:
        last = each["attempts"][-1] if each["attempts"] else {}
        said = str(last.get("error") or last.get("status_code") or "")
        status = Text(each["status"], style=STATUS_STYLE.get(each["status"], "default"))
        table.add_row(each["id"], each["event"], status, str(len(each["attempts"])), age(last.get("at")), said)
    if found:
        print_table(table)
    else:
        stdout().print("nothing was sent of this job")


@dataclass(frozen=True, kw_only=True)
class Redelivering(ServerOptions):
    delivery_id: Annotated[str, typer.Argument(help="Id of the delivery (dlv_…).", metavar="ID", show_default=False)]


def redeliver(choices: Redelivering) -> None:
    """Send a delivery once more, or at once if it waits for its next attempt."""
    with connect(choices) as server:
        told = server.webhooks.redeliver(choices.delivery_id)
    if choices.as_json:
        print_json(told)
    else:
        stdout().print(f"{told['id']} ({told['event']}) is sent again")


command(app, "listen")(listen)
command(app, "test")(test)
command(app, "secret")(secret)
command(app, "rotate")(rotate)
command(app, "default")(default)
command(app, "deliveries")(deliveries)
command(app, "redeliver")(redeliver)


@dataclass
class _Log:
    """What arrived so far."""

    secret: str
    choices: Listening
    arrived: int = 0
    refused: int = 0
    seen: set[str] = field(default_factory=set)

    @property
    def wants_more(self) -> bool:
        return self.choices.count is None or self.arrived < self.choices.count

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """The status to answer with."""
        self.arrived += 1
        try:
            said, fault = verify(headers, body, self.secret), None
        except WebhookInvalid as error:
            said, fault = {}, str(error)
            self.refused += 1
        name = headers.get("webhook-id", "")
        self._tell(name, said, fault, again=name in self.seen)
        self.seen.add(name)
        return 401 if fault else self.choices.answer

    def _tell(self, name: str, said: Mapping[str, Any], fault: str | None, *, again: bool) -> None:
        if self.choices.as_json:
            told = {"id": name, "verified": fault is None, "fault": fault, "again": again, "body": said}
            print(json.dumps(told), flush=True)
            return
        verdict = ("verified", "green") if fault is None else (f"refused: {fault}", "red")
        data = said.get("data") or {}
        what = f" {said.get('type', '?')} {data.get('id', '')} {data.get('status', '')}".rstrip() if said else ""
        stdout().print(Text.assemble(name, " ", verdict, what, " (again)" if again else ""), soft_wrap=True)


def _handler(log: _Log) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10.0

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not length.isdecimal() or int(length) > MOST_BYTES:
                self.send_error(413 if length.isdecimal() else 411)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(log.take(headers, self.rfile.read(int(length))))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _say_how_to_try(url: str) -> None:
    say = stdout().print
    say(f"Listening on {url} until Ctrl-C. From another terminal:", soft_wrap=True)
    say(f"  {program()} webhooks test {url}", soft_wrap=True)
    say(f"  {program()} submit PATHS… --webhook {url}", soft_wrap=True)
    say("The server sends to this machine only when it allows private addresses:")
    say(f"  MASKMILL_WORKER_ALLOW_PRIVATE_ADDRESSES=true {program()} up\n", soft_wrap=True)


def _secret_of(choices: ServerOptions) -> str:
    with connect(choices) as server:
        return server.webhooks.secret()


def _print_secret(choices: ServerOptions, found: str) -> None:
    if choices.as_json:
        print_json({"secret": found})
    else:
        print(found)  # alone, for `secret=$(maskmill webhooks secret)`


def _default_of(ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return ask()
    except NotFound:
        return None
