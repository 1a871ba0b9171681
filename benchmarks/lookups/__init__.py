"""What `benchmarks/gallery.py` measures with."""
