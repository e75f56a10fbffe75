"""Running a handful of processes on one machine: start, watch, start again, stop in order, leave no orphan."""
