"""`python -m api`."""

import gc


def serve() -> None:
    gc.disable()  # a quarter of the start goes into looking for garbage among what is being imported; see `api.main`
    from api.edge.server import main

    main()


serve()
