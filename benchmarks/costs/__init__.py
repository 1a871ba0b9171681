"""What `benchmarks/pipeline.py` is made of: the variants that are compared, and how they are measured."""
