"""What ``--scenario NAME`` seeds: each scenario is what somebody merged, and the state of the world around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.errors import WrongUse
from sandbox.history import ADA, BO, CHEN, DEPENDABOT, RELEASE, History, Issue, Talk, playbook, seed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ES_EXPORT = "metaspace/engine/sm/engine/es_export.py"
ANNOTATION_SCHEMA = "metaspace/graphql/schemas/annotation.graphql"
ANNOTATION_RESOLVERS = "metaspace/graphql/src/modules/annotation/controller.ts"
APP = "metaspace/webapp/src/App.vue"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One situation to release in.

    ``seed`` adds to the history after the pull requests of `plain`; ``ci`` overrides jobs' states on master's head
    (``success``, ``failure``, ``pending``, or ``missing``); ``queued`` and ``annotating`` are datasets in work. With ``search``
    there are METASPACE's database and search indices too, which take some seconds more to bring up; ``field`` is a new field of the
    annotations' documents, ``needed`` by the new code or not.
    """

    name: str
    summary: str
    seed: Callable[[History], object]
    ci: Mapping[str, str] = field(default_factory=dict)
    queued: int = 0
    annotating: int = 0
    dirty_configuration: bool = False
    search: bool = False
    field: str = ""
    needed: bool = False


def past() -> History:
    """Return what all scenarios share: versions up to 1.9.2, released."""
    history = History()
    history.commit(ADA, "Start of the miniature METASPACE\n", {**seed(), **playbook()})
    history.tag("rel-v1.0")
    for number, (version, annotated) in enumerate(_PAST):
        history.squash((ADA, BO, CHEN)[number % 3], f"[Webapp] Improve page {number + 1}", _page(number))
        history.tag(
            version, f"> Release notes:\n>   [Task] Improve page {number + 1} #{history.next_pull}\n" * annotated
        )
    history.release_here()
    return history


_PAST = (
    ("1.8.25", False),
    ("1.8.26", False),
    ("1.8.27", False),
    ("1.8.28", True),
    ("1.8.32", False),
    ("1.8.33", False),
    ("1.9.0", True),
    ("1.9.1", True),
    ("1.9.2", True),
)


def _page(number: int) -> dict[str, str | None]:
    return {f"metaspace/webapp/src/Page{number + 1}.vue": f"<template><p>Page {number + 1}</p></template>\n"}


def _everyday(history: History) -> None:
    """Add a week of harmless pull requests on master."""
    history.issues += [
        Issue(1432, "Export the annotations of a project with one button", ("enhancement",)),
        Issue(1450, "It does not say who can see a private project", ("bug", "documentation")),
    ]
    title = history.edit(APP, "<h1>", "<h1 :title='name'>")
    note = Talk(body="Asked for often.\n\nRelease note: The page of a dataset has its name in the title")
    history.squash(BO, "[Webapp] Show the dataset's name in the title", title, talk=note)
    export = {"metaspace/webapp/src/Export.vue": "<template><button /></template>\n"}
    history.squash(CHEN, "Feat/export button", export, talk=Talk(body="Closes #1432"))
    history.squash(
        DEPENDABOT,
        "build(deps): bump postcss from 8.5.8 to 8.5.18 in /metaspace/webapp",
        history.edit("metaspace/webapp/package.json", "8.5.8", "8.5.18"),
    )
    log = {"metaspace/graphql/src/log.ts": "export {}\n"}
    inside = Talk(body="### Release note\n\nnone")
    history.squash(ADA, "fix: log the user's id with every request", log, talk=inside)
    docs = {"docs/index.md": "# Documentation\n\nProjects can be private.\n"}
    history.squash(BO, "Explain private projects", docs, talk=Talk(body="Fixes #1450"))


def _es_fields(history: History) -> None:
    changes = history.edit(ES_EXPORT, "    m.fdr AS fdr\n", "    m.fdr AS fdr,\n    m.is_mono AS is_mono\n")
    changes |= history.edit(ANNOTATION_SCHEMA, "  fdrLevel: Float\n", "  fdrLevel: Float\n  isMono: Boolean\n")
    changes |= history.edit(
        ANNOTATION_RESOLVERS,
        "  fdrLevel: (hit) => hit._source.fdr,\n",
        "  fdrLevel: (hit) => hit._source.fdr,\n  isMono: (hit) => hit._source.is_mono ?? null,\n",
    )
    history.squash(CHEN, "[Engine] Export whether an annotation is monoisotopic", changes)


_SCORE = """    @staticmethod
    def _isotope_score(doc):
        return round(doc['msm'] ** 0.5, 4)

"""


def _es_required(history: History) -> None:
    named, adding = (
        "            doc['db_name'] = moldb.name\n",
        "    @staticmethod\n    def _add_ds_fields(doc, ds_doc):\n",
    )
    text = history.edit(ES_EXPORT, named, f"{named}            doc['isotope_score'] = self._isotope_score(doc)\n")
    changes: dict[str, str | None] = {ES_EXPORT: str(text[ES_EXPORT]).replace(adding, _SCORE + adding)}
    changes |= history.edit(ANNOTATION_SCHEMA, "  msmScore: Float!\n", "  msmScore: Float!\n  isotopeScore: Float!\n")
    changes |= history.edit(
        ANNOTATION_RESOLVERS,
        "  msmScore: (hit) => hit._source.msm,\n",
        "  msmScore: (hit) => hit._source.msm,\n  isotopeScore: (hit) => hit._source.isotope_score,\n",
    )
    history.squash(ADA, "[Engine] Score isotope patterns", changes)


def _migrations(history: History) -> None:
    name = "1768500000000-AddIsotopeColour"
    up = "ALTER TABLE graphql.user ADD isotope_colour text"
    text = f"export class AddIsotopeColour1768500000000 {{\n  async up(query) {{ await query('{up}') }}\n}}\n"
    history.squash(BO, "Let people choose the isotope's colour", {f"metaspace/graphql/src/migrations/{name}.ts": text})
    engine = {"metaspace/engine/migrations/r1_9_20260120_add_colour.sql": "ALTER TABLE dataset ADD colour text;\n"}
    history.squash(CHEN, "[Engine] Store the colour", engine)


def _configuration(history: History) -> None:
    template = "metaspace/engine/conf/config.json.template"
    history.squash(
        ADA, "Send mails by the new service", history.edit(template, '"services": {', '"services": {"mail": 2, ')
    )
    deploy = "ansible/aws/ansible.cfg"
    history.squash(
        BO, "[Ansible] Give tasks more time", history.edit(deploy, "[defaults]\n", "[defaults]\ntimeout = 60\n")
    )


def _hotfix(history: History) -> None:
    changes = {"metaspace/webapp/src/Hotfix.vue": "<template><p>Repaired</p></template>\n"}
    history.commit(ADA, "Repair the annotation table\n", changes, branch=RELEASE)


def _conflict(history: History) -> None:
    history.commit(
        ADA, "Shorten the title\n", history.edit(APP, "<h1>", "<h1 class='s'>", branch=RELEASE), branch=RELEASE
    )


def _crash(history: History) -> None:
    history.squash(CHEN, "[Engine] New scoring model", {"metaspace/engine/conf/scoring.json": '{"model": "v4",\n'})


def _failing_build(history: History) -> None:
    history.squash(BO, "[Webapp] Use the new chart library", {"metaspace/webapp/BUILD_FAILS": "chart\n"})


def _nothing(_: History) -> None:
    """Add nothing."""


SCENARIOS = {
    one.name: one
    for one in (
        Scenario("plain", "five harmless pull requests", _nothing),
        Scenario("indices", "five harmless pull requests, with datasets and search indices", _nothing, search=True),
        Scenario("es_fields", "a new nullable search field", _es_fields, search=True, field="is_mono"),
        Scenario(
            "es_required",
            "a new search field that the new code needs",
            _es_required,
            search=True,
            field="isotope_score",
            needed=True,
        ),
        Scenario("migrations", "a GraphQL and an engine migration", _migrations),
        Scenario("configuration", "changed configuration template and Ansible files", _configuration),
        Scenario("hotfix", "a commit on release that master lacks", _hotfix),
        Scenario("conflict", "a commit on release that does not merge into master", _conflict),
        Scenario("broken_ci", "a required job failed on master's head", _nothing, ci={"test-webapp": "failure"}),
        Scenario("pending_ci", "a required job still runs on master's head", _nothing, ci={"test-graphql": "pending"}),
        Scenario("missing_ci", "a required job never reported", _nothing, ci={"test-engine": "missing"}),
        Scenario("busy", "datasets are queued and annotating", _nothing, queued=3, annotating=1),
        Scenario("crash", "sm-api does not start with the new code", _crash),
        Scenario("failing_build", "the webapp does not build", _failing_build),
        Scenario(
            "dirty_configuration", "an uncommitted change in the configuration", _nothing, dirty_configuration=True
        ),
    )
}


def scenario(name: str) -> Scenario:
    """Return the scenario of that name; `WrongUse` naming those there are."""
    if name not in SCENARIOS:
        raise WrongUse(f"There is no scenario {name!r}.", hint=f"Known: {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


def history_of(chosen: Scenario) -> History:
    """Return the whole history that a scenario starts with."""
    history = past()
    _everyday(history)
    chosen.seed(history)
    return history
