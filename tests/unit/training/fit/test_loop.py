"""The parts of a training: batches that repeat, steps, averaged weights."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from training.datasets.augmentation import Augmentation
from training.datasets.pairs import NO_CHANNEL
from training.fit.loop import (
    AveragedWeights,
    TrainingDiverged,
    TrainingState,
    batches,
    steps_before,
    train_epoch,
    train_step,
)
from training.fit.losses import SegmentationLoss
from training.fit.objective import Objective
from training.fit.optimisation import Best, Patience, Plateau, build_optimiser
from training.recipe.recipe import DataChoice, ModelChoice, OptimiserChoice, Recipe, ScheduleChoice, Stage

RECIPE = Recipe(
    name="loop",
    model=ModelChoice(architecture="deeplabv3plus"),
    data=(DataChoice(dataset="scenes"),),
    validation=DataChoice(dataset="scenes", split="val"),
    stages=(
        Stage(epochs=2, batch_size=2, crop=(32, 64), scale=(0.5, 1.0)),
        Stage(epochs=1, batch_size=4, crop=(64, 64), scale=(0.5, 1.0)),
    ),
)


class Noise:
    """Five pictures of random pixels."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        return rng.integers(0, 256, (40, 80, 3), dtype=np.uint8), rng.integers(0, 3, (40, 80), dtype=np.uint8)


def test_an_epoch_repeats_and_the_next_differs():
    first, again, later = (list(batches(Noise(), RECIPE, epoch)) for epoch in (0, 0, 1))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0][0], later[0][0])


def test_processes_have_equal_shares_of_fewer_pictures_than_a_batch():
    recipe = replace(RECIPE, stages=(replace(RECIPE.stages[0], batch_size=8),))
    shares = [[len(truth) for _, truth in batches(Noise(), recipe, 0, part=(rank, 2))] for rank in (0, 1)]
    assert shares == [[2], [2]]
    assert [len(truth) for _, truth in batches(Noise(), recipe, 0)] == [5]


def test_batches_have_the_size_of_their_stage():
    images, truth = next(iter(batches(Noise(), RECIPE, 0)))
    assert (images.shape, truth.shape) == ((2, 3, 32, 64), (2, 32, 64))
    images, truth = next(iter(batches(Noise(), RECIPE, 2)))
    assert (images.shape, truth.shape) == ((4, 3, 64, 64), (4, 64, 64))


def test_steps_are_counted_over_stages():
    assert [steps_before(epoch, RECIPE, [5, 9]) for epoch in range(4)] == [0, 2, 4, 6]


def test_steps_are_fewer_where_batches_are_gathered():
    assert [steps_before(epoch, replace(RECIPE, accumulate=2), [5, 9]) for epoch in range(4)] == [0, 1, 2, 3]


def test_processes_share_out_each_batch():
    whole, first, second = (list(batches(Noise(), RECIPE, 2, part=part)) for part in ((0, 1), (0, 2), (1, 2)))
    for all_of_it, *parts in zip(whole, first, second, strict=True):
        assert torch.equal(all_of_it[0][0::2], parts[0][0])
        assert torch.equal(all_of_it[1][1::2], parts[1][1])


def test_small_things_of_other_pictures_are_pasted_where_a_recipe_says_so():
    class Things(Noise):
        def __getitem__(self, index):
            mask = np.zeros((40, 80), dtype=np.uint8)
            mask[:2, :8] = index + 1
            return np.zeros((40, 80, 3), dtype=np.uint8), mask

    pasting = replace(RECIPE, augmentation=Augmentation(paste=1.0, aspect=0), seed=3)
    whole = replace(pasting, stages=(Stage(epochs=1, batch_size=2, crop=(64, 96), scale=(1.0, 1.0)),))
    seen = {int(value) for _, truth in batches(Things(), whole, 0) for each in truth for value in [len(each.unique())]}
    assert max(seen) == 4  # nothing, two things, and what lies outside


class Scale(nn.Module):
    """images (B,3,H,W) → logits (B,2,H,W), by one number."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return images[:, :2] * self.factor


def some_batch(seed, *, count=2):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, 4, 4, generator=generator)
    return images, torch.randint(0, 2, (count, 4, 4), generator=generator)


def test_gathered_batches_step_like_one_large_batch():
    parts = [some_batch(seed) for seed in (1, 2)]
    joint = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    factors = []
    for group in (parts, [joint]):
        model = Scale()
        objective = Objective(model, SegmentationLoss(ignore_id=NO_CHANNEL))
        loss = train_step(objective, torch.optim.SGD(model.parameters(), lr=0.5), group)
        factors.append((loss, model.factor.item()))
    assert factors[0] == pytest.approx(factors[1])


def test_bf16_computes_the_forward_pass_in_half_the_bits_and_learns_in_full():
    model, seen = nn.Conv2d(3, 2, 1), []

    def loss_of(logits, truth):
        seen.append(logits.dtype)
        return logits.float().mean()

    Objective(model, loss_of, half=torch.bfloat16)(*some_batch(1)).backward()
    assert seen == [torch.bfloat16]
    assert model.weight.grad is not None
    assert model.weight.dtype == model.weight.grad.dtype == torch.float32


def test_fp16_learns_from_gradients_that_are_too_small_for_it():
    learnt = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=2.0**16)):
        model = nn.Conv2d(3, 2, 1, bias=False)
        nn.init.zeros_(model.weight)
        objective = Objective(model, lambda logits, truth: logits.float().mean() * 1e-7, half=torch.float16)
        train_step(objective, torch.optim.SGD(model.parameters(), lr=1.0), [some_batch(1)], scaler)
        learnt.append(float(model.weight.detach().abs().max()))
    assert learnt[0] == 0 < learnt[1]


def test_a_step_that_overflows_is_left_out_and_the_next_is_scaled_by_less():
    model, scaler = Scale(), torch.amp.GradScaler("cpu", init_scale=2.0**127)
    objective = Objective(model, lambda logits, truth: logits.sum() * 1e6)
    train_step(objective, torch.optim.SGD(model.parameters(), lr=1.0), [some_batch(1)], scaler)
    assert (model.factor.item(), scaler.get_scale()) == (1.0, 2.0**126)


def test_a_checkpoint_keeps_by_how_much_the_loss_is_scaled(tmp_path):
    first, again, other = (begin_state(Scale()) for _ in range(3))
    first.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    again.scaler = torch.amp.GradScaler("cpu")
    first.scaler.scale(torch.ones(1))
    first.save(tmp_path / "checkpoint.pt")
    again.load(tmp_path / "checkpoint.pt")
    other.load(tmp_path / "checkpoint.pt")  # in float32 from now on
    assert (again.scaler.state_dict()["scale"], other.scaler.state_dict()) == (8.0, {})
    other.save(tmp_path / "checkpoint.pt")
    again.load(tmp_path / "checkpoint.pt")  # in fp16 from now on


def test_a_model_with_its_own_loss_is_trained_by_it():
    class Own(Scale):
        def own_loss(self, images, truth):
            return self(images).square().mean()

    model, (images, truth) = Own(), some_batch(1)
    assert Objective(model, None)(images, truth).item() == pytest.approx(images[:, :2].square().mean().item())


def test_a_loss_that_is_no_number_ends_the_training_before_it_is_kept():
    model = Scale()
    objective = Objective(model, lambda logits, truth: logits.sum() * math.nan)
    with pytest.raises(TrainingDiverged, match=r"the loss is nan in epoch 1: lower optimiser.learning_rate"):
        train_epoch(begin_state(model), objective, [some_batch(1)], RECIPE, total_steps=1)


def test_weights_that_overflow_in_the_last_step_end_the_training_before_they_are_kept():
    model = Scale()
    state = begin_state(model)
    state.optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    recipe = replace(RECIPE, optimiser=OptimiserChoice(learning_rate=3e38), schedule=ScheduleChoice(name="constant"))
    objective = Objective(model, lambda logits, truth: -100 * logits.sum())
    with pytest.raises(TrainingDiverged, match=r"weights overflow in epoch 1: lower optimiser.learning_rate"):
        train_epoch(state, objective, [some_batch(1)], recipe, total_steps=1)


def begin_state(model):
    optimiser = build_optimiser(model, OptimiserChoice())
    plateau, stopping = Plateau(ScheduleChoice()), Patience(metric="miou", patience=1)
    return TrainingState(model, optimiser, AveragedWeights(model, 0.9), plateau, stopping, Best(metric="miou"))


def test_a_stage_scales_the_rate():
    slow = replace(RECIPE, stages=(replace(RECIPE.stages[0], learning_rate_factor=0.1),))
    schedule = ScheduleChoice(name="constant", warm_up=0)
    rates = []
    for recipe in (replace(RECIPE, schedule=schedule), replace(slow, schedule=schedule)):
        model = Scale()
        objective = Objective(model, SegmentationLoss(ignore_id=NO_CHANNEL))
        rates.append(train_epoch(begin_state(model), objective, [some_batch(1)], recipe, total_steps=1)["lr"])
    assert rates == pytest.approx([1e-3, 1e-4])


def test_the_average_follows_the_weights_and_copies_counters():
    model = nn.BatchNorm1d(1)
    average = AveragedWeights(model, decay=0.75)
    with torch.no_grad():
        model.weight.fill_(5.0)
    model.num_batches_tracked = torch.tensor(7)
    average.update(model, step=1000)
    assert average.values["weight"].item() == pytest.approx(0.75 * 1 + 0.25 * 5)
    assert average.values["num_batches_tracked"].item() == 7
