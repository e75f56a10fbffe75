"""How a model runs fastest here, found by a short race of its variants."""
