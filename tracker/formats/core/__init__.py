"""What all formats stand on: the common form, text and XML read with errors that say where, masks, whole files."""
