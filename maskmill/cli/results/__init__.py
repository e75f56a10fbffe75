"""Commands about what came out of jobs: how it is fetched, looked at and corrected."""
