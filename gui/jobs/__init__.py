"""Commands of our own command line as processes beside the window."""
