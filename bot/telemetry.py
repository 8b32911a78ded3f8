"""Logs as JSON lines without secrets, and the metrics that Prometheus reads."""

from __future__ import annotations

import logging
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping

HIDDEN = "[hidden]"
_SHORTEST_SECRET = 6  # a shorter value would blank out ordinary words
_DEEPEST = 6
_PRIVATE_KEY = re.compile(
    r"-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)",
    re.DOTALL,
)
_WORDS = r"password|passwd|secret|api[_-]?key|access[_-]?key|token"
# What is kept of each stands in group 1. No pattern may start anew inside a word, so that a long line takes linear time.
_SHAPES = (
    re.compile(r"()\b(?:xox[a-z]|xapp|xwfp)-[A-Za-z0-9.-]{6,}"),  # Slack
    re.compile(r"()\b(?:gh[opsur]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})"),  # GitHub
    re.compile(r"()\beyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*"),  # JWT
    re.compile(r"()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),  # AWS
    re.compile(r"(https?://hooks\.slack\.com/(?:services|workflows|triggers)/)\S+"),
    re.compile(r"((?<![\w+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@'\"]*:)[^\s/@'\"]+(?=@)"),  # user:password@ in a URL
    re.compile(
        r"(\b(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|token|api-key|digest)\s+)?)[^\s\"',;]+",
        re.IGNORECASE,
    ),
    re.compile(r"(\b(?:bearer|basic|api-key)\s+)(?=\S*\d)[\w.~+/=-]{16,}", re.IGNORECASE),
    re.compile(rf"((?<![\w-])[\w-]*?(?:{_WORDS})[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&}}]{{4,}}", re.IGNORECASE),
)
_SECRET_KEY = re.compile(
    r"password|passwd|secret|token|authorization|api[_-]?key|private[_-]?key|cookie", re.IGNORECASE
)


@dataclass(slots=True)
class Scrubber:
    """Removes secrets from texts: values that were named to it, and whatever has the shape of one."""

    values: tuple[str, ...] = ()

    def learn(self, values: Iterable[str]) -> None:
        """Hide these values from now on. Values under six characters are not hidden: they would blank out plain words."""
        found = {*self.values, *(value for value in values if len(value) >= _SHORTEST_SECRET)}
        self.values = tuple(sorted(found, key=len, reverse=True))

    def scrub(self, text: str) -> str:
        """Return the text without secrets."""
        for value in self.values:
            text = text.replace(value, HIDDEN)
        text = _PRIVATE_KEY.sub(HIDDEN, text)
        for shape in _SHAPES:
            text = shape.sub(rf"\1{HIDDEN}", text)
        return text

    def clean(self, value: Any, depth: int = 0) -> Any:
        """Return a value for the log without secrets, whatever it is made of; keys that sound secret lose their values."""
        if isinstance(value, str):
            return self.scrub(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if depth < _DEEPEST and isinstance(value, dict):
            return {str(key): self._member(str(key), one, depth) for key, one in value.items()}
        if depth < _DEEPEST and isinstance(value, (list, tuple, set, frozenset)):
            return [self.clean(one, depth + 1) for one in value]
        return self.scrub(str(value))

    def _member(self, key: str, value: Any, depth: int) -> Any:
        hidden = isinstance(value, (str, bytes)) and value and _SECRET_KEY.search(key)
        return HIDDEN if hidden else self.clean(value, depth + 1)

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Clean a log entry (a structlog processor)."""
        return {key: value if key.startswith("_") else self._member(key, value, 0) for key, value in event.items()}


_scrubber = Scrubber()


def hide(values: Iterable[str]) -> None:
    """Hide these secret values from logs and from every text that goes through `scrub`."""
    _scrubber.learn(values)


def scrub(text: str) -> str:
    """Return a text from outside (a log excerpt, an error of Git) without secrets, fit for Slack and for logs."""
    return _scrubber.scrub(text)


def set_up_logs(level: str = "info", *, stream: TextIO | None = None) -> None:
    """Write every log of the process, also the libraries', as JSON lines to ``stream`` (standard error), scrubbed."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _scrubber,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.JSONRenderer(),
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=renderer))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


# Debug lines of these hold whole statements with their values, headers, or a line for each byte.
_CHATTY = (
    *("asyncssh", "aiohttp.access", "git.cmd", "urllib3", "apscheduler", "slack_sdk", "slack_bolt"),
    *("aiosqlite", "sqlalchemy", "asyncio", "botocore", "boto3", "elastic_transport", "github", "alembic"),
)


@contextmanager
def about(*, release: str = "", step: str = "") -> Iterator[None]:
    """Name release and step in every log entry made inside, also by tasks that are started there."""
    with structlog.contextvars.bound_contextvars(**{k: v for k, v in (("release", release), ("step", step)) if v}):
        yield


_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)


class Metrics:
    """What ``/metrics`` shows. One object a process; tests make their own. All durations are in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.releases = self._gauge("releases", "Releases by state", "environment", "state")
        self.step_seconds = self._histogram("step_seconds", "Duration of steps", "step", "outcome", buckets=_SLOW)
        self.slack_calls = self._counter("slack_calls", "Calls of Slack's Web API", "method", "outcome")
        self.slack_seconds = self._histogram("slack_seconds", "Latency of Slack's Web API", "method")
        self.slack_limited = self._counter("slack_limited", "Calls that Slack answered with 429", "method")
        self.acknowledgement_seconds = self._histogram("acknowledgement_seconds", "From envelope to acknowledgement")
        self.outbox_depth = self._gauge("outbox_depth", "Messages that wait for Slack")
        self.ssh_commands = self._counter("ssh_commands", "Commands over SSH", "host", "outcome")
        self.ssh_seconds = self._histogram("ssh_seconds", "Duration of commands over SSH", "host")
        self.probe_up = self._gauge("probe_up", "1 while the site answers", "environment")
        self.probe_seconds = self._histogram("probe_seconds", "Latency of a look at the site", "environment")

    def names(self) -> tuple[str, ...]:
        """Return every metric's name as Prometheus shows it."""
        return tuple(
            f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in self.registry.collect()
        )

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"releasebot_{name}", help_text, labels, registry=self.registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"releasebot_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, *labels: str, buckets: tuple[float, ...] = _QUICK) -> Histogram:
        return Histogram(f"releasebot_{name}", help_text, labels, registry=self.registry, buckets=buckets)
