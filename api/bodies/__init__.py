"""Reading what requests carry: forms, JSON, uploads, with bounds on what is held."""
