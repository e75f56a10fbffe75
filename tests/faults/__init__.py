"""Random faults against the embedded stack while it works a job, and an auditor that looks at what is left."""
