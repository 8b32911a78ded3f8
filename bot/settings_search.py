"""The settings of an environment's search indices, of METASPACE's database, and of reindexing."""

from __future__ import annotations

from pydantic import Field, SecretStr

from bot.settings_base import Part


class ElasticsearchSettings(Part):
    """Elasticsearch, as the web server reaches it: the bot goes through SSH."""

    host: str = "127.0.0.1"
    port: int = Field(9200, ge=1, le=65535)
    user: str = ""
    password: SecretStr = Field(
        SecretStr(""), description="from RELEASEBOT_ENVIRONMENTS__<NAME>__ELASTICSEARCH__PASSWORD"
    )
    dataset_alias: str = Field("dataset", description="dataset_index in METASPACE's configuration")
    annotation_alias: str = Field("annotation", description="annotation_index in METASPACE's configuration")
    timeout: float = Field(60, gt=0, description="seconds for one request")


class MetaspaceDatabaseSettings(Part):
    """METASPACE's PostgreSQL, as the web server reaches it. A role that may only read is enough."""

    host: str = "127.0.0.1"
    port: int = Field(5432, ge=1, le=65535)
    name: str = "sm"
    user: str = "sm"
    password: SecretStr = Field(
        SecretStr(""), description="from RELEASEBOT_ENVIRONMENTS__<NAME>__METASPACE_DATABASE__PASSWORD"
    )
    timeout: float = Field(120, gt=0, description="seconds for one query")


class ReindexingSettings(Part):
    """How METASPACE's scripts are run on the web server for days."""

    workspace: str = Field(
        "/var/lib/releasebot/reindexing", description="folder on the web server for work trees; outside the checkout"
    )
    engine: str = Field("metaspace/engine", description="METASPACE's engine, relative to a checkout")
    configuration: str = Field("conf/config.json", description="its configuration, relative to the engine")
    template: str = Field("conf/config.json.template", description="what it is rendered from, relative to the engine")
    python: tuple[str, ...] = Field(
        ("bash", "-c", 'source activate sm38 && exec python "$@"', "python"),
        description="argument list of METASPACE's Python; its arguments follow",
    )
    workers: int = Field(2, ge=1, le=32, description="processes that share the work")
    most_workers: int = Field(8, ge=1, le=64, description="as many as a person may ask for")
    most_queued: int = Field(200, ge=1, description="writes waiting in Elasticsearch above which work slows down")
    most_latency: float = Field(2.0, gt=0, description="seconds of the site's answer above which work slows down")
    tries: int = Field(3, ge=1, le=10, description="how often a dataset that failed is tried")
    fresh: float = Field(600, gt=0, description="seconds for which a catch-up counts as fresh before a swap")
    log: str = Field("metaspace/graphql/logs/sm-graphql.log", description="sm-graphql's log, relative to the checkout")
