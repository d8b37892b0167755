"""May this request enter: the user's token bucket, the bounded queue, and refusals that say why."""
