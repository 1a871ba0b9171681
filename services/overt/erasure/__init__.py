"""Proof of erasure: what a byte search finds on disks, and what keys make of it. Values in, values out; files are only
read here, and Kafka, Redis and the keyring are `overt.runtime.erasure`'s."""
