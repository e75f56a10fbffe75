"""Commands that train, judge and bring models: they need the extra `training` and no server."""
