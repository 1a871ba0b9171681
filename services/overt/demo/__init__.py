"""Synthetic walk-past scenes, composed from photographs: for the demo, for load and fault tests, for benchmarks."""
