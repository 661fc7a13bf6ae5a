"""The program beside its peers and beside its own parts: each module prints ratios from one run."""
