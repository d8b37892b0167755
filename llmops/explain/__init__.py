"""Why it happens, by this machine's own record: numbers in, causes with their evidence and the dials to turn out."""
