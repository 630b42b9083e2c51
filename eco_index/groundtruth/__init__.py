"""Ground truth: plots and reference samples against the maps, and the gate before a release."""
