"""The parts of a training: batches that repeat, a schedule, averaged weights."""

import numpy as np
import pytest
import torch
from torch import nn

from training.loop import AveragedWeights, batches, steps_before
from training.optimisation import build_optimiser, learning_rate_share
from training.recipe import DataChoice, ModelChoice, OptimiserChoice, Recipe, ScheduleChoice, Stage

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


def test_batches_have_the_size_of_their_stage():
    images, truth = next(iter(batches(Noise(), RECIPE, 0)))
    assert (images.shape, truth.shape) == ((2, 3, 32, 64), (2, 32, 64))
    images, truth = next(iter(batches(Noise(), RECIPE, 2)))
    assert (images.shape, truth.shape) == ((4, 3, 64, 64), (4, 64, 64))


def test_steps_are_counted_over_stages():
    assert [steps_before(epoch, RECIPE, [5, 9]) for epoch in range(4)] == [0, 2, 4, 6]


@pytest.mark.parametrize("name", ["trapezoid", "one_cycle", "polynomial", "constant"])
def test_the_rate_warms_up_and_never_ends(name):
    schedule = ScheduleChoice(name=name, warm_up=0.1)
    shares = [learning_rate_share(step, 100, schedule) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) <= 1
    assert min(shares) > 0
    assert shares[:10] == sorted(shares[:10])


def test_a_trapezoid_is_flat_and_then_falls():
    schedule = ScheduleChoice(name="trapezoid", warm_up=0.1, cool_down=0.5)
    shares = [learning_rate_share(step, 100, schedule) for step in (20, 50, 75, 99)]
    assert shares == pytest.approx([1, 1, 0.5, 0.02])


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_biases_and_norms_do_not_decay(name):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    groups = build_optimiser(model, OptimiserChoice(name=name, weight_decay=0.1)).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.1), (3, 0.0)]


def test_the_average_follows_the_weights_and_copies_counters():
    model = nn.BatchNorm1d(1)
    average = AveragedWeights(model, decay=0.75)
    with torch.no_grad():
        model.weight.fill_(5.0)
    model.num_batches_tracked = torch.tensor(7)
    average.update(model, step=1000)
    assert average.values["weight"].item() == pytest.approx(0.75 * 1 + 0.25 * 5)
    assert average.values["num_batches_tracked"].item() == 7
