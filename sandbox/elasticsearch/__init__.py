"""A real Elasticsearch for tests and the sandbox: its own jars, started by a launcher of ours (`java`, `pom.xml`)."""

from sandbox.elasticsearch.server import Elasticsearch, Heap, demand

__all__ = ["Elasticsearch", "Heap", "demand"]
