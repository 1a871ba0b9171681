"""Making a watchlist: listed reference images become entries that a gallery can hold."""
