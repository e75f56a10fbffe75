"""What `maskmill demo` does, readable from top to bottom."""

from __future__ import annotations

import importlib.util
import shutil
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from maskmill.cli.output import counted, duration, program, working
from maskmill.client import Maskmill
from maskmill.demo.files import PICTURES, TRUTH
from maskmill.demo.material import Material, own, samples
from maskmill.demo.page import Terms, write_page
from maskmill.demo.tables import show_results
from maskmill.errors import DownloadBroken, InvalidInput
from maskmill.handle import JobHandle
from maskmill.image import Image
from maskmill.installed import how_to_install
from maskmill.local import LocalStack, StackOptions, running_stack
from maskmill.stack.supervisor import Notice

MADE_BY_US = ".made-by-maskmill-demo"
FALLBACK_SPACE = "cityscapes-8"
ARCHIVE = "results.zip"
RESULTS = (
    *("overlay", "mask", PICTURES, TRUTH, "index.html", ARCHIVE),
    *("manifest.json", "label_space.json", "metrics.csv", "metrics.json", "errors.csv"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    home: Path
    out: Path = Path("demo")
    images: Path | None = None
    masks: Path | None = None
    mask_label_space: str | None = None
    limit: int | None = None
    keep: bool = False


def tell(options: DemoOptions, console: Console) -> dict[str, Any]:
    """Run it all. Returns what happened as plain values; `status` is the job's. Raises MaskmillError."""
    began = time.monotonic()
    material = _material(options).limited(options.limit)
    _prepare(options.out)
    _step(console, 1, "Starting API, worker, scheduler and broker on this machine")
    with ThreadPoolExecutor(1) as beside, _started(options, console) as stack, stack.tended():
        console.print(f"      ready after {duration(time.monotonic() - began)} at {stack.url}")
        with Maskmill(stack.url, patience=30.0) as server:
            material, label_space = comparable(server, material, console)
            job = _submit(server, material, label_space, options, console)
            images = _work_and_fetch(job, options, console)
            show_results(console, job, images)
            terms = terms_of(server, job)
            page = beside.submit(write_page, options.out, job, images, material, terms)  # while the stack stops
            if not options.keep:
                job.delete()
    page.result()
    _farewell(console, options, time.monotonic() - began)
    return {
        "status": job.status,
        "images": dict(job.counts),
        "metrics": dict(job.metrics),
        "out": str(options.out),
        "page": str(options.out / "index.html"),
        "seconds": round(time.monotonic() - began, 1),
    }


@contextmanager
def _started(options: DemoOptions, console: Console) -> Iterator[LocalStack]:
    """A ready stack on a free port; a spinner turns while it starts and stops."""
    with ExitStack() as stopping:
        with console.status("starting"):
            stack = stopping.enter_context(
                running_stack(StackOptions(home=options.home, port=0), _only_trouble(console))
            )
        yield stack
        console.print("\nStopping", style="dim")


def _material(options: DemoOptions) -> Material:
    if options.images is not None:
        return own(options.images, options.masks, options.mask_label_space)
    if options.masks is not None:
        raise InvalidInput("--masks goes with --images")
    return samples()


def _prepare(out: Path) -> None:
    """A folder without an earlier demo's results. Raises InvalidInput rather than touch somebody else's files."""
    if out.is_dir() and any(out.iterdir()) and not (out / MADE_BY_US).is_file():
        raise InvalidInput(f"the folder {out} holds other files; choose another one with --out")
    out.mkdir(parents=True, exist_ok=True)
    for name in RESULTS:
        if (out / name).is_dir():
            shutil.rmtree(out / name)
        else:
            (out / name).unlink(missing_ok=True)
    (out / MADE_BY_US).touch()


def _submit(
    server: Maskmill, material: Material, label_space: str | None, options: DemoOptions, console: Console
) -> JobHandle:
    pictures, masks = material.pack(options.out)
    size = (pictures.stat().st_size + (masks.stat().st_size if masks else 0)) / 1e6
    truth = " with ground truth" if masks else ""
    _step(console, 2, f"Submitting {counted(len(material.pictures), 'picture')}{truth} as one ZIP, {size:.1f} MB")
    if material.guessed:
        said = f"      the ids in the masks look like {material.mask_label_space}; --mask-label-space says otherwise"
        console.print(said, style="yellow", soft_wrap=True)
    try:
        job = server.submit(
            pictures,
            masks=masks,
            mask_label_space=material.mask_label_space,
            label_space=label_space,
            reuse=False,  # what is shown is measured
            metadata={"made_by": "maskmill demo"},
        )
    finally:
        pictures.unlink()
        if masks:
            masks.unlink()
    console.print(f"      {job.id}, model {job.state['model']}, classes of {job.state['label_space']}", soft_wrap=True)
    return job


def comparable(server: Maskmill, material: Material, console: Console) -> tuple[Material, str | None]:
    """The material, and the label space of the results; None: the model's own, when the masks can be read in it; else
    one that both can be read in. Where there is none, the masks stay out."""
    from segmentation.label_spaces import LABEL_SPACES

    model = next((each for each in server.models() if each.get("default")), None)
    of_masks = material.mask_label_space
    if of_masks is None or model is None or of_masks == model["label_space"]:
        return material, None
    known = LABEL_SPACES.get(of_masks)
    if known is None or model["label_space"] in known.mappings:
        return material, None
    if FALLBACK_SPACE in (model.get("label_spaces") or {}):
        return material, FALLBACK_SPACE
    said = f"      the model's classes are others than those of {of_masks}: the masks stay out, nothing is compared"
    console.print(said, style="yellow", soft_wrap=True)
    return Material(pictures=material.pictures), None


def terms_of(server: Maskmill, job: JobHandle) -> Terms:
    from segmentation.label_space import LabelSpace
    from segmentation.label_spaces import LABEL_SPACES

    licence = next((str(each["licence"]) for each in server.models() if each["name"] == job.state["model"]), "")
    name = str(job.state["label_space"])
    space = LABEL_SPACES.get(name) or LabelSpace.from_dict(server.get(f"/jobs/{job.id}/label-space"))  # as it was then
    return Terms(space=space, licence=licence)


def _work_and_fetch(job: JobHandle, options: DemoOptions, console: Console) -> list[Image]:
    _step(console, 3, "Segmenting")
    with working(console) as on_progress:
        job.wait(on_progress=on_progress)
    job.download(options.out, keep_zip=True)
    archive = (options.out / f"{job.id}.zip").replace(options.out / ARCHIVE)
    with zipfile.ZipFile(archive) as bundle:
        damaged = bundle.testzip()
    if damaged is not None:
        raise DownloadBroken(f"{damaged} in {archive} is damaged")
    return job.results()


def _farewell(console: Console, options: DemoOptions, seconds: float) -> None:
    where = options.out
    console.print(f"\nDone in {duration(seconds)}; everything is stopped again. Look at it:", style="bold")
    for path, what in (
        (where / "index.html", "pictures, overlays, masks and numbers; open it in a browser"),
        (where / "metrics.csv", "one row per image"),
        (where / "overlay", "the classes over the pictures"),
        (where / "mask", "PNGs whose pixels are class ids"),
        (where / ARCHIVE, "the archive as a client gets it"),
    ):
        console.print(Text.assemble("  ", (f"{path!s:<22}", "cyan"), f" {what}"), soft_wrap=True)
    console.print("\nWhat to type next:", style="bold")
    for command, what in (
        (f"{program()} up --open", _offer_of_the_page()),
        (f"{program()} submit PICTURES… --wait --download results", "your own pictures, from another terminal"),
        (f"{program()} doctor", "what is installed and what is missing"),
    ):
        console.print(Text.assemble("  ", (command, "cyan"), f"\n      {what}"), soft_wrap=True)


def _offer_of_the_page() -> str:
    """The page is where most people look next; it is not in every installation."""
    what = "keep a server running on http://127.0.0.1:8008"
    if importlib.util.find_spec("streamlit") is not None:
        return f"{what}, and open the page to look at masks"
    return f"{what}; with a page to look at masks after: {how_to_install('dashboard')}"


def _step(console: Console, number: int, text: str) -> None:
    console.print(Text.assemble((f"[{number}/4] ", "bold cyan"), (text, "bold")), soft_wrap=True)


def _only_trouble(console: Console) -> Any:
    def report(notice: Notice) -> None:
        if notice.kind in ("died", "again", "killed"):
            console.print(f"      {notice.text}", style="yellow", soft_wrap=True)

    return report
