"""Films of a job's results: which images make which (`frames.py`), how they are encoded (`writer.py`), the way from
the service into the file (`filming.py`), and how they are known again (`ours.py`)."""
