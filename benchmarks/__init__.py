"""The speed claims, each reproducible by one command."""
