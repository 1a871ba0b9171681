"""From an aligned crop to a probe: the unit vector of a face in one model space."""
