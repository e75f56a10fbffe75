"""Webhooks: what is owed to whom, how it is said and signed, when it is tried again and when it is given up."""
