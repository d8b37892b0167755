"""A request's route: `route.py` is the road itself, `exchange.py` what is noted on the way."""
