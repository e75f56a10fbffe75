"""What each figure says, in sentences made of the numbers. A sentence stands here only if the numbers make it true.

Differences of mIoU and IoU are called differences when the paired bootstrap interval leaves zero out; all other
comparisons only say which number is higher.
"""

import math
from collections.abc import Sequence

from jobs.comparing.pages.parts import leaders
from jobs.comparing.pages.wording import (
    between,
    counted,
    listed,
    milliseconds,
    parameters,
    percent,
    points,
    times,
    within,
)
from jobs.comparing.sections import OTHER_CLASSES
from segmentation.measures.bootstrap import FEWEST_PICTURES, Interval
from training.compare.figures.series import Series
from training.compare.findings import Comparison, Entry, Pair

Sentences = list[str]

ALIKE = 1.1  # latencies closer than this are called alike: two measurements of one model differ by as much
SCATTERED = 1.25  # rounds that differ by more than this do not make one number
OUTLIERS = 8  # of so many rounds the lowest and the highest are left out
CLASS_MEANS = ("miou", "mean_dice")  # over the classes that a model can give
NO_CLASS = "no class of the data"
SURE = 0.02  # confidence and accuracy closer than this are called equal


def summary(comparison: Comparison) -> Sentences:
    if not comparison.class_names:
        return ["No pixel of these pictures has a known class: nothing can be compared."]
    return [
        *_who_leads(comparison),
        *_fastest(comparison),
        *_weakest(comparison),
        f"On the average picture they do not agree on {percent(comparison.disagreement)} of the labelled pixels.",
        *unnamed(comparison),
        *unmarked(comparison),
        *learnt(comparison),
    ]


def scores(comparison: Comparison) -> Sentences:
    told = over_other_classes(comparison)
    for score, name, lowest in RANKED_SCORES:
        if score in CLASS_MEANS and told:
            continue
        leading = leaders(comparison.values(score), lowest=lowest)
        if leading:
            value = percent(comparison.values(score)[leading[0]])
            told.append(f"{letters(leading)} {_has(leading)} the {name}, {value}.")
    return told


RANKED_SCORES = (
    ("miou", "highest mIoU", False),
    ("pixel_accuracy", "highest pixel accuracy", False),
    ("ece", "lowest calibration error", True),
)


def differences(comparison: Comparison) -> Sentences:
    return [pair_sentence(comparison, pair) for pair in comparison.pairs]


def classes(comparison: Comparison) -> Sentences:
    """Of the two best models, or of the only two."""
    first, second, *_ = comparison.ranked()
    pair = comparison.pair(first, second)
    told = _widest_gap(comparison, pair)
    if pair.interval is not None:
        for sign, who in ((1, first), (-1, second)):
            won = [name for name, (gap, interval) in pair.classes.items() if gap * sign > 0 and _apart(interval)]
            if won:
                other = second if who == first else first
                told.append(f"{letter(who)} is better than {letter(other)} on {listed(won)}, beyond chance.")
        same = [name for name, (_, interval) in pair.classes.items() if not _apart(interval)]
        if same:
            both = f"between {letter(first)} and {letter(second)}"
            told.append(f"On {listed(same)} these pictures show no difference {both}.")
    if comparison.absent_names:
        told.append(f"Not in these pictures: {listed(comparison.absent_names)}.")
    return told


def confusion(comparison: Comparison, number: int) -> Sentences:
    """The three most frequent errors of one model, as shares of the true class."""
    errors = sorted(_errors(comparison, number), key=lambda error: -error[0])[:3]
    if not errors:
        return [f"{letter(number)} makes no error on these pictures."]
    told = [f"{percent(share)} of {true} is called {said}" for share, true, said in errors]
    return [f"The most frequent confusions of {letter(number)}: {'; '.join(told)}."]


def pictures(comparison: Comparison) -> Sentences:
    if not comparison.shown:
        return []
    most = max(comparison.shown, key=lambda each: each.disagreement)
    told = [
        f"Of the pictures shown, {most.name} is the most disputed: {percent(most.disagreement)} of its labelled pixels."
    ]
    wins = [0] * len(comparison.entries)
    for shown in comparison.shown:
        for number in leaders(shown.wrong, lowest=True):
            wins[number] += 1
    tallies = [f"{letter(number)} on {won}" for number, won in enumerate(wins)]
    told.append(f"Fewest wrong pixels of the {counted(len(comparison.shown), 'picture')} shown: {listed(tallies)}.")
    return told


def calibration(comparison: Comparison) -> Sentences:
    told = []
    for number, entry in enumerate(comparison.entries):
        counts = entry.evaluation.calibration
        if counts is None or not counts.counts.sum():
            continue
        total = counts.counts.sum()
        confidence, accuracy = float(counts.confidences.sum() / total), float(counts.hits.sum() / total)
        gap = confidence - accuracy
        judged = "as sure as it is right" if abs(gap) < SURE else "too sure" if gap > 0 else "not sure enough"
        told.append(
            f"{letter(number)} is {judged} over all pixels: mean confidence {percent(confidence)}, "
            f"accuracy {percent(accuracy)}; its calibration error is {percent(entry.scores['ece'])}."
        )
    return told


def ranking(comparison: Comparison) -> Sentences:
    """Of the average precisions per class."""
    leading = leaders(comparison.values("mean_ap"), lowest=False)
    if not leading:
        return []
    told = over_other_classes(comparison)
    if not told:
        highest = percent(comparison.values("mean_ap")[leading[0]])
        told = [f"{letters(leading)} {_has(leading)} the highest mean average precision, {highest}."]
    for number, entry in enumerate(comparison.entries):
        areas = {name: entry.evaluation.pr(name).area for name in _given(entry)}
        known = {name: area for name, area in areas.items() if math.isfinite(area)}
        if known:
            worst = min(known, key=known.__getitem__)
            told.append(f"{letter(number)} tells {worst} apart worst: average precision {percent(known[worst])}.")
    return told


def cost(comparison: Comparison) -> Sentences:
    told = [*over_other_classes(comparison), *_fastest(comparison), *_bargains(comparison)]
    sizes = [entry.parameters for entry in comparison.entries]
    small, large = sizes.index(min(sizes)), sizes.index(max(sizes))
    if sizes[small] != sizes[large]:
        told.append(
            f"{letter(large)} has {times(sizes[large] / sizes[small])} the parameters of {letter(small)}: "
            f"{parameters(sizes[large])} and {parameters(sizes[small])}."
        )
    return told


def training(comparison: Comparison) -> Sentences:
    told = []
    for number, entry in enumerate(comparison.entries):
        reached = [(epoch["miou"], int(epoch["epoch"])) for epoch in entry.history if _finite(epoch.get("miou"))]
        if not reached:
            continue
        value, when = max(reached, key=lambda each: (each[0], -each[1]))
        last_value, last = reached[-1]
        after = "the last one" if when == last else f"and ended at {percent(last_value)} after epoch {last}"
        highest = f"reached its highest mIoU in training, {percent(value)}, at epoch {when}"
        told.append(f"{letter(number)} {highest}, {after}.")
    without = [number for number, entry in enumerate(comparison.entries) if not entry.history]
    if without:
        told.append(f"No training curves are at hand for {letters(without)}: curves come with runs, not with bundles.")
    return told


def unnamed(comparison: Comparison) -> Sentences:
    """What a model has no word for is lost from the start; a reader must know."""
    return [
        f"{letter(number)} was trained on other classes and cannot say {listed(entry.unnamed)}: these pixels count as "
        "its errors, and its means leave these classes out."
        for number, entry in enumerate(comparison.entries)
        if entry.unnamed
    ]


def unmarked(comparison: Comparison) -> Sentences:
    if not comparison.unmarked:
        return []
    names = listed(comparison.unmarked)
    return [f"The masks have no way to show {names}: who says so errs, and the means leave these classes out."]


def over_other_classes(comparison: Comparison) -> Sentences:
    """Whose mean has fewer classes is no better for it."""
    return [] if comparison.means_are_alike else [OTHER_CLASSES]


def learnt(comparison: Comparison) -> Sentences:
    """Who is scored on what it learnt from is no better for it."""
    return [
        f"{letter(number)}: {entry.learnt_said}."
        for number, entry in enumerate(comparison.entries)
        if entry.learnt_said
    ]


def pair_sentence(comparison: Comparison, pair: Pair) -> str:
    """A true sentence about two models: a difference, or that so many pictures cannot show one."""
    count = counted(comparison.facts.picture_count, "picture")
    if not math.isfinite(pair.difference):
        return f"{letters((pair.first, pair.second))} can give no class of these pictures alike: no mIoU to compare."
    ahead, behind = (pair.first, pair.second) if pair.difference >= 0 else (pair.second, pair.first)
    if pair.difference == 0:
        return f"{letters(sorted((ahead, behind)))} have the same mIoU on {count}."
    if pair.interval is None:
        of = (
            f"{count} cannot"
            if comparison.facts.picture_count < FEWEST_PICTURES
            else f"those of {count} that count cannot"
        )
        few = f"{of} show a difference: at least {FEWEST_PICTURES} are needed"
        return f"{letter(ahead)} scores {points(pair.difference)} above {letter(behind)}, but {few}."
    ends = between(comparison.pair(ahead, behind).interval or pair.interval)
    if pair.shown:
        return (
            f"{letter(ahead)} is better than {letter(behind)} by {points(pair.difference)} of mIoU "
            f"(95 % interval {ends})."
        )
    return (
        f"{letter(ahead)} scores {points(pair.difference)} of mIoU above {letter(behind)}: no difference that {count} "
        f"can show (95 % interval {ends})."
    )


def letter(number: int) -> str:
    return Series(number).letter


def letters(numbers: Sequence[int]) -> str:
    return listed([letter(number) for number in numbers])


def _who_leads(comparison: Comparison) -> Sentences:
    first, second, *_ = comparison.ranked()
    pair = pair_sentence(comparison, comparison.pair(first, second))
    leading = leaders(comparison.shared_mious, lowest=False)
    if not leading:
        return [*over_other_classes(comparison), pair]
    highest = f"{_named(comparison, leading)} the highest mIoU: {percent(comparison.shared_mious[first])}"
    if not comparison.means_are_alike:
        return [OTHER_CLASSES, f"Over the classes that all can give {highest}.", pair]
    ends = comparison.entries[first].interval if len(leading) == 1 else None
    spread = f" (95 % interval {within(ends)})" if ends is not None else ""
    return [f"{highest}{spread}.", pair]


def _named(comparison: Comparison, leading: Sequence[int]) -> str:
    """`A, one, has`; of several whose values are printed alike `A, one, and B, other, have`."""
    return f"{listed([f'{letter(each)}, {comparison.entries[each].name},' for each in leading])} {_has(leading)}"


def _fastest(comparison: Comparison) -> Sentences:
    timed = [(entry.latency.median_ms, n) for n, entry in enumerate(comparison.entries) if entry.latency is not None]
    if len(timed) < 2:
        return []
    (quick, first), *_, (slow, last) = sorted(timed)
    low, high = slowdown(comparison, last, first)
    if slow / quick < ALIKE:
        return [f"{letters(sorted(n for _, n in timed))} are about equally fast: {milliseconds(quick)} for a picture."]
    if low < ALIKE:
        both = f"{milliseconds(quick)} and {milliseconds(slow)}"
        why = f"from round to round {letter(last)} took {times(low)} to {times(high)} as long"
        return [f"Which of {letters(sorted((first, last)))} is faster was not to be measured here: {both}, but {why}."]
    ratio = times(slow / quick) if high / low < SCATTERED else f"{times(low)} to {times(high)}"
    longest = f"{letter(last)} takes {ratio} as long, {milliseconds(slow)}"
    (_, second) = sorted(timed)[1]
    if slowdown(comparison, second, first)[0] < ALIKE:
        return [f"{letters(sorted((first, second)))} are among the fastest, with {milliseconds(quick)}; {longest}."]
    return [f"{letter(first)} is the fastest, with {milliseconds(quick)} for a picture; {longest}."]


def slowdown(comparison: Comparison, one: int, other: int) -> tuple[float, float]:
    """How many times as long the one takes as the other, in their closest round and in the round farthest apart.

    Of measurements without rounds the ratio of their medians, twice.
    """
    first, second = comparison.entries[one].latency, comparison.entries[other].latency
    assert first is not None and second is not None  # noqa: PT018
    if len(first.rounds_ms) != len(second.rounds_ms) or not first.rounds_ms:
        ratio = first.median_ms / second.median_ms
        return ratio, ratio
    ratios = sorted(a / b for a, b in zip(first.rounds_ms, second.rounds_ms, strict=True))
    cut = len(ratios) // OUTLIERS  # a pause of the machine in one round says nothing about the models
    return ratios[cut], ratios[len(ratios) - 1 - cut]


def _weakest(comparison: Comparison) -> Sentences:
    worst: dict[str, list[int]] = {}
    for number, entry in enumerate(comparison.entries):
        known = {name: entry.scores[f"iou/{name}"] for name in _given(entry)}
        known = {name: value for name, value in known.items() if math.isfinite(value)}
        if known:
            worst.setdefault(min(known, key=known.__getitem__), []).append(number)
    told = []
    for name, numbers in worst.items():
        values = listed([percent(comparison.entries[number].scores[f"iou/{name}"]) for number in numbers])
        everyone = len(numbers) == len(comparison.entries)
        who = "All models are" if everyone else f"{letters(numbers)} {'is' if len(numbers) == 1 else 'are'}"
        told.append(f"{who} weakest on {name}: IoU {values}.")
    return told


def _widest_gap(comparison: Comparison, pair: Pair) -> Sentences:
    if not pair.classes:
        return []
    name = max(pair.classes, key=lambda each: abs(pair.classes[each][0]))
    gap, interval = pair.classes[name]
    first, second = (comparison.entries[each].scores[f"iou/{name}"] for each in (pair.first, pair.second))
    chance = "" if interval is None or _apart(interval) else ", which may be chance"
    where = f"Between {letter(pair.first)} and {letter(pair.second)} the gap in IoU is widest on {name}"
    return [f"{where}: {percent(first)} and {percent(second)}, {points(gap)} apart{chance}."]


def _errors(comparison: Comparison, number: int) -> list[tuple[float, str, str]]:
    """(share of the true class, true class, what was said), of the classes that occur in the truth."""
    evaluation = comparison.entries[number].evaluation
    names = dict(zip(evaluation.class_ids, evaluation.class_names, strict=True))
    found = []
    for true_id, true_name in names.items():
        row = evaluation.confusion[true_id]
        if row.sum():
            said = {**names, evaluation.space.class_count: NO_CLASS}  # the last column
            found += [
                (float(row[each] / row.sum()), true_name, name)
                for each, name in said.items()
                if each != true_id and each < len(row) and row[each]
            ]
    return found


def _bargains(comparison: Comparison) -> Sentences:
    """Which models are neither better nor faster than another one."""
    told = []
    numbers = range(len(comparison.entries))
    for number in numbers:
        above = [each for each in numbers if each != number and _beats(comparison, each, number)]
        if above:
            other = max(above, key=lambda each: comparison.pair(each, number).difference)
            chance = "" if comparison.pair(other, number).shown else ", though their difference in mIoU may be chance"
            told.append(f"{letter(number)} scores lower than {letter(other)} and is not faster{chance}.")
    timed = sum(entry.latency is not None for entry in comparison.entries)
    if timed > 1 and not told:
        told = ["None is both slower and worse than another: which one to take depends on the time there is."]
    return told


def _beats(comparison: Comparison, one: int, other: int) -> bool:
    first, second = comparison.entries[one], comparison.entries[other]
    if first.latency is None or second.latency is None:
        return False
    return first.latency.median_ms <= second.latency.median_ms and comparison.pair(one, other).difference > 0


def _given(entry: Entry) -> Sequence[str]:
    """Names of the classes that the model can give and the masks can show."""
    return [name for name in entry.evaluation.class_names if name not in entry.unscored]


def _apart(interval: Interval | None) -> bool:
    return interval is not None and not interval.holds(0)


def _has(numbers: Sequence[int]) -> str:
    return "has" if len(numbers) == 1 else "have"


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
