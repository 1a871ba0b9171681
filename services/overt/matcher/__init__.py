"""Open-set identification: a probe is compared with the watchlist, and leaves only if it reaches a threshold."""
