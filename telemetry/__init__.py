"""What processes tell of themselves: log lines, metrics and traces, and how they are handed out."""
