"""`python -m maskmill` is the command line."""

from maskmill.cli import main

if __name__ == "__main__":
    main()
