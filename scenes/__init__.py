"""Generated street scenes with their labels: `render_scene(seed)`. Nothing here knows how they are used."""

from scenes.mood import MOODS
from scenes.render import Scene, render_scene
from scenes.street import KINDS

__all__ = ["KINDS", "MOODS", "Scene", "render_scene"]
