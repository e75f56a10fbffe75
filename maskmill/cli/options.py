"""Commands whose options are the fields of a dataclass: shared options are inherited, and a command takes one value."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from maskmill.cli.exits import INTERRUPTED, REFUSED, exit_code_for
from maskmill.errors import APIError, MaskmillError, ServerUnreachable, Unauthorized, WaitTimeout
from maskmill.installed import how_to_install
from maskmill.stack.explained import refusal_of

OUR_PACKAGES = ("data", "jobs", "segmentation", "storage", "training")
OF_THE_SERVICE = (
    *(*OUR_PACKAGES, "api", "broker", "scenes", "telemetry", "worker"),
    *("alembic", "celery", "cv2", "fastapi", "google", "httpcore", "huggingface_hub", "ijson", "jinja2", "kombu"),
    *("markupsafe", "minio", "mlflow", "numpy", "onnx", "onnxruntime", "openvino", "PIL", "prometheus_client"),
    *("psutil", "psycopg", "pydantic", "pydantic_settings", "python_multipart", "redis", "safetensors"),
    *("segmentation_models_pytorch", "sqlalchemy", "starlette", "timm", "tomlkit", "torch", "torchvision"),
    *("transformers", "urllib3", "uvicorn", "yaml"),
)


class MissingPackage(MaskmillError):
    """The command needs more than is installed here."""


@dataclass(frozen=True, kw_only=True)
class JsonOption:
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout; progress goes to stderr.")] = False


ForceOption = Annotated[
    bool,
    typer.Option("--force", help="Also into a folder that holds another job's results, and over masks changed there."),
]
ReplaceOption = Annotated[
    bool,
    typer.Option("--replace", help="In the place of another model of that name: lost then, or hidden if bundled."),
]


@dataclass(frozen=True, kw_only=True)
class CheckpointOption(JsonOption):
    checkpoint: Annotated[
        str, typer.Option(help="Of a run: best or last; else the best where it stopped early.", metavar="best|last")
    ] = ""

    def __post_init__(self) -> None:
        if self.checkpoint not in ("", "best", "last"):
            raise typer.BadParameter("best or last", param_hint="--checkpoint")


@dataclass(frozen=True, kw_only=True)
class ServerOptions(JsonOption):
    server: Annotated[
        str | None,
        typer.Option(envvar="MASKMILL_SERVER", help="Address of the server; else the local stack's.", metavar="URL"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class JobOption(ServerOptions):
    job_id: Annotated[str, typer.Argument(help="Id of the job (job_…).", metavar="ID", show_default=False)]


Choices = TypeVar("Choices", bound=JsonOption)


def command(
    app: typer.Typer, name: str, *, needs: str = "training"
) -> Callable[[Callable[[Choices], None]], Callable[[Choices], None]]:
    """Register a function that takes one dataclass of options; its docstring is the help.

    needs: the extra that brings what the function imports when it runs.
    """

    def register(function: Callable[[Choices], None]) -> Callable[[Choices], None]:
        (kind,) = (hint for key, hint in get_type_hints(function).items() if key != "return")
        app.command(name)(_flattened(function, kind, needs))
        return function

    return register


def _flattened(function: Callable[[Choices], None], kind: type[Choices], needs: str) -> Callable[..., None]:
    hints = get_type_hints(kind, include_extras=True)

    @functools.wraps(function)
    def run(**values: Any) -> None:
        with told(as_json=bool(values["as_json"]), needs=needs):
            function(kind(**values))

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {field.name: hints[field.name] for field in fields(kind)}
    return run


@contextlib.contextmanager
def told(*, as_json: bool, needs: str) -> Iterator[None]:
    """Errors of ours and of the file system become a sentence (or a JSON object) and an exit code."""
    try:
        with _written():
            yield
    except MaskmillError as error:
        _tell(error, as_json)
        raise typer.Exit(exit_code_for(error)) from None
    except BrokenPipeError:
        raise typer.Exit(REFUSED) from None  # the reader has gone: nobody to tell
    except OSError as error:
        _tell(error, as_json, said=of_the_system(error))
        raise typer.Exit(REFUSED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in OF_THE_SERVICE:
            raise
        _tell(MissingPackage(f"this command needs {missing}: {how_to_install(needs)}"), as_json)
        raise typer.Exit(REFUSED) from None
    except Exception as error:
        told_as = error if _is_told(error) else refusal_of(error)
        if told_as is None:
            raise
        _tell(told_as, as_json)
        raise typer.Exit(REFUSED) from None


@contextlib.contextmanager
def _written() -> Iterator[None]:
    """What cannot be written is told while somebody can tell it, not by the interpreter when it ends."""
    try:
        yield
    except typer.Exit:
        _flush()
        raise
    _flush()


def _flush() -> None:
    if sys.stdout is not None:  # it was closed
        sys.stdout.flush()


def _is_told(error: Exception) -> bool:
    """Errors of the packages that a command calls here, without a server: they have a code and a sentence."""
    return type(error).__module__.partition(".")[0] in OUR_PACKAGES and isinstance(getattr(error, "code", None), str)


def of_the_system(error: OSError) -> str:
    """What the operating system says, for people: without a number, the file first."""
    if error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def _tell(error: Exception, as_json: bool, *, said: str = "") -> None:
    code = error.code if _is_told(error) else _snake(type(error).__name__)  # type: ignore[attr-defined]
    said = said or str(error)
    told: dict[str, Any] = {"code": code, "message": said}
    if isinstance(error, APIError):
        told |= {"code": error.code, "status": error.status, "request_id": error.request_id}
        told |= {"errors": list(error.errors)} if error.errors else {}
        told |= {"retry_after_s": error.retry_after_s} if error.retry_after_s else {}
    if isinstance(error, WaitTimeout):
        told["job"] = error.job_id
    if as_json and _is_printed({"error": told}):
        return
    from rich.console import Console
    from rich.text import Text

    from maskmill.cli.output import duration

    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("Error: ", "bold red"), said), soft_wrap=True)
    for fault in told.get("errors", ()):
        if str(fault.get("message")) in said:
            continue  # the sentence above says it
        console.print(Text(f"  {fault.get('field', '?')}: {fault.get('message', '')}"), soft_wrap=True)
    if "retry_after_s" in told:
        console.print(f"It may be tried again in {duration(told['retry_after_s'])}.")
    if isinstance(error, ServerUnreachable):
        console.print("Start one with [bold]maskmill up[/], or name one with --server.")
    if isinstance(error, Unauthorized):
        said = "Set MASKMILL_API_KEY to a key of it; where it runs, [bold]maskmill keys create[/] makes one."
        console.print(said, soft_wrap=True)


def _is_printed(value: dict[str, Any]) -> bool:
    """False where stdout takes nothing: its disk is full, or nobody reads."""
    try:
        print(in_json(value))
        _flush()
    except OSError:
        return False
    return True


def in_json(value: Any, *, indent: int | None = None) -> str:
    """With letters as they are where stdout has all of them; else as JSON escapes them."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return json.dumps(value, ensure_ascii=encoding.lower() not in ("utf-8", "utf8"), indent=indent)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")
