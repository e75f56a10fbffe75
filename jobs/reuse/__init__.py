"""Results that are known already: of the same picture, by the same model, with the same options."""
