"""Ground truth: how its files are named, which space its ids are in, whether they mean something."""
