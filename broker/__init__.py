"""Messages in flight: the Celery app, its queues and delivery rules, and dispatching by name. No task code."""
