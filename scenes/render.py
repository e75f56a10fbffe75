"""One scene from one seed: choose, paint the ground and the sky, draw from far to near, develop."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scenes.drawing.camera import Camera
from scenes.drawing.canvas import Canvas
from scenes.drawing.stage import Shadow, Stage
from scenes.houses import buildings
from scenes.ids import SKY
from scenes.mood import Mood, choose_mood
from scenes.population import Population, populate
from scenes.roadside import fences, furniture, vegetation
from scenes.roadside.vegetation import Plant, grow_plants
from scenes.street import Street, choose_street
from scenes.surroundings.backdrop import draw_bonnet, draw_horizon
from scenes.surroundings.ground import look_at_ground, paint_ground
from scenes.surroundings.lens import develop
from scenes.surroundings.shadows import shade_ground
from scenes.surroundings.sky import paint_sky
from scenes.surroundings.weather import add_streaks, mirror_street
from scenes.traffic import cyclists, people, vehicles
from scenes.traffic.boxes import draw_bus, draw_truck
from scenes.traffic.cars import draw_car

DRAW_LARGE = {"bus": draw_bus, "truck": draw_truck}
BONNET_SHARE = 0.1  # of the pictures show the camera's own car


@dataclass(frozen=True, slots=True)
class Scene:
    """picture (H, W, 3) and label_ids (H, W), both uint8; the ids are Cityscapes label ids."""

    picture: NDArray[np.uint8]
    label_ids: NDArray[np.uint8]
    seed: int
    description: str


def render_scene(
    seed: int, *, width: int = 1024, height: int = 512, mood: str | None = None, street: str | None = None
) -> Scene:
    """The same arguments give the same scene. mood (see MOODS) and street (see KINDS) follow from the seed if None."""
    plan_rng, camera_rng, crowd_rng, plant_rng, light_rng, paint_rng, far_rng, lens_rng = np.random.Generator(
        np.random.PCG64(seed)
    ).spawn(8)
    light = choose_mood(light_rng, mood)
    plan = choose_street(plan_rng, street)
    camera = _choose_camera(camera_rng, plan, width, height)
    crowd = populate(crowd_rng, plan, camera.x)
    plants = grow_plants(plant_rng, light, {tree.plant for tree in crowd.trees})
    stage = Stage(camera, light, plan, _paint_backdrop(camera, plan, light, _shadows(crowd, plan, plants), paint_rng))
    draw_horizon(stage, far_rng)
    _draw_all(stage, crowd, plants)
    if far_rng.random() < BONNET_SHARE:
        draw_bonnet(stage, far_rng)
    picture, labels = stage.canvas.finished()
    developed = _weather_and_lens(picture, labels, light, lens_rng)
    return Scene(developed, labels, seed, f"{plan.kind}, {light.name}")


def _choose_camera(rng: np.random.Generator, street: Street, width: int, height: int) -> Camera:
    own = [lane for lane in street.lanes if lane.away] or list(street.lanes)
    lane = own[rng.integers(len(own))]
    return Camera(
        width=width,
        height=height,
        focal=float(np.sqrt(width * height) * rng.uniform(0.8, 1.15)),
        x=lane.offset + rng.normal(0, 0.25),
        y=float(rng.uniform(1.15, 1.75)),
        pitch=float(rng.normal(0.0, 0.03)),
        yaw=float(rng.normal(0, 0.05)),
        roll=float(rng.normal(0, 0.008)),
    )


def _paint_backdrop(
    camera: Camera, street: Street, mood: Mood, shadows: list[Shadow], rng: np.random.Generator
) -> Canvas:
    picture = paint_sky(camera, mood, rng)
    labels = np.full(picture.shape[:2], SKY, np.uint8)
    ground = look_at_ground(camera, street)
    colours, ids = paint_ground(ground, street, mood, rng)
    shaded = shade_ground(colours, ground, shadows, camera, mood)
    picture[ground.seen] = np.clip(shaded, 0, 255).astype(np.uint8)
    labels[ground.seen] = ids
    return Canvas(picture, labels)


def _shadows(crowd: Population, street: Street, plants: Mapping[int, Plant]) -> list[Shadow]:
    shadows = [buildings.shadow_of(building, street) for building in crowd.buildings]
    shadows += [fences.shadow_of(border, street) for border in crowd.borders]
    shadows += [vehicles.shadow_of(vehicle) for vehicle in crowd.vehicles]
    shadows += [people.shadow_of(figure) for figure in crowd.figures]
    shadows += [cyclists.shadow_of(cycle) for cycle in crowd.cycles]
    shadows += [furniture.shadow_of(post) for post in crowd.posts]
    return shadows + [shadow for tree in crowd.trees for shadow in vegetation.shadow_of(tree, plants)]


def _draw_all(stage: Stage, crowd: Population, plants: Mapping[int, Plant]) -> None:
    for _, draw in sorted(_drawings(stage, crowd, plants), key=lambda drawing: -drawing[0]):
        draw()


def _drawings(
    stage: Stage, crowd: Population, plants: Mapping[int, Plant]
) -> Iterator[tuple[float, Callable[[], None]]]:
    """Everything that stands on the ground: its rank (the highest is painted first) and how to draw it.

    Distance alone would paint a bin behind a parked car over it, since cars are long; what stands farther to the side
    is behind what stands nearer to the middle of the street.
    """

    def rank(x: float, z: float) -> float:
        return z + 2 * abs(x - stage.camera.x)

    street = stage.street
    for house in crowd.buildings:
        yield rank(*house.middle(street)), partial(buildings.draw_building, stage, house)
    for border in crowd.borders:
        yield rank(*border.middle(street)), partial(fences.draw_border, stage, border)
    for (x, z), reach, draw in _things(stage, crowd, plants):
        if stage.camera.sees(x, z, reach):
            yield rank(x, z), draw


def _things(
    stage: Stage, crowd: Population, plants: Mapping[int, Plant]
) -> Iterator[tuple[tuple[float, float], float, Callable[[], None]]]:
    """What stands in one place: X and Z, how far it reaches around that place in metres, and how to draw it."""
    for tree in crowd.trees:
        yield (tree.place[0], tree.place[2]), tree.height, partial(vegetation.draw_tree, stage, tree, plants)
    for post in crowd.posts:
        yield (post.place[0], post.place[2]), 4.5, partial(furniture.draw_post, stage, post)
    for vehicle in crowd.vehicles:
        draw = DRAW_LARGE.get(vehicle.kind, draw_car)
        yield (vehicle.x, vehicle.z), vehicle.length * 0.6, partial(draw, stage, vehicle)
    for figure in crowd.figures:
        yield (figure.place[0], figure.place[2]), 1.0, partial(people.draw_figure, stage, figure)
    for cycle in crowd.cycles:
        yield (cycle.place[0], cycle.place[2]), 1.5, partial(cyclists.draw_cycle, stage, cycle)


def _weather_and_lens(
    picture: NDArray[np.uint8], labels: NDArray[np.uint8], mood: Mood, rng: np.random.Generator
) -> NDArray[np.uint8]:
    if mood.wet > 0.2:
        picture = mirror_street(picture, labels, mood, rng)
    if mood.name == "rain":
        picture = add_streaks(picture, rng)
    return develop(picture, mood, rng)


def as_images(scene: Scene) -> tuple[Image.Image, Image.Image]:
    """The picture and the label map (mode L) for saving."""
    return Image.fromarray(scene.picture), Image.fromarray(scene.label_ids)
