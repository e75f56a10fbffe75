"""From a model on a hub to a bundle: which files to take, and what is made of them."""
