"""Makes networks: data, augmentation, losses and the loops. May import nets and everything below."""
