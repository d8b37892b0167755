"""What tests of several stations share: one Elasticsearch for the whole run, started when the first test asks."""

from tests.elastic.server import elastic_server, namespace, prepared_elastic

__all__ = ["elastic_server", "namespace", "prepared_elastic"]
