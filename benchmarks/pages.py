"""`python -m benchmarks.pages`: writes the tables of README.md and docs/models.md anew, from `results/` and the cards.

And the picture of one of them, docs/images/robustness.svg.

A table stands between `<!-- figures: NAME -->` and `<!-- end of figures -->`; what is around it is written by hand.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS
from benchmarks.robustness.figure import figure

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "robustness.svg"
PAGES = (ROOT / "README.md", ROOT / "docs" / "models.md")
NOT_MEASURED = "–"

_SECTION = re.compile(r"(<!-- figures: ([a-z-]+) -->\n)(.*?)(<!-- end of figures -->)", re.DOTALL)
_DATASETS = {"camvid": "CamVid", "scenes": "the generated scenes"}


def main() -> None:
    for page in PAGES:
        page.write_text(with_figures(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(page.relative_to(ROOT))
    PICTURE.write_text(robustness_figure(), encoding="utf-8")


def with_figures(text: str) -> str:
    """The page with every table as the figures are now. Raises KeyError for a table that nobody knows."""
    return _SECTION.sub(lambda found: f"{found[1]}{SECTIONS[found[2]]()}\n{found[4]}", text)


def architecture_table() -> str:
    """The highest mIoU first."""
    document = _figures("architectures")
    rows = sorted(document["figures"]["rows"].values(), key=lambda row: -row["miou"]) if document else []
    return _table(rows) if rows else "Not measured yet."


def long_table() -> str:
    """The highest mIoU first. Runs that differ in their seed alone are one row: mean ± standard deviation."""
    runs = _long_runs()
    if not runs:
        return "Not measured yet."
    head = ["model", "encoder begins with", "seeds", "mIoU", "Dice", "pixel accuracy", "parameters (million)"]
    lines = [head, ["---", "---", "---", *["---:"] * 4]]
    for alike in sorted(runs.values(), key=lambda each: -_mean("miou", each)):
        first = alike[0]
        seeds = ", ".join(str(row["seed"]) for row in alike)
        scores = [_spread([row[name] for row in alike]) for name in ("miou", "mean_dice", "pixel_accuracy")]
        lines.append([first["title"], _start(first), seeds, *scores, f"{first['parameters'] / 1e6:.1f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def long_budget_list() -> str:
    """What everybody got, and what the ImageNet weights are worth where there is a run without them."""
    runs, budget = _long_runs(), _figures("training/architectures").get("figures", {}).get("budget")
    if not runs:
        return "Not measured yet."
    rows = [row for alike in runs.values() for row in alike]
    worth = [
        f"{title} {_mean('miou', alike) - _mean('miou', runs[title, False]):+.3f}"
        for (title, pretrained), alike in sorted(runs.items())
        if pretrained and (title, False) in runs
    ]
    said = [
        f"Training: {_steps(budget)}; an encoder that knows ImageNet learns at a quarter of the rate.",
        _scoring(budget),
        f"Trained on {_among(rows, 'date')} with commit {_among(rows, 'commit')}.",
        *([f"Worth of the ImageNet weights in mIoU: {', '.join(worth)}."] if worth else []),
    ]
    notes = {f"{row['title']}: {row['note']}." for row in rows if row["note"]}
    return "\n".join(f"* {each}" for each in [*said, *sorted(notes)])


def bundled_table() -> str:
    document = _figures("architectures")
    rows = dict(document["figures"]["bundled"]) if document else {}
    named = [{**row, "title": f"`{name}` ({row['title']})"} for name, row in sorted(rows.items())]
    return _table(named) if named else "Not measured yet."


def budget_list() -> str:
    """What everybody got, and what is not as published."""
    document = _figures("architectures")
    if not document or not document["figures"]["rows"]:
        return "Not measured yet."
    rows = document["figures"]["rows"]
    budget = document["figures"]["budget"]
    training = f"Training, from scratch: {_steps(budget)}; seed {budget['seed']}."
    said = [training, _scoring(budget), _measuring(rows.values())]
    notes = [f"{row['title']}: {row['note']}." for row in rows.values() if row["note"]]
    return "\n".join(f"* {each}" for each in [*said, *notes])


def variant_table() -> str:
    """What the cards of the bundled models say of their precisions."""
    lines = []
    for path in sorted((ROOT / "data" / "models").glob("*/card.json")):
        card = json.loads(path.read_text())
        for each in card.get("variants", []):
            figures = (each.get(name) for name in ("miou", "median_ms", "images_per_s"))
            shown = " | ".join(map(_number, figures))
            size = f"{each['bytes'] / 1e6:.1f}"
            lines.append(f"| `{card['name']}` | {each['precision']} | {each['engine']} | {size} | {shown} |")
    head = "| model | precision | engine | MB | mIoU | ms | images/s |\n| --- | --- | --- | ---: | ---: | ---: | ---: |"
    return "\n".join([head, *lines]) if lines else "Not measured yet."


def robustness_table() -> str:
    """mIoU of each bundled model, and how much of it each change leaves."""
    document = _figures("robustness")
    if not document:
        return "Not measured yet."
    models: Mapping[str, Mapping[str, float]] = document["figures"]["miou"]
    head = [["pictures", *(f"`{name}`" for name in models)], ["---", *["---:"] * len(models)]]
    changes = next(iter(models.values()))
    lines = [[change, *(f"{scores[change]:.3f}" for scores in models.values())] for change in changes]
    return "\n".join(f"| {' | '.join(line)} |" for line in head + lines)


def robustness_figure() -> str:
    """SVG. Raises KeyError before anything was measured."""
    return figure(_figures("robustness")["figures"]["miou"])


SECTIONS: Mapping[str, Callable[[], str]] = {
    "architectures": architecture_table,
    "architectures-budget": budget_list,
    "architectures-long": long_table,
    "architectures-long-budget": long_budget_list,
    "bundled": bundled_table,
    "robustness": robustness_table,
    "variants": variant_table,
}


def _figures(name: str) -> dict[str, Any]:
    """Empty when nobody has measured yet."""
    path = RESULTS / f"{name}.json"
    document: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return document


def _long_runs() -> dict[tuple[str, bool], list[dict[str, Any]]]:
    """By title and whether the encoder knew ImageNet: a run of each seed, in their order."""
    runs: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    document = _figures("training/architectures")
    for row in sorted(document["figures"]["rows"].values(), key=lambda row: row["seed"]) if document else []:
        runs.setdefault((row["title"], row["pretrained"]), []).append(row)
    return runs


def _start(row: Mapping[str, Any]) -> str:
    return "ImageNet weights" if row["pretrained"] else "nothing"


def _mean(name: str, rows: Iterable[Mapping[str, Any]]) -> float:
    return statistics.fmean(row[name] for row in rows)


def _spread(values: list[float]) -> str:
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def _among(rows: Iterable[Mapping[str, Any]], name: str) -> str:
    return ", ".join(sorted({row[name] for row in rows}))


def _table(rows: Iterable[Mapping[str, Any]]) -> str:
    rows = list(rows)
    engines = sorted({engine for row in rows for engine in row.get("speed", {})})
    head = ["model", "mIoU", "Dice", "pixel accuracy", "parameters (million)"]
    head += [f"{_ENGINES.get(engine, engine)}: ms (images/s)" for engine in engines]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *[_line(row, engines) for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


def _line(row: Mapping[str, Any], engines: Iterable[str]) -> list[str]:
    scores = [_score(row.get(name)) for name in ("miou", "mean_dice", "pixel_accuracy")]
    speeds = [row.get("speed", {}).get(engine) for engine in engines]
    shown = [f"{each['median_ms']:g} ({each['images_per_s']:g})" if each else NOT_MEASURED for each in speeds]
    return [row["title"], *scores, f"{row['parameters'] / 1e6:.1f}", *shown]


def _score(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.3f}"


def _number(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.3g}"


def _steps(budget: Mapping[str, Any]) -> str:
    (height, width), (low, high) = budget["crop"], budget["scale"]
    return (
        f"{budget['steps']:,} steps of {budget['batch_size']} crops of {width}×{height}, "
        f"cut from {budget['pictures']} pictures of {_DATASETS[budget['dataset']]} `train`, which were enlarged "
        f"{low}–{high} times; AdamW with a learning rate of {budget['learning_rate']:g}"
    )


def _scoring(budget: Mapping[str, Any]) -> str:
    return (
        f"Scores: on {budget['checked_pictures']} pictures of {_DATASETS[budget['dataset']]} `val` at their own size, "
        f"seen by the network with a long side of {budget['long_side']} pixels; averaged weights after the last step."
    )


def _measuring(rows: Iterable[Mapping[str, Any]]) -> str:
    machines = {
        f"{row['speed_machine']['cores']} cores of {row['speed_machine']['processor']}"
        for row in rows
        if "speed_machine" in row
    }
    trained = f"Trained on {_among(rows, 'date')} with commit {_among(rows, 'commit')}"
    return f"{trained}; speeds measured on {', '.join(machines) or 'no machine yet'}."


if __name__ == "__main__":
    main()
