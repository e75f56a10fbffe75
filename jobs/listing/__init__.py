"""Lists of jobs and of their images: what may be picked out."""
