"""Lines, zones and hidden regions: kept, counted, worded."""
