"""Making a watchlist: a folder of reference images becomes entries that a gallery can hold."""
