"""The parts of `benchmarks/scale.py`: a site, its replicas, who feeds them, and what a trial of them measures."""
