"""What the store keeps: one ledger for each part of the picture."""
