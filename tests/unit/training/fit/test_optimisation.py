"""Optimisers and schedules: what decays, how the rate rises and falls, and how long a metric is waited for."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from training.fit.optimisation import Best, Patience, Plateau, build_optimiser, learning_rate_share
from training.recipe.recipe import OptimiserChoice, ScheduleChoice


@pytest.mark.parametrize("name", ["trapezoid", "one_cycle", "polynomial", "exponential", "plateau", "constant"])
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


def test_an_exponential_schedule_falls_by_gamma_after_each_epoch():
    schedule = ScheduleChoice(name="exponential", warm_up=0, gamma=0.5)
    assert [learning_rate_share(9, 10, schedule, epoch=epoch) for epoch in range(3)] == [1, 0.5, 0.25]


@pytest.mark.parametrize("patience", [0, 2])
@pytest.mark.parametrize(("metric", "mode"), [("val_loss", "min"), ("miou", "max")])
def test_a_plateau_lowers_the_rate_when_torch_does(patience, metric, mode):
    values = np.random.default_rng(3).random(30).round(1)
    schedule = ScheduleChoice(name="plateau", factor=0.5, patience=patience, metric=metric)
    plateau = Plateau(schedule)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, mode, factor=0.5, patience=patience, threshold=0, threshold_mode="abs", eps=0
    )
    for value in values:
        plateau.after_epoch({metric: float(value)})
        theirs.step(value)
        assert plateau.share == pytest.approx(optimiser.param_groups[0]["lr"])
    assert plateau.share < 0.1


def test_a_plateau_goes_on_from_its_state():
    schedule = ScheduleChoice(name="plateau", patience=1, metric="miou")
    one, other = Plateau(schedule), Plateau(schedule)
    for miou in (0.5, 0.4, 0.4):
        one.after_epoch({"miou": miou})
    other.load(one.state())
    for each in (one, other):
        each.after_epoch({"miou": 0.3})
    assert one.state() == other.state()
    assert one.share == 0.5


def test_patience_counts_measurements_alone_and_small_gains_as_none():
    patience = Patience(metric="miou", patience=1, least=0.01)
    assert not patience.ran_out({"miou": 0.5})
    assert not patience.ran_out({"train_loss": 1.0})
    assert not patience.ran_out({"miou": math.nan})
    assert not patience.ran_out({"miou": 0.505})
    assert patience.ran_out({"miou": 0.506})
    assert not patience.ran_out({"miou": 0.52})


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_biases_and_norms_do_not_decay(name):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    groups = build_optimiser(model, OptimiserChoice(name=name, weight_decay=0.1)).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.1), (3, 0.0)]


def test_the_options_of_optimisers_reach_torch():
    model = nn.Conv2d(3, 4, 1)
    assert build_optimiser(model, OptimiserChoice(amsgrad=True)).defaults["amsgrad"]
    momentum = build_optimiser(model, OptimiserChoice(name="sgd", momentum=0.8, nesterov=False)).defaults
    assert (momentum["momentum"], momentum["nesterov"]) == (0.8, False)
    assert not build_optimiser(model, OptimiserChoice(name="sgd", momentum=0)).defaults["nesterov"]


def test_an_encoder_that_has_learnt_already_learns_at_its_own_rate():
    model = nn.Sequential()
    model.encoder, model.head = nn.Linear(2, 2), nn.Linear(2, 2)
    groups = build_optimiser(model, OptimiserChoice(encoder_factor=0.25)).param_groups
    factors = {id(parameter): group["factor"] for group in groups for parameter in group["params"]}
    assert {factors[id(p)] for p in model.encoder.parameters()} == {0.25}
    assert {factors[id(p)] for p in model.head.parameters()} == {1.0}
    assert len(build_optimiser(model, OptimiserChoice()).param_groups) == 2  # as checkpoints from before hold them


@pytest.mark.parametrize(("metric", "values", "epoch"), [("miou", [0.2, 0.5, 0.5], 2), ("val_loss", [3, 1, 2], 2)])
def test_the_best_measurement_is_the_first_of_equals_and_goes_on_from_its_state(metric, values, epoch):
    best = Best(metric=metric)
    for number, value in enumerate([math.nan, *values]):
        again = Best(metric=metric)
        again.load(best.state())
        best = again
        assert best.improved(number, {metric: value}) is (number in (1, epoch))
    assert not best.improved(9, {"another": 1.0})
    assert (best.value, best.epoch) == (values[epoch - 1], epoch)
    other = Best(metric="dice")
    other.load(best.state())
    assert other.value is None
