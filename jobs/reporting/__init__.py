"""What is told of jobs: rows, pages, events, tables and archives."""
