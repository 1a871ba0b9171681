"""From frames to faces worth an embedding and passes: detection, tracking, quality, alignment, best shot."""
