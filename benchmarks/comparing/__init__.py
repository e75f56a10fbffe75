"""What jobs with several models cost, and what jobs that know their pictures spare."""
