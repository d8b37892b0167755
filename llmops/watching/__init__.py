"""The parts of `watch` that are no station of their own: how it counts, and how it stays alone."""
