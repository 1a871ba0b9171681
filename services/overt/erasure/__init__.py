"""Proof of erasure: a canary is planted, and what is left of it and of everybody else is looked for."""
