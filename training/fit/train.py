"""Trains a model from a recipe, from its data to the last checkpoint. `maskmill train RECIPE` is the command.

A run's folder holds checkpoint.pt, best.pt, log.jsonl, recipe.toml, facts.json and data.json. Started again, a run goes
on where it was; how a run is started and who may is in launch.py.
"""

import copy
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from segmentation.label_space import LabelSpace
from segmentation.preprocessing import Preprocessing
from training.datasets.checking import check_pictures, count_pictures, measured_without
from training.datasets.pairs import NO_CHANNEL, InChannels, InSpace, PairDataset
from training.fit.distillation import Distillation, open_distillation, require_same_teacher, told
from training.fit.loop import AveragedWeights, TrainingState, batches, read_numbers, steps_before, train_epoch
from training.fit.losses import LossFunction, SegmentationLoss, median_frequency_weights
from training.fit.objective import HALF, Objective
from training.fit.optimisation import Best, Patience, Plateau, build_optimiser
from training.fit.processes import Processes
from training.fit.progress import NullWatcher, Watcher
from training.fit.strategies import set_training
from training.fit.validation import Validation, validate
from training.lineage import DATA, DataRecord, Learnt
from training.models.parts.protocols import HasOwnLoss
from training.recipe.building import build_empty_model, build_model, check_choices, open_dataset
from training.recipe.recipe import DataChoice, LossChoice, Recipe, RecipeError
from training.runs import BEST, CHECKPOINT, FACTS, LOG, RunFacts, note_order, noted_earlier, read_history, write_json
from training.spaces import find_label_space, sided_classes, what_ids_mean
from training.start.beginning import Beginning, begin_with
from training.start.unfolding import unfold
from training.tracking import NullTracker, Tracker

logger = logging.getLogger(__name__)

UNFOLDED_ON = 16  # batches, on which the batch norms of a bundle learn anew how large their input is
LEAST_BATCH = 2  # pictures: of one alone batch norm knows no deviation


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a recipe finds what it names. roots: of data sets; models: folders of bundles, the last one counts.

    runs: the folder of all runs; None: the one that the run lies in. recipe_file: what the recipe's is called, noted
    with the roots once the data were looked at; None: neither is.
    """

    roots: Mapping[str, Path]
    models: Sequence[Path] = ()
    runs: Path | None = None
    recipe_file: str | None = None

    def runs_beside(self, folder: Path) -> Path:
        return self.runs or folder.parent


def train(
    recipe: Recipe,
    *,
    folder: Path,
    places: Places,
    tracker: Tracker,
    workers: int = 0,
    watcher: Watcher | None = None,
) -> TrainingState:
    """Run the recipe's epochs that are not done yet. Raises RecipeError and DatasetError before the first.

    Raises TrainingDiverged too; the last checkpoint is then the last good one.
    """
    check_choices(recipe)
    with Processes.joined() as processes:
        processes.check(recipe)
        space = find_label_space(recipe.label_space)
        runs = places.runs_beside(folder)
        with processes.first_goes_first():
            distillation = open_distillation(recipe, models=places.models, runs=runs, device=processes.device)
            teacher = told(distillation)
            require_same_teacher(teacher.note, folder)
            data = prepare_data(recipe, places.roots, space)
        model, beginning = begin(recipe, folder, places)
        watcher = watcher if watcher is not None and processes.is_first else NullWatcher()
        check_batches(recipe, data, processes)
        if processes.is_first:
            check_data(recipe, data, watcher)
            warn_of_mirrored_classes(recipe, space)
            record = with_what_was_learnt(data.record((*beginning.learnt, *teacher.learnt)), folder)
            warn_of_learnt_validation(record, data.validation_set)
            write_json(folder / DATA, record.to_dict())
            if places.recipe_file is not None:
                note_order(folder, recipe, roots=places.roots, recipe_file=places.recipe_file)
            if not (folder / CHECKPOINT).is_file():
                (folder / BEST).unlink(missing_ok=True)  # of another training: somebody deleted its checkpoint
            RunFacts.current(started_from=beginning.note, taught_by=teacher.note).write(folder)
        unfold_on_pictures(model, beginning, recipe, data, watcher)
        state = state_of(model, recipe, folder, processes)
        training = Training(
            recipe=recipe,
            space=space,
            data=data,
            loss_of=build_loss(recipe.loss, state, data, space),
            distillation=distillation,
            processes=processes,
            workers=workers,
            watcher=watcher,
        )
        return training.run(state, folder, tracker if processes.is_first else NullTracker())


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What stays the same while a model learns."""

    recipe: Recipe
    space: LabelSpace
    data: "Data"
    loss_of: LossFunction | None
    distillation: Distillation | None
    processes: Processes
    workers: int
    watcher: Watcher

    def run(self, state: TrainingState, folder: Path, tracker: Tracker) -> TrainingState:
        recipe = self.recipe
        state.step = self.steps_before(state.epoch)  # not the checkpoint's: a recipe may have been prolonged
        tracker.start(asdict(recipe))
        with _told_how_it_ends(tracker):
            while state.epoch < recipe.epochs and not self.has_stopped(state):
                numbers = self.learn(state)
                is_last = state.epoch == recipe.epochs
                if is_last or state.epoch % recipe.evaluate_every == 0:
                    numbers |= self.measure(state, tracker)
                state.plateau.after_epoch(numbers)
                state.stopping.ran_out(numbers)
                if self.has_stopped(state) and "miou" not in numbers:
                    numbers |= self.measure(state, tracker)
                is_best = state.best.improved(state.epoch, numbers)
                state.numbers = numbers
                if self.processes.is_first:
                    if is_best:
                        state.save_average(folder / BEST)  # before the checkpoint: who goes on from there has it
                    state.save(folder / CHECKPOINT)
                tracker.log(state.epoch, numbers)  # a kill before this line: `log_last_epoch`
                self.watcher.epoch_ends(state.epoch, numbers)
        self.processes.agreed(True)  # nobody leaves before the last checkpoint is written
        return state

    def learn(self, state: TrainingState) -> dict[str, float]:
        """One epoch: `train_loss`, `lr`, `train_time_sec`, `imgs_per_sec`."""
        began = time.monotonic()
        recipe, epoch, processes = self.recipe, state.epoch, self.processes
        stage = recipe.stage_of(epoch)
        pictures = self.data.stages[recipe.stage_number(epoch)]
        part = (processes.rank, processes.count)
        loader = batches(pictures, recipe, epoch, workers=self.workers, part=part)
        torch.manual_seed(recipe.seed * 1_000_003 + epoch + 7_919 * processes.rank)  # dropout
        set_training(state.model, freeze_encoder=stage.freeze_encoder)
        half, teaching = HALF.get(recipe.precision), self.distillation
        objective = processes.sharing(Objective(state.model, self.loss_of, teaching=teaching, half=half))
        steps = math.ceil(len(loader) / recipe.accumulate)
        self.watcher.epoch_begins(epoch + 1, of=recipe.epochs, steps=steps)
        total = self.steps_before(recipe.epochs)
        numbers = train_epoch(state, objective, loader, recipe, total_steps=total, on_step=self.watcher.step)
        numbers["train_loss"] = processes.averaged(numbers["train_loss"])
        seconds = time.monotonic() - began
        even = len(pictures) // processes.count * processes.count
        seen = min(even, len(loader) * stage.batch_size)  # without an incomplete last batch
        return numbers | {"train_time_sec": seconds, "imgs_per_sec": seen / seconds}

    def measure(self, state: TrainingState, tracker: Tracker) -> dict[str, float]:
        """Scores of the averaged weights. The first process measures, all learn the result."""
        measured = Validation({}, [])
        if self.processes.is_first:
            self.watcher.validation_begins(len(self.data.validation))
            measured = validate(
                _averaged(state),
                self.data.validation,
                loss_of=self.loss_of,
                space=self.space,
                preprocessing=Preprocessing(long_side=self.recipe.long_side),
                on_picture=self.watcher.picture,
            )
        for name, image in zip(self.data.validation_set.names(), measured.thumbnails, strict=False):
            tracker.picture(state.epoch, Path(name).stem, image)
        return self.processes.agreed(measured.numbers)

    def has_stopped(self, state: TrainingState) -> bool:
        return self.recipe.early_stopping.patience > 0 and state.stopping.is_over

    def steps_before(self, epoch: int) -> int:
        return steps_before(epoch, self.recipe, [len(pictures) for pictures in self.data.stages])


@contextmanager
def _told_how_it_ends(tracker: Tracker) -> Iterator[None]:
    """A training that diverged or was interrupted runs no longer, and whoever looks at it must not think so."""
    try:
        yield
    except BaseException as error:
        tracker.finish("failed" if isinstance(error, Exception) else "stopped")
        raise
    tracker.finish()


@dataclass(frozen=True, slots=True)
class Data:
    choices: tuple[DataChoice, ...]
    sets: tuple[PairDataset, ...]  # of each choice
    stages: tuple[InChannels, ...]  # of each stage
    validation_set: PairDataset
    validation: InSpace

    def record(self, earlier: Sequence[Learnt]) -> DataRecord:
        """What the run learns from. earlier: what the weights that it begins with and its teacher have learnt from."""
        own = [
            Learnt.of(pictures, dataset=choice.dataset, split=choice.split)
            for choice, pictures in zip(self.choices, self.sets, strict=True)
        ]
        return DataRecord(
            train=[name for pictures in self.sets for name in pictures.names()],
            validation=self.validation_set.names(),
            learnt=(*own, *dict.fromkeys(earlier)),
            spaces=tuple(what_ids_mean(pictures.space) for pictures in (*self.sets, self.validation_set)),
        )


def with_what_was_learnt(record: DataRecord, folder: Path) -> DataRecord:
    """A run that goes on keeps the marks of pictures that its data sets held before and hold no longer."""
    if not (folder / CHECKPOINT).is_file() or not (folder / DATA).is_file():
        return record
    before = DataRecord.read(folder)
    if [*before.validation] != [*record.validation]:
        text = "the validation pictures of %s have changed: scores of before, the best one too, are of other pictures"
        logger.warning(text, folder)
    if before.spaces and before.spaces != record.spaces:
        text = "the label spaces of the data sets of %s have changed: what it learnt before were other classes"
        logger.warning(text, folder)
    whole = record.going_on(before)
    if whole != record:
        text = "the data sets of %s have changed: pictures that it learnt from before lie there no longer"
        logger.warning(text, folder)
    return whole


def warn_of_mirrored_classes(recipe: Recipe, space: LabelSpace) -> None:
    sides = sided_classes(space) if recipe.augmentation.flip else []
    if sides:
        text = "pictures are mirrored, and %s of %s are taught as one another: set augmentation.flip = 0"
        logger.warning(text, ", ".join(f"{one} and {other}" for one, other in sides), space.name)


def warn_of_learnt_validation(record: DataRecord, validation: PairDataset) -> None:
    learnt = record.learnt_among(validation)
    if learnt:
        text = (
            "validation pictures that are learnt from too: %d of %d, whose scores say nothing about others "
            "(validation.split or validation.dataset says which shall be measured on)"
        )
        logger.warning(text, learnt, len(validation))
    if validation.about.warning:
        logger.warning("validation: %s", validation.about.warning)


def prepare_data(recipe: Recipe, roots: Mapping[str, Path], space: LabelSpace) -> Data:
    """One data set may be named several times, as with two splits: each is learnt from."""
    sets = tuple(open_dataset(choice, roots, seed=recipe.seed) for choice in recipe.data)
    named = [(choice.dataset, pictures) for choice, pictures in zip(recipe.data, sets, strict=True)]
    stages = [
        InChannels([pictures for name, pictures in named if not stage.data or name in stage.data], space)
        for stage in recipe.stages
    ]
    validation = open_dataset(recipe.validation, roots, seed=recipe.seed, where="validation.dataset")
    return Data(recipe.data, sets, tuple(stages), validation, InSpace(validation, space))


def check_data(recipe: Recipe, data: Data, watcher: Watcher) -> None:
    """Look at every file before the first epoch. Raises DatasetError."""
    sets, space = [*data.sets, data.validation_set], find_label_space(recipe.label_space)
    watcher.checking_begins(count_pictures(sets))
    told = check_pictures(sets, unknown_ids=recipe.unknown_ids, learnt_in=space, on_picture=watcher.picture)
    for said in (*told, *measured_without(data.validation_set, data.sets, space)):
        logger.warning("%s", said)


def check_batches(recipe: Recipe, data: Data, processes: Processes) -> None:
    """Raises RecipeError for a stage with fewer pictures than one batch needs; tells of one smaller than was wished."""
    least = LEAST_BATCH * processes.count
    for number, (stage, pictures) in enumerate(zip(recipe.stages, data.stages, strict=True)):
        if len(pictures) < least:
            where = f"stages[{number}].data" if stage.data else "data"
            count = f"{len(pictures)} picture" + ("s" if len(pictures) != 1 else "")
            each = f", {LEAST_BATCH} for each of {processes.count} processes" if processes.count > 1 else ""
            why = f"a batch needs {least} or more (batch norm){each}"
            raise RecipeError(f"{where}: stages[{number}] learns from {count}; {why}", where=where)
        if processes.is_first and len(pictures) < stage.batch_size:
            text = "stages[%d].batch_size: got %d, more than the pictures (%d): no step takes more than these"
            logger.warning(text, number, stage.batch_size, len(pictures))


def begin(recipe: Recipe, folder: Path, places: Places) -> tuple[nn.Module, Beginning]:
    """The model with the weights that the run begins with; of one that goes on, without its checkpoint's.

    Raises RecipeError.
    """
    torch.manual_seed(recipe.seed)
    space = find_label_space(recipe.label_space)
    if (folder / CHECKPOINT).is_file():
        return build_empty_model(recipe.model, space), _noted_beginning(folder)
    model = build_model(recipe.model, space)
    return model, begin_with(model, recipe, runs=places.runs_beside(folder), models=places.models)


def unfold_on_pictures(model: nn.Module, beginning: Beginning, recipe: Recipe, data: Data, watcher: Watcher) -> None:
    """Batch norms that an export folded learn anew how large their input is: on pictures that were looked at before."""
    if not beginning.folded:
        return
    first = batches(data.stages[0], recipe, epoch=0)
    watcher.unfolding_begins(min(UNFOLDED_ON, len(first)))

    def images() -> Iterator[torch.Tensor]:
        for each, _ in islice(first, UNFOLDED_ON):
            yield each
            watcher.picture()

    unfold(model, beginning.folded, images())


def state_of(model: nn.Module, recipe: Recipe, folder: Path, processes: Processes) -> TrainingState:
    """Where the run stands: before its first epoch, or after the last one of its checkpoint."""
    model = processes.normalising_together(model)
    model.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    stopping = recipe.early_stopping
    state = TrainingState(
        model,
        build_optimiser(model, recipe.optimiser),
        AveragedWeights(model, recipe.ema_decay),
        Plateau(recipe.schedule),
        Patience(metric=stopping.metric, patience=stopping.patience, least=stopping.least),
        Best(metric=stopping.best_metric),
        torch.amp.GradScaler(processes.device.type, enabled=recipe.precision == "fp16"),
    )
    if (folder / CHECKPOINT).is_file():
        state.load(folder / CHECKPOINT)
        if state.best.value is None:
            state.best = _best_kept(folder, state.best.metric)
    return state


def _best_kept(folder: Path, metric: str) -> Best:
    """Of a run whose best weights were chosen for another metric: what they measure in this one, as its log has it, so
    that nothing worse takes their place."""
    content = read_numbers(folder / BEST) if (folder / BEST).is_file() else {}
    epoch, chosen_for = content.get("epoch"), content.get("best", {}).get("metric", metric)
    if chosen_for == metric:
        return Best(metric=metric)
    text = "the best weights of %s were chosen for their %s; from now on the best in %s takes their place"
    logger.warning(text, folder, chosen_for, metric)
    values = (each.get(metric, math.nan) for each in read_history(folder / LOG) if each["epoch"] == epoch)
    value = next((each for each in values if math.isfinite(each)), None)
    return Best(metric=metric, value=value, epoch=0 if value is None else int(content["epoch"]))


def _noted_beginning(folder: Path) -> Beginning:
    note = RunFacts.read(folder).started_from if (folder / FACTS).is_file() else ""
    return Beginning(note, noted_earlier(folder, note))


def build_loss(choice: LossChoice, state: TrainingState, data: Data, space: LabelSpace) -> LossFunction | None:
    """None: the model's own. Raises RecipeError when it has none."""
    if choice.name == "own":
        if not isinstance(state.model, HasOwnLoss):
            raise RecipeError("loss.name: got 'own'; this architecture has no loss of its own", where="loss.name")
        return None
    weights = None
    if choice.class_weight_power > 0 and choice.name != "dice":
        counts = InChannels(data.sets, space).pixel_counts[: len(space.class_ids)]
        power, highest = choice.class_weight_power, choice.class_weight_highest
        weights = torch.from_numpy(median_frequency_weights(counts, power=power, highest=highest))
    return SegmentationLoss(
        ignore_id=NO_CHANNEL,
        name="cross_entropy" if choice.name == "cross_entropy_dice" else choice.name,
        class_weights=weights,
        dice_share=choice.dice_share,
        focal_gamma=choice.focal_gamma,
    )


def _averaged(state: TrainingState) -> nn.Module:
    """A second model beside the one that learns."""
    model = copy.deepcopy(state.model)
    model.load_state_dict(state.average.values)
    return model
