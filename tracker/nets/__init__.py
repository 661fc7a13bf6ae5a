"""Networks as plain torch modules, and what turns their maps into boxes. Imports: torch, geometry, config, errors."""
