"""Is this machine fit to serve: facts are collected, and pure checks say of each what is wrong and what mends it."""
