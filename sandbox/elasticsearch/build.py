"""Builds the server, once: its jars by Maven, our launcher in a jar beside them, and an archive of classes for quick starts."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import re
import shutil
import tempfile
import zipfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from bot.domain.errors import Unavailable
from sandbox.npm import cache_folder
from sandbox.processes import output

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROGRAMS = {"java": "default-jdk-headless", "javac": "default-jdk-headless", "mvn": "maven"}
MAIN = "org.elasticsearch.node.SandboxNode"
_VERSION = re.compile(r"<elasticsearch\.version>([\d.]+)</")
_ARCHIVE = "classes.jsa"
_BUILD = 900.0  # seconds: 40 MB of jars over a slow line
_MVN = ("mvn", "--quiet", "--batch-mode", "--no-transfer-progress", "process-classes")


def demand_buildable() -> None:
    """Raise `Unavailable` where the server is not built and cannot be, or where there is no Java; builds nothing."""
    needed = ("java",) if _wanted().exists() else tuple(PROGRAMS)
    missing = sorted({PROGRAMS[program] for program in needed if shutil.which(program) is None})
    if missing:
        names = " ".join(missing)
        raise Unavailable(
            f"The sandbox's Elasticsearch needs what is not installed here: {names}.",
            hint=f"apt install {names}, or name a server of yours in ELASTICSEARCH_URL",
        )


async def built() -> Path:
    """Return the folder of the built server. Two builds at once wait for each other; `Unavailable` when it fails."""
    demand_buildable()
    wanted = _wanted()
    if wanted.exists():
        return wanted
    async with _alone(wanted.parent):
        if not wanted.exists():
            await _build(wanted)
    return wanted


def command(folder: Path, home: Path, *, least: int, most: int) -> list[str]:
    """Return how the server is started, with ``folder`` as the working directory; the heap in MB.

    One core and a start that matters more than what comes after: serial collector, no second compiler, archived classes.
    """
    archive = [f"-XX:SharedArchiveFile={_ARCHIVE}"] if (folder / _ARCHIVE).exists() else []
    heap = [f"-Xms{least}m", f"-Xmx{most}m"]
    return [*_java(folder), *heap, *archive, f"-Djava.io.tmpdir={home / 'tmp'}", MAIN, str(home)]


def _java(folder: Path) -> list[str]:
    """Return the command line's beginning. The class path is relative and sorted: the archive holds for this one alone."""
    jars = ":".join(f"libs/{jar.name}" for jar in sorted((folder / "libs").glob("*.jar")))
    quick = [
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-Xshare:auto",
        "-Xlog:disable",
        "-XX:+ExitOnOutOfMemoryError",
    ]
    return ["java", *quick, "-Dlog4j2.disable.jmx=true", "-cp", jars]


def _wanted() -> Path:
    """Return where the build of these very sources belongs."""
    with as_file(files("sandbox.elasticsearch")) as here:
        sources = [here / "pom.xml", *sorted((here / "java").rglob("*.java"))]
        digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:12]
        version = _VERSION.findall(sources[0].read_text(encoding="utf-8"))[0]
    return cache_folder() / f"elasticsearch-{version}-{digest}"


async def _build(wanted: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix="elasticsearch-", dir=wanted.parent))
    try:
        with as_file(files("sandbox.elasticsearch")) as here:
            shutil.copy(here / "pom.xml", fresh)
            shutil.copytree(here / "java", fresh / "java")
        try:
            await output(_MVN, cwd=fresh, deadline=_BUILD)
        except Unavailable as error:
            raise Unavailable(
                f"Elasticsearch's jars could not be had by Maven: {error.message}",
                hint="is Maven Central, or a mirror of it in ~/.m2/settings.xml, reachable? Or set ELASTICSEARCH_URL",
            ) from error
        (fresh / "target" / "libs").rename(fresh / "libs")
        _pack(fresh / "target" / "classes", fresh / "libs" / "sandbox.jar")
        shutil.rmtree(fresh / "target")
        # A Java that makes no such archive starts the server all the same, only slower.
        with contextlib.suppress(Unavailable):
            await _archive(fresh)
        shutil.move(fresh, wanted)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _pack(classes: Path, jar: Path) -> None:
    """Make a jar: of archived classes, none may lie in a folder."""
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(classes.rglob("*.class")):
            archive.write(one, one.relative_to(classes))


async def _archive(folder: Path) -> None:
    """Start and end the server once, and keep the classes that it loaded, parsed and verified: the next start takes half the time."""
    home = folder / "trial"
    configure(home, port=0)
    argv = [*_java(folder), f"-XX:ArchiveClassesAtExit={_ARCHIVE}", MAIN, str(home), "trial"]
    await output(argv, cwd=folder, deadline=180)
    shutil.rmtree(home)


def configure(home: Path, *, port: int) -> None:
    """Write a node's configuration below ``home``; it listens on 127.0.0.1 alone, and keeps its data in ``home``.

    The disk's watermarks are off: a full laptop would else make every index red.
    """
    settings = {
        "cluster.name": "sandbox",
        "node.name": "sandbox",
        "node.processors": 2,
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": port,
        "transport.port": 0,
        "path.data": home / "data",
        "path.logs": home / "logs",
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
    for name in ("config", "tmp"):
        (home / name).mkdir(parents=True, exist_ok=True)
    lines = [f"{name}: {value}\n" for name, value in settings.items()]
    (home / "config" / "elasticsearch.yml").write_text("".join(lines), encoding="utf-8")
    (home / "config" / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")


_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


@contextlib.asynccontextmanager
async def _alone(cache: Path) -> AsyncIterator[None]:
    await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
    with (cache / "elasticsearch.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield
