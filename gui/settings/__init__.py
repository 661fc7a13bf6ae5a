"""Settings, keys and networks, and the forms they are changed in."""
