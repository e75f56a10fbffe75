"""From a recipe to a run: launch.py opens the run's folder, train.py tells the training, the others are its parts."""
