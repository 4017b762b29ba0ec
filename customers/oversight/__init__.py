"""What auditors and the privacy officer do with the access log: export it, weigh a policy on it, find what was read."""
