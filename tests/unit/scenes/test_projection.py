"""The camera: straight ahead lies in the middle, the ground meets its own rays, what is behind is cut off."""

import numpy as np
import pytest

from scenes.drawing.camera import NEAR_M, SUPERSAMPLING, Camera

LEVEL = Camera(width=200, height=100, focal=150.0, x=0.0, y=1.5, pitch=0.0, yaw=0.0, roll=0.0)
TURNED = Camera(width=200, height=100, focal=150.0, x=1.0, y=1.4, pitch=-0.05, yaw=0.1, roll=0.02)


def test_a_point_straight_ahead_lies_in_the_middle():
    positions, depths = LEVEL.project(np.array([[0.0, 1.5, 20.0]]))
    assert positions[0] == pytest.approx([200, 100])
    assert depths[0] == pytest.approx(20)


def test_right_is_right_and_up_is_up():
    positions, _ = LEVEL.project(np.array([[1.0, 2.5, 10.0]]))
    assert positions[0] == pytest.approx([200 + 30, 100 - 30])


@pytest.mark.parametrize("camera", [LEVEL, TURNED])
def test_a_pixels_ray_meets_the_ground_where_that_pixel_shows_it(camera):
    x, y, z = (float(part[80, 60]) for part in camera.ground_rays())
    reach = -camera.y / y
    positions, _ = camera.project(np.array([[camera.x + reach * x, 0.0, reach * z]]))
    assert positions[0] / SUPERSAMPLING == pytest.approx([60.5, 80.5], abs=0.01)


def test_an_outline_is_cut_at_the_near_plane():
    square = np.array([[-1.0, 0.0, -5.0], [1.0, 0.0, -5.0], [1.0, 0.0, 5.0], [-1.0, 0.0, 5.0]])
    outline = LEVEL.outline(square)
    lowest = SUPERSAMPLING * (50 + 150 * 1.5 / NEAR_M)
    assert len(outline) == 4
    assert outline[:, 1].max() == pytest.approx(lowest)


def test_an_outline_behind_the_camera_is_empty():
    assert len(LEVEL.outline(np.array([[0.0, 0.0, -3.0], [1.0, 0.0, -3.0], [0.0, 1.0, -3.0]]))) == 0
