"""Films of a job's results: which images make which (`frames.py`), how they are encoded (`writer.py`), and the way from
the service into the file (`filming.py`)."""
