"""From a user's own model file to a bundle: card, graph, check in every runtime, publication."""
