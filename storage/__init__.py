"""Durable state: rows in SQL, bytes in an object store, model bundles in folders. Adapters of `jobs.ports`."""
