"""From matches to one alert for a person: confirmed over a track, and not repeated within the cool-down."""
