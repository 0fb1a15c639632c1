"""The commands behind ./dev, standard library only."""
