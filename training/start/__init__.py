"""How a training begins: weights of another run or of a bundle."""
