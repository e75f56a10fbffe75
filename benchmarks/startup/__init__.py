"""How long until each part can be used."""
