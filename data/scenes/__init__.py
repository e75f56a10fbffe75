"""Generated street scenes with their labels: `render_scene(seed)`. Nothing here knows how they are used."""

from data.scenes.mood import MOODS
from data.scenes.render import Scene, render_scene
from data.scenes.street import KINDS

__all__ = ["KINDS", "MOODS", "Scene", "render_scene"]
