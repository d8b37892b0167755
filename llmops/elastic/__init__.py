"""Elasticsearch: templates of its streams, the road of the journal into it, the store's questions asked there."""
