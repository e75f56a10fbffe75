"""What stands and moves in a street, and where: chosen here, drawn elsewhere."""

from dataclasses import dataclass, replace

import numpy as np

from scenes.houses.buildings import Building, choose_row
from scenes.roadside.fences import Border, choose_border
from scenes.roadside.furniture import Post, choose_post
from scenes.roadside.vegetation import BUSH, GARDEN, STREET, Tree
from scenes.street import Street, Verge
from scenes.traffic.car_bodies import BODIES
from scenes.traffic.cyclists import Cycle, choose_cycle
from scenes.traffic.people import Figure, choose_figure
from scenes.traffic.vehicles import PAINTS, Vehicle

SIDES = (-1, 1)
TREE_ROWS = {"high street": 0.25, "residential": 0.5, "avenue": 0.95, "downtown": 0.35, "park": 0.8}
GARDEN_PLANTS = {"high street": 0, "residential": 8, "avenue": 3, "downtown": 2, "park": 16}
BUS_PAINTS = ((176, 36, 34), (36, 92, 160), (226, 196, 60), (60, 130, 80), (222, 224, 224))
TRUCK_PAINTS = ((222, 224, 224), (60, 92, 140), (160, 60, 44), (196, 160, 60), (110, 118, 122))


@dataclass(frozen=True, slots=True)
class Population:
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    borders: tuple[Border, ...]
    posts: tuple[Post, ...]
    vehicles: tuple[Vehicle, ...]
    figures: tuple[Figure, ...]
    cycles: tuple[Cycle, ...]


def populate(rng: np.random.Generator, street: Street, camera_x: float) -> Population:
    sides = [street.verge(sign) for sign in SIDES]
    return Population(
        buildings=tuple(building for sign in SIDES for building in choose_row(rng, street, sign)),
        trees=tuple(tree for verge in sides for tree in _trees(rng, street, verge)),
        borders=tuple(border for verge in sides for border in _borders(rng, street, verge)),
        posts=tuple(post for verge in sides for post in _posts(rng, street, verge)),
        vehicles=tuple(
            _traffic(rng, street, camera_x)
            + _crossing_traffic(rng, street)
            + [car for verge in sides for car in _parked(rng, street, verge)]
        ),
        figures=tuple(
            [figure for verge in sides for figure in _walkers(rng, street, verge)] + _on_the_crossing(rng, street)
        ),
        cycles=tuple(_cycles(rng, street)),
    )


def _trees(rng: np.random.Generator, street: Street, verge: Verge) -> list[Tree]:
    """A row along the kerb, and whatever grows in gardens and parks."""
    trees: list[Tree] = []
    offset = street.kerb(verge.sign) + (verge.strip / 2 if verge.strip else 0.8)
    spacing, phase = rng.uniform(7, 14), rng.uniform(6, 14)
    height, model = rng.uniform(5, 9), int(rng.choice(STREET))
    for z in np.arange(phase, 150, spacing).tolist() if rng.random() < TREE_ROWS[street.kind] else ():
        if rng.random() < 0.85 and not street.in_junction(z, z, 3):
            plant = model if rng.random() < 0.85 else int(rng.choice(STREET))
            trees.append(_tree(rng, street, (verge.sign * offset, z), height * rng.uniform(0.8, 1.15), plant))
    for _ in range(int(rng.poisson(GARDEN_PLANTS[street.kind])) if verge.garden > 1.5 else 0):
        walk = street.kerb(verge.sign) + verge.strip + verge.sidewalk
        beyond, z = walk + 1 + rng.random() * max(1.0, verge.garden - 2), rng.uniform(8, 120)
        if street.in_junction(z, z, 3):
            continue
        bush = rng.random() < 0.4
        plant, height = int(rng.choice(BUSH if bush else GARDEN)), rng.uniform(0.8, 2.6) if bush else rng.uniform(4, 11)
        trees.append(_tree(rng, street, (verge.sign * beyond, z), height, plant))
    return trees


def _tree(rng: np.random.Generator, street: Street, spot: tuple[float, float], height: float, plant: int) -> Tree:
    place = street.at(spot[0] + rng.normal(0, 0.15), spot[1])
    return Tree(place=place, height=float(height), plant=plant, stretch=float(rng.uniform(0.85, 1.2)))


def _borders(rng: np.random.Generator, street: Street, verge: Verge) -> list[Border]:
    if verge.garden < 1.5:
        return []
    kinds = ("wall", "hedge", "planks", "railing")
    offset = verge.sign * (street.kerb(verge.sign) + verge.strip + verge.sidewalk + 0.15)
    borders: list[Border] = []
    z, kind = -4.0, str(rng.choice(kinds))
    while z < 130:
        length = rng.uniform(5, 12)
        if rng.random() < 0.35:
            kind = str(rng.choice(kinds))
        if rng.random() < 0.8 and not street.in_junction(z, z + length, 1.0):
            borders.append(choose_border(rng, kind, offset, (z, z + length)))
        z += length + (rng.uniform(1, 3) if rng.random() < 0.4 else 0)
    return borders


def _posts(rng: np.random.Generator, street: Street, verge: Verge) -> list[Post]:
    sign, offset = verge.sign, street.kerb(verge.sign) + 0.45
    posts = _lamps(rng, street, verge)
    kinds = ["sign"] * int(rng.integers(1, 6)) + ["bin"] * int(rng.integers(0, 3))
    places = [(kind, offset + (rng.uniform(0.1, 0.8) if kind == "bin" else 0), rng.uniform(7, 55)) for kind in kinds]
    if rng.random() < 0.2:
        rows = np.arange(rng.uniform(5, 15), rng.uniform(20, 40), 1.8).tolist()
        places += [("bollard", offset - 0.1, z) for z in rows]
    if street.junction is not None and rng.random() < 0.8:
        places += [("light", offset, z) for z in (street.junction[0] - 0.8, street.junction[1] + 0.8)]
    return posts + [
        choose_post(rng, kind, street.at(sign * away, z), -sign)
        for kind, away, z in places
        if not street.in_junction(z, z, 0.5)
    ]


def _lamps(rng: np.random.Generator, street: Street, verge: Verge) -> list[Post]:
    """A row of the same model."""
    if rng.random() < 0.25:
        return []
    offset = verge.sign * (street.kerb(verge.sign) + 0.45)
    model = choose_post(rng, "lamp", (0.0, 0.0, 0.0), -verge.sign)
    rows = np.arange(rng.uniform(6, 24), 150, rng.uniform(22, 34)).tolist()
    return [replace(model, place=street.at(offset, z)) for z in rows]


def _traffic(rng: np.random.Generator, street: Street, camera_x: float) -> list[Vehicle]:
    vehicles: list[Vehicle] = []
    busy = rng.uniform(8, 45)
    for lane in street.lanes:
        own = abs(lane.offset - camera_x) < lane.width / 2
        z = rng.uniform(9, 16) + rng.exponential(busy * (0.6 if own else 0.4))
        while z < 140:
            vehicle = _moving(rng, street, lane.offset, z, lane.away)
            if not street.in_junction(z - 3, z + 3) and (street.crossing is None or abs(z - street.crossing - 1.6) > 5):
                vehicles.append(vehicle)
            z += vehicle.length + 3 + rng.exponential(busy)
    return vehicles


def _moving(rng: np.random.Generator, street: Street, offset: float, z: float, away: bool) -> Vehicle:
    heading = street.heading(z) + (0.0 if away else np.pi) + rng.normal(0, 0.015)
    x = street.at(offset + rng.normal(0, 0.12), z)[0]
    draw = rng.random()
    if draw < 0.09 and z > 14:
        return _large(rng, "bus", (x, z), heading)
    if draw < 0.17 and z > 14:
        return _large(rng, "truck", (x, z), heading)
    return _car(rng, (x, z), heading, braking=bool(rng.random() < 0.3))


def _car(rng: np.random.Generator, spot: tuple[float, float], heading: float, *, braking: bool) -> Vehicle:
    kind = str(rng.choice(list(BODIES), p=(0.36, 0.22, 0.14, 0.18, 0.1)))
    paint = PAINTS[rng.integers(len(PAINTS))]
    body = BODIES[kind]
    return Vehicle(
        kind=kind, x=spot[0], z=spot[1], heading=float(heading), paint=paint,
        length=body.length, width=body.width, height=body.height, braking=braking,
    )  # fmt: skip


def _large(rng: np.random.Generator, kind: str, spot: tuple[float, float], heading: float) -> Vehicle:
    paints = BUS_PAINTS if kind == "bus" else TRUCK_PAINTS
    length, height = rng.uniform(6, 8.5), rng.uniform(2.9, 3.7)
    if kind == "bus":
        length, height = rng.uniform(9.5, 12), float(rng.choice([3.0, 3.1, 4.2]))
    return Vehicle(
        kind=kind,
        x=spot[0],
        z=spot[1] + length / 2,
        heading=float(heading),
        paint=paints[rng.integers(len(paints))],
        length=float(length),
        width=2.5 if kind == "bus" else 2.35,
        height=float(height),
        braking=bool(rng.random() < 0.3),
    )


def _crossing_traffic(rng: np.random.Generator, street: Street) -> list[Vehicle]:
    """Cars on the crossing street, seen from the side."""
    if street.junction is None or rng.random() < 0.4:
        return []
    near, far = street.junction
    vehicles: list[Vehicle] = []
    for share, heading in ((0.3, np.pi / 2), (0.7, -np.pi / 2)):
        z = near + (far - near) * share
        x = street.centre(z) + rng.uniform(-40, 10)
        while x < 40:
            if rng.random() < 0.5:
                vehicles.append(_car(rng, (x, z), heading + rng.normal(0, 0.03), braking=False))
            x += rng.uniform(7, 20)
    return vehicles


def _parked(rng: np.random.Generator, street: Street, verge: Verge) -> list[Vehicle]:
    if not verge.parking:
        return []
    cars: list[Vehicle] = []
    full, z = rng.uniform(0.3, 0.95), rng.uniform(4, 9)
    offset = verge.sign * (street.carriage + verge.parking / 2)
    while z < 110:
        blocked = street.in_junction(z - 3, z + 3, 3) or (
            street.crossing is not None and abs(z - street.crossing - 1.6) < 6
        )
        if rng.random() < full and not blocked:
            turned = np.pi if rng.random() < (0.85 if verge.sign < 0 else 0.1) else 0.0
            x = street.at(offset + rng.normal(0, 0.1), z)[0]
            cars.append(_car(rng, (x, z), street.heading(z) + turned, braking=False))
        z += 5.3 + rng.uniform(0, 0.8)
    return cars


def _walkers(rng: np.random.Generator, street: Street, verge: Verge) -> list[Figure]:
    crowd = {"high street": 8, "residential": 2.5, "avenue": 5, "downtown": 8, "park": 3}[street.kind]
    figures: list[Figure] = []
    inner = street.kerb(verge.sign) + verge.strip
    for _ in range(int(rng.poisson(crowd))):
        z = 7 + rng.gamma(1.6, 16)
        if z > 100 or street.in_junction(z, z):
            continue
        for friend in range(2 if rng.random() < 0.25 else 1):
            offset = inner + 0.5 + rng.random() * max(0.3, verge.sidewalk - 0.9) + friend * 0.6
            figures.append(choose_figure(rng, street.at(verge.sign * offset, z + 0.2 * friend)))
    return figures


def _on_the_crossing(rng: np.random.Generator, street: Street) -> list[Figure]:
    if street.crossing is None:
        return []
    figures: list[Figure] = []
    for _ in range(int(rng.integers(0, 6))):
        spot = street.at(rng.uniform(-street.kerb(-1), street.kerb(1)), street.crossing + rng.uniform(0.4, 2.8))
        figures.append(choose_figure(rng, spot, facing=int(rng.choice([-1, 1]))))
    return figures


def _cycles(rng: np.random.Generator, street: Street) -> list[Cycle]:
    """Riders near the kerb or crossing at a junction, and bicycles that stand on the sidewalk."""
    cycles: list[Cycle] = []
    for lane in (street.lanes[0], street.lanes[-1]):
        if rng.random() < 0.5:
            z = 7 + rng.gamma(1.6, 11)
            across = street.in_junction(z, z)
            edge = float(lane.offset + np.sign(lane.offset) * lane.width * 0.32)
            facing = int(rng.choice([-1, 1])) if across else 0
            place = street.at(edge, z)
            rider = replace(choose_figure(rng, place, facing=facing), away=lane.away)
            cycles.append(choose_cycle(rng, place, facing, rider, motor=bool(rng.random() < 0.2)))
    for sign in SIDES:
        if rng.random() < 0.4:
            offset, z = sign * (street.kerb(sign) + 0.6), rng.uniform(7, 30)
            for index in range(int(rng.integers(1, 5))):
                if not street.in_junction(z + index, z + index, 1):
                    place = street.at(offset + rng.normal(0, 0.1), z + index * 0.7)
                    cycles.append(choose_cycle(rng, place, int(rng.choice([-1, 1])), None))
    return cycles
