"""The page: a Comparison, or an evaluation of one model, as one HTML file. templates/sections.html says what stands in
its sections; how it looks, and its tables and pictures, a job's comparison shares (`jobs/comparing/pages`)."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from jobs.comparing.pages import parts, tiles, wording
from jobs.comparing.pages.parts import Html
from jobs.comparing.pages.shell import ResultPage, Section
from segmentation.label_space import LabelSpace
from training.compare import alone, readings, sections, tables, thumbnails
from training.compare.figures.series import Series, hatchings
from training.compare.findings import Comparison, Shown
from training.runs import write_text

LEVELS = 10  # of shading in a confusion matrix

Matrix = list[tuple[str, list[tuple[str, int]], str]]


def render(comparison: Comparison, *, title: str, colour_blind_safe: bool = True) -> str:
    """The whole page. Names in it come from users: everything that is not our own drawing is escaped."""
    facts, count = comparison.facts, wording.counted(len(comparison.entries), "model")
    colours = thumbnails.class_colours(comparison.space, colour_blind_safe=colour_blind_safe)
    drawn = {
        "curves": sections.training_curves(comparison),
        "reliability": sections.reliability(comparison),
        "precision": sections.precision_dots(comparison),
        "score_curves": sections.score_curves(comparison),
        "cost": None if comparison.is_alone else sections.cost_scatter(comparison),
    }
    words, command = (alone, "evaluate") if comparison.is_alone else (readings, "compare")
    told = _templates(comparison, drawn)
    when = f'<time datetime="{escape(facts.date)}">{escape(facts.date)}</time>'
    return ResultPage(
        title=title,
        lead=f"{count} on {wording.counted(facts.picture_count, 'picture')} of {facts.dataset}, split {facts.split}.",
        top=Html(hatchings(len(comparison.entries)) + told.top()),
        sections=[
            Section("summary", "In short", parts.summary(words.summary(comparison))),
            Section("scores", "Scores", told.scores()),
            Section("classes", "Classes", told.classes()),
            Section("confusion", "Confusion", told.confusion()),
            Section("pictures", "Pictures", _pictures(comparison, colours)),
            Section("calibration", "Calibration", told.calibration() if drawn["reliability"] else Html("")),
            Section("ranking", "Ranking of pixels", told.ranking() if drawn["precision"] else Html("")),
            Section("cost", "Cost", told.cost() if drawn["cost"] else Html("")),
            Section("training", "Training", told.training()),
            Section("method", "How it was measured", told.method()),
        ],
        made=Html(f"Made by <code>maskmill {command}</code> on {when}."),
        data={} if comparison.is_alone else comparison.to_dict(),
        kind="evaluation of a model" if comparison.is_alone else "comparison of models",
    ).render()


def confusion_rows(comparison: Comparison, index: int) -> Matrix:
    """Of each class in the truth: its name, (per cent, level of shading) by predicted class, its share of all pixels.

    The last cell holds pixels for which no class of the data was predicted.
    """
    evaluation = comparison.entries[index].evaluation
    ids = [each for each in evaluation.class_ids if evaluation.space.name_of(each) in comparison.class_names]
    total = max(1, int(evaluation.confusion.sum()))
    rows = []
    for class_id in ids:
        counts = evaluation.confusion[class_id]
        picked = [*counts[ids].tolist(), int(counts[evaluation.space.class_count :].sum())]
        shares = [count / counts.sum() if counts.sum() else 0.0 for count in picked]
        cells = [(_whole_percent(share), round(share * LEVELS)) for share in shares]
        rows.append((evaluation.space.name_of(class_id), cells, wording.percent(float(counts.sum()) / total)))
    return rows


def write(comparison: Comparison, page: str, out: Path) -> Path:
    """out: the page's path; comparison.json lies beside it. Both are written beside and moved into place."""
    content = json.dumps(comparison.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(out.with_name("comparison.json"), content)
    write_text(out, page)
    return out


def _templates(comparison: Comparison, drawn: dict[str, Any]) -> Any:
    """The macros of templates/sections.html, each a section."""
    environment = Environment(
        loader=PackageLoader("training.compare"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    evaluations = [entry.evaluation for entry in comparison.entries]
    values = {
        "comparison": comparison,
        "series": [Series(index) for index in range(len(comparison.entries))],
        "matrices": [confusion_rows(comparison, index) for index in range(len(comparison.entries))],
        "missed": any(each.confusion[:, comparison.space.class_count :].any() for each in evaluations),
        "tables": {
            made.__name__: Markup(made(comparison).html())  # noqa: S704  escaped there
            for made in (tables.scores, tables.classes, tables.calibration, tables.ranking)
        },
        "drawn": drawn,
        "reading": lambda sentences: Markup(parts.reading(sentences)),  # noqa: S704  escaped there
        "readings": readings,
        "words": alone if comparison.is_alone else readings,
        "sections": sections,
        "wording": wording,
    }
    return environment.get_template("sections.html").make_module(values)


def _pictures(comparison: Comparison, colours: NDArray[np.uint8]) -> Html:
    if not comparison.shown:
        return Html("")
    found = [_picture(shown, comparison, colours, index) for index, shown in enumerate(comparison.shown)]
    gallery = tiles.gallery(found, _legend(comparison, colours))
    about, words = (alone.ABOUT, alone) if comparison.is_alone else (tiles.ABOUT, readings)
    return parts.joined(parts.paragraph(about), gallery, parts.reading(words.pictures(comparison)))


def _legend(comparison: Comparison, colours: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """Name and colour of every class that occurs, and of what is not labelled."""
    space = comparison.space
    ids = {space.name_of(each): each for each in space.class_ids}
    named = [(name, tiles.hex_of(colours[ids[name]].tolist())) for name in comparison.class_names]
    return [*named, ("not labelled", tiles.hex_of(colours[space.void_id].tolist()))]


def _picture(shown: Shown, comparison: Comparison, colours: NDArray[np.uint8], index: int) -> tiles.Picture:
    height, width = shown.truth.shape
    chosen = f"Drawn with seed {comparison.facts.seed}" if shown.drawn else "Among the most disputed"
    share = wording.percent(shown.disagreement)
    why = f"{chosen}; the models do not agree on {share} of the labelled pixels."
    known = ~np.isin(shown.truth, list(comparison.space.void_ids))
    rows: list[Sequence[tiles.Tile | None]] = [_masks(shown, comparison, colours), _faults(shown, known)]
    if comparison.is_alone:
        why, rows = f"{share} of the labelled pixels are wrong.", [[*rows[0], *_wrong(shown, known)]]
    return tiles.Picture(
        key=f"picture-{index}",
        name=shown.name,
        why=why,
        photo=thumbnails.photo_address(shown.photo),
        size=(width, height),
        rows=rows,
    )


def _masks(shown: Shown, comparison: Comparison, colours: NDArray[np.uint8]) -> list[tiles.Tile]:
    """The photo, the truth and what each model says."""

    def mask(ids: NDArray[np.uint8], who: str, caption: str) -> tiles.Tile:
        return tiles.Tile(
            label=f"{who}: {_told(ids, comparison.space)}",
            caption=caption,
            layer=thumbnails.mask_address(ids, colours),
            names=tuple(thumbnails.names_within(ids, comparison.space)),
        )

    photo = tiles.Tile(label=f"The picture {shown.name}", caption="picture", kind="photo")
    found = [photo, mask(shown.truth, "Truth", "truth")]
    for index, ids in enumerate(shown.predictions):
        letter = Series(index).letter
        found.append(mask(ids, letter, f"{letter}, {comparison.entries[index].name}"))
    return found


def _faults(shown: Shown, known: NDArray[np.bool_]) -> Sequence[tiles.Tile | None]:
    """known: (H, W), where the truth has a class. Where the models differ, and where each is wrong."""
    differs = np.any([ids != shown.predictions[0] for ids in shown.predictions[1:]], axis=0) & known
    share = wording.percent(shown.disagreement)
    label = f"The models disagree on {share} of the labelled pixels"
    found: list[tiles.Tile | None] = [
        tiles.Tile(
            label=label, caption=f"disagreement {share}", layer=thumbnails.stripes_address(differs), kind="stripes"
        ),
        None,
    ]
    return [*found, *_wrong(shown, known)]


def _wrong(shown: Shown, known: NDArray[np.bool_]) -> list[tiles.Tile]:
    """Where each model errs."""
    found = []
    for index, ids in enumerate(shown.predictions):
        letter, wrong = Series(index).letter, wording.percent(shown.wrong[index])
        found.append(
            tiles.Tile(
                label=f"{letter} is wrong on {wrong} of the labelled pixels",
                caption=f"{letter} wrong {wrong}",
                layer=thumbnails.stripes_address((ids != shown.truth) & known),
                kind="stripes",
            )
        )
    return found


def _told(ids: NDArray[np.uint8], space: LabelSpace) -> str:
    largest = thumbnails.shares(ids, space)[:6]
    return ", ".join(f"{name} {wording.percent(share)}" for name, share in largest) or "nothing labelled"


def _whole_percent(share: float) -> str:
    if share == 0:
        return "0"
    return "<1" if share < 0.005 else f"{share * 100:.0f}"
