"""From a claimed slice to results: attempts, budgets, truth, what is retried, leases and what is left over."""
