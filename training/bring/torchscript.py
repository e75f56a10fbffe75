"""A user's own TorchScript file is a program, so it is tried in a process of its own, with a limit on time and memory.

`python -m training.bring.torchscript FILE CARD LABEL_SPACE NAME` is that process; it prints one JSON object.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import warnings
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from data.sample_library import open_samples
from segmentation.label_space import LabelSpace, load_label_space
from segmentation.model_card import ModelCard
from training.bring.check import CheckReport, ModelUnfit, Pixels, Run, WrongShape, check, measured_stride, read_samples
from training.bring.graph import OwnFileRefused, UnreadableModel
from training.spaces import write_label_space

TORCHSCRIPT_ENDINGS = (".torchscript", ".pt", ".ts")
LIMIT_S = 300.0
MEMORY_BYTES = 64 * 2**30  # of addresses, of which torch and its threads take many


class CheckAborted(OwnFileRefused):
    """The process that tried the file ended without an answer."""

    code = "own_file_check_aborted"


@dataclass(frozen=True, slots=True)
class Answer:
    parameters: int
    stride: int
    report: CheckReport


def check_apart(
    file: Path, card: ModelCard, *, space: LabelSpace, called: str | None = None, limit_s: float = LIMIT_S
) -> Answer:
    """Try the file in another process. space: the card's. called: what errors call the file; else by its name.

    Raises OwnFileRefused, ModelUnfit, as that process does.
    """
    name = called or file.name
    _require_program(file, name)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "card.json"
        written.write_text(card.to_json(), encoding="utf-8")
        given = (file, written, write_label_space(space, Path(folder)), name)
        command = [sys.executable, "-m", __name__, *map(str, given)]
        try:
            ended = subprocess.run(command, capture_output=True, timeout=limit_s, env=_environment(), check=False)
        except subprocess.TimeoutExpired:
            raise CheckAborted(f"{name} was still running after {limit_s:g} s") from None
    try:
        told = json.loads(ended.stdout)
    except ValueError:
        lines = ended.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {ended.returncode}"]
        raise CheckAborted(f"trying {name} ended with: {lines[-1]}") from None
    return _answer(told)


def _require_program(file: Path, name: str) -> None:
    """TorchScript is a ZIP with code in it; `torch.save` writes one without. Raises UnreadableModel."""
    if not zipfile.is_zipfile(file):
        raise UnreadableModel(f"{name} is no TorchScript file")
    with zipfile.ZipFile(file) as archive:
        parts = [each.split("/") for each in archive.namelist()]
    if not any(len(part) > 1 and part[1] == "code" for part in parts):
        raise UnreadableModel(
            f"{name} holds a pickle without a program (torch.save), which Maskmill does not open; "
            "write it with torch.jit.save(torch.jit.trace(model, example), path), or export it to ONNX"
        )


def _environment() -> dict[str, str]:
    here = str(Path(__file__).resolve().parents[2])
    paths = [here, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _answer(told: dict[str, Any]) -> Answer:
    if "refused" in told:
        kinds: list[type[ModelUnfit | OwnFileRefused]] = [*ModelUnfit.__subclasses__()]
        kinds += OwnFileRefused.__subclasses__()
        raise {each.code: each for each in kinds}.get(told["refused"], CheckAborted)(told["message"])
    report = told["report"]
    size, notes = tuple(report.pop("input_size")), tuple(report.pop("notes"))
    return Answer(told["parameters"], told["stride"], CheckReport(**report, input_size=size, notes=notes))


def main() -> None:
    """In the process apart."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    file, card = Path(sys.argv[1]), ModelCard.from_json(Path(sys.argv[2]).read_bytes())
    try:
        told = _try(file, card, load_label_space(Path(sys.argv[3])), sys.argv[4])
    except (ModelUnfit, OwnFileRefused) as error:
        told = {"refused": error.code, "message": str(error)}
    print(json.dumps(told))


def _try(file: Path, card: ModelCard, space: LabelSpace, name: str) -> dict[str, Any]:
    import torch

    torch.set_num_threads(min(4, os.cpu_count() or 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is frozen, not gone
        try:
            module = torch.jit.load(str(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise UnreadableModel(f"{name} cannot be opened: {str(error).splitlines()[0]}") from error

    run = _runner(module)
    stride = measured_stride(run, card)
    parameters = max(1, sum(each.numel() for each in module.parameters()))
    samples = read_samples(open_samples(), space)
    report = check(run, replace(card, output_stride=stride), samples, space=space, engine="torch cpu f32")
    return {"parameters": parameters, "stride": stride, "report": asdict(report)}


def _runner(module: Any) -> Run:
    import torch

    def run(batch: Pixels) -> Pixels:
        with torch.inference_mode():
            try:
                given = module(torch.from_numpy(batch))
            except RuntimeError as error:
                size = "×".join(map(str, batch.shape))
                reason = str(error).strip().splitlines()[-1]
                raise WrongShape(f"torch cannot run it on {size}: {reason}") from error
        if not isinstance(given, torch.Tensor):
            raise WrongShape(f"it gives {type(given).__name__}; a model to serve gives one tensor, the logits")
        return given.float().contiguous().numpy()

    return run


if __name__ == "__main__":
    main()
