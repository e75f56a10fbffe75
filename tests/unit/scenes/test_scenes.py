"""The scene renderer: the same seed gives the same scene, and the labels say what the picture shows."""

import numpy as np
import pytest

from scenes import KINDS, MOODS, Scene, render_scene
from scenes.ids import (
    BUILDING,
    CAR,
    PERSON,
    POLE,
    ROAD,
    SIDEWALK,
    SKY,
    TERRAIN,
    TRAFFIC_LIGHT,
    TRAFFIC_SIGN,
    USED_IDS,
    VEGETATION,
)

SEEDS = range(10)


def small(seed: int, mood: str | None = None, street: str | None = None) -> Scene:
    return render_scene(seed, width=240, height=180, mood=mood, street=street)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [small(seed) for seed in SEEDS]


def test_the_same_seed_gives_the_same_scene(scenes):
    again = small(3)
    assert np.array_equal(again.picture, scenes[3].picture)
    assert np.array_equal(again.label_ids, scenes[3].label_ids)


def test_different_seeds_give_different_scenes(scenes):
    assert len({scene.picture.tobytes() for scene in scenes}) == len(scenes)


@pytest.mark.parametrize(("width", "height"), [(480, 360), (1024, 512), (101, 67), (64, 256)])
def test_picture_and_labels_have_the_size_asked_for(width, height):
    scene = render_scene(7, width=width, height=height)
    assert scene.picture.shape == (height, width, 3)
    assert scene.picture.dtype == np.uint8
    assert scene.label_ids.shape == (height, width)
    assert scene.label_ids.dtype == np.uint8


def test_every_label_is_a_cityscapes_id_that_the_renderer_knows(scenes):
    for scene in scenes:
        assert set(np.unique(scene.label_ids).tolist()) <= USED_IDS


@pytest.mark.parametrize("label", [ROAD, SIDEWALK, BUILDING, VEGETATION, SKY, CAR, POLE])
def test_what_every_street_has_is_in_most_scenes(scenes, label):
    assert sum((scene.label_ids == label).any() for scene in scenes) >= 0.7 * len(scenes)


@pytest.mark.parametrize("label", [PERSON, TERRAIN, TRAFFIC_SIGN, TRAFFIC_LIGHT])
def test_what_some_streets_have_is_in_some_scenes(scenes, label):
    assert any((scene.label_ids == label).any() for scene in scenes)


def test_the_road_lies_below_the_sky(scenes):
    for scene in scenes:
        road, sky = (np.nonzero(scene.label_ids == label)[0] for label in (ROAD, SKY))
        assert road.mean() > (sky.mean() if sky.size else 0)


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize("street", KINDS)
def test_every_street_can_be_drawn_in_every_mood(street, mood):
    scene = small(2, mood, street)
    assert scene.description == f"{street}, {mood}"
    assert scene.picture.std() > 10


def test_dusk_is_darker_than_day():
    day, dusk = (small(4, mood).picture.mean() for mood in ("day", "dusk"))
    assert dusk < day
