"""`python -m api`."""

from api.edge.server import main

main()
