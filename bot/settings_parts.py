"""The settings' parts: Slack, the code repository, CI, hosts, Ansible, the server, the site, and an environment made of these."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, HttpUrl, SecretStr

from bot.domain.freeze import Weekly
from bot.settings_base import Part
from bot.settings_search import ElasticsearchSettings, MetaspaceDatabaseSettings, ReindexingSettings

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Role = Literal["viewer", "releaser", "approver", "admin"]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class SlackSettings(Part):
    """The Slack workspace. Tokens come from the environment."""

    mode: Literal["socket", "http"] = Field(
        "socket", description="Socket Mode, or signed HTTP requests where a public URL exists"
    )
    channel: str = Field(description="id of #metaspace_dev, the only channel where releases are made (C…)")
    base_url: str = Field("https://slack.com/api/", description="where Slack's Web API answers")
    dates: bool = Field(
        True, description="false sends times as text in UTC, for a Slack that draws none (the sandbox's)"
    )
    bot_token: SecretStr = Field(SecretStr(""), description="xoxb-…, from RELEASEBOT_SLACK__BOT_TOKEN")
    app_token: SecretStr = Field(SecretStr(""), description="xapp-…, for Socket Mode, from RELEASEBOT_SLACK__APP_TOKEN")
    signing_secret: SecretStr = Field(SecretStr(""), description="for HTTP mode, from RELEASEBOT_SLACK__SIGNING_SECRET")


class HttpSettings(Part):
    """The bot's own HTTP server: health, metrics and, in HTTP mode, Slack's requests."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535, description="0 picks a free one")


class DatabaseSettings(Part):
    """Where releases are kept."""

    url: SecretStr = Field(
        SecretStr("sqlite+aiosqlite:///releasebot.sqlite"),
        description="sqlite+aiosqlite:///FILE on a local disk, or postgresql+asyncpg://… (RELEASEBOT_DATABASE__URL)",
    )


class EngineSettings(Part):
    """How releases are driven."""

    lease: float = Field(
        30.0,
        ge=6,
        description="seconds of silence after which another replica takes a release over; the replicas' clocks "
        "must agree to within a tenth of it (PostgreSQL only)",
    )


class RepositorySettings(Part):
    """METASPACE's code repository."""

    url: str = Field(description="what git fetches from and pushes to")
    mirror: Path = Field(description="the bot's own bare mirror; made when it is not there")
    github: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name on GitHub")
    github_api: str = "https://api.github.com"
    github_web: str = "https://github.com"
    github_token: SecretStr = Field(SecretStr(""), description="from RELEASEBOT_REPOSITORY__GITHUB_TOKEN")
    issue_poll: float = Field(
        60,
        ge=1,
        description="seconds between two looks at the issue of a plan that was exported, while its release is open",
    )
    committer_name: str = "releasebot"
    committer_email: str = "releasebot@metaspace2020.org"
    ssh_key: Path | None = Field(None, description="key that git pushes with, when the URL is an SSH one")
    known_hosts: Path | None = Field(None, description="pinned host keys for git over SSH")


class CircleSettings(Part):
    """CircleCI's own API: running pipelines, and a button that runs failed jobs again. Off without a token."""

    api: str = "https://circleci.com/api/v2"
    web: str = "https://app.circleci.com"
    project: str = Field(
        "",
        pattern=r"^$|^[\w.-]+/[\w.-]+/[\w.-]+$",
        description="project slug; empty means gh/ and repository.github",
    )
    token: SecretStr = Field(SecretStr(""), description="personal API token, from RELEASEBOT_CIRCLECI__TOKEN")


class HostSettings(Part):
    """A server reached over SSH."""

    host: str
    port: int = Field(22, ge=1, le=65535)
    user: str = "ubuntu"
    key: Path = Field(description="private key file")
    known_hosts: Path = Field(description="file with the pinned host keys; an unknown or changed key is refused")
    jobs: str = Field("/var/lib/releasebot/jobs", description="folder on that host for logs and receipts of jobs")
    tmux_socket: str = Field("releasebot", description="name of the tmux server (tmux -L)")


class AnsibleSettings(Part):
    """How Ansible runs on the control host."""

    workspace: str = Field(description="folder on the control host for the checkouts, one a release")
    playbook: str = Field("deploy/web.yml", description="relative to the Ansible folder")
    folder: str = Field("ansible/aws", description="Ansible folder, relative to the checkout, or absolute")
    inventory: str = Field("env/prod", description="relative to the Ansible folder")
    tags: tuple[str, ...] = Field(
        (
            "supervisorctl",
            "sm-api",
            "sm-image-segmentation",
            "sm-graphql",
            "sm-web-app",
            "sm-cluster-autostart",
            "sm-update-daemon",
            "sm-lithops-daemon",
        ),
        description="the playbook's tags, which a partial release may name",
    )
    binaries: str = Field(description="folder of ansible-playbook: the environment that Ansible has for itself")
    repository: str = Field(description="URL of the code repository, as the control host reaches it")
    configuration: str = Field(description="URL of the configuration repository (ansible/aws/env)")
    configuration_branch: str = "master"
    configuration_checkout: str = Field(description="folder of its kept clone on the control host")
    vault_password_file: str = Field(description="on the control host, readable by its user alone")
    known_hosts: str = Field(description="on the control host, the pinned keys of the servers that Ansible reaches")
    ssh_key: str = Field("", description="on the control host, the key that Ansible reaches the servers with")


class ServerSettings(Part):
    """The web server that is released to."""

    checkout: str = "/opt/dev/metaspace"
    webapp_index: str = Field(
        "/opt/www/index.html", description="a file of the served webapp that every build writes anew"
    )
    supervisorctl: tuple[str, ...] = Field(("supervisorctl",), description="command as an argument list")
    sudo: bool = Field(False, description="run supervisorctl with sudo -n")
    programs: tuple[str, ...] = Field(
        (
            "sm-api",
            "sm-graphql",
            "sm-update-daemon",
            "sm-cluster-autostart",
            "sm-lithops-daemon",
        ),
        description="supervisor programs and groups that a deploy restarts",
    )
    ending_programs: tuple[str, ...] = Field(
        ("sm-lithops-daemon",), description="those that end by themselves and are started again"
    )


class SiteSettings(Part):
    """METASPACE from outside."""

    url: HttpUrl
    graphql: HttpUrl
    contains: str = Field("", description="text that the front page must contain")
    interval: float = Field(1.0, gt=0, description="seconds between two looks of the probe")
    timeout: float = Field(5.0, gt=0, description="seconds until a look counts as down")
    admin_email: str = Field("", description="the administrator that the token for health switches names")
    jwt_secret: SecretStr = Field(
        SecretStr(""), description="jwt.secret of sm-graphql, from RELEASEBOT_ENVIRONMENTS__<NAME>__SITE__JWT_SECRET"
    )
    rabbitmq_api: HttpUrl | None = Field(None, description="RabbitMQ's management API, for queue lengths")
    rabbitmq_user: str = "guest"
    rabbitmq_password: SecretStr = SecretStr("")


class FreezeSettings(Part):
    """A window that comes back every week, in which no release starts. An end that is not later lies on the next day."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(min_length=1)
    begins: TimeOfDay = Field("00:00", description='"16:00", in quotes: YAML takes it for a number otherwise')
    ends: TimeOfDay = Field("00:00", description='"08:00", in quotes')
    reason: str = Field(min_length=1, max_length=200)

    def window(self, zone: ZoneInfo) -> Weekly:
        """Return it on the clocks of a zone."""
        begins, ends = time.fromisoformat(self.begins), time.fromisoformat(self.ends)
        return Weekly(self.days, begins, ends, zone, self.reason)


class LockSettings(Part):
    """The lock of an environment, and those who wait for it."""

    claim: float = Field(300, ge=30, description="seconds that a free environment is kept for who is next in line")
    remind: float = Field(
        14400,
        ge=0,
        description="seconds until the owner of a lock without a release is asked whether it is needed; doubled each time; 0: never",
    )


class ScheduleSettings(Part):
    """Releases that begin at a time."""

    remind_before: float = Field(
        900, ge=0, description="seconds before a scheduled start at which whoever scheduled it is reminded; 0: never"
    )
    grace: float = Field(
        600,
        ge=5,
        description="seconds after its time in which a start that was missed still begins; later the bot asks",
    )


class ReminderSettings(Part):
    """Reminders of steps that wait for a person, and of releases that stand still."""

    every: float = Field(
        3600,
        ge=0,
        description="seconds until people are reminded of an open question or of a release that is paused or stopped; "
        "doubled each time; 0: never",
    )
    quiet_from: TimeOfDay = Field("20:00", description="in quotes: from then on nobody is reminded, in the time zone")
    quiet_until: TimeOfDay = Field("08:00", description="in quotes; the same as quiet_from: there are no quiet hours")


class ApprovalSettings(Part):
    """What the environment lets a checklist and an admin do with approvals."""

    weaker: tuple[str, ...] = Field(
        (), description="ids of steps for which a checklist may ask for less than the step itself does"
    )
    no_break_glass: tuple[str, ...] = Field(
        ("drop", "terminate"),
        description="steps that no admin approves alone: ids, or words that ids begin with (drop_old_indices)",
    )
    remind: float = Field(900, ge=0, description="seconds between two reminders of those who must approve; 0: never")


class EnvironmentSettings(Part):
    """A place to release to."""

    title: str = ""
    master_branch: str = "master"
    release_branch: str = "release"
    required_ci: tuple[str, ...] = (
        "generate-graphql-schema",
        "test-pycode-format",
        "test-postprocessing",
        "test-engine",
        "test-graphql",
        "test-webapp",
    )
    ignored_ci: tuple[str, ...] = Field(("sci-test-on-demand",), description="jobs that are shown and never block")
    ci_timeout: float = Field(3600, gt=0, description="seconds to wait for pending jobs")
    drain_timeout: float = Field(1800, gt=0, description="seconds to wait for datasets in work")
    settle_timeout: float = Field(120, gt=0, description="seconds for programs and site to come up after a deploy")
    steady_after: float = Field(
        10,
        ge=0,
        description="seconds that a program must have run before it counts as up: one that dies at once does not",
    )
    large_tables: tuple[str, ...] = Field(
        ("annotation", "iso_image_metrics", "coloc_annotation", "ion"),
        description="tables that cannot be read whole within a minute: migrations that work on them mean downtime",
    )
    warn_after_down: float = Field(
        45, gt=0, description="seconds that the site is down in a deploy before the channel is told"
    )
    pause_after_down: float = Field(
        60, gt=0, description="seconds that the site is down outside a deploy before the release is paused"
    )
    approvals: ApprovalSettings = ApprovalSettings()
    poll: float = Field(2.0, gt=0, description="seconds between two looks at the world")
    checklists: Path | None = Field(None, description="folder with this team's own checklists")
    rehearsal: Literal["shown", "required"] = Field(
        "shown", description="required: no start and no approval without a rehearsal of that very plan that passed"
    )
    rehearsal_timeout: float = Field(1200, gt=0, description="seconds that a rehearsal may take")
    rehearsal_memory: int = Field(3072, ge=256, description="MiB that a rehearsal's processes may take together")
    freezes: tuple[FreezeSettings, ...] = Field((), description="weekly windows in which no release starts")
    pull_request_comments: bool = Field(
        False, description="after a release, say on each of its pull requests in which version it is"
    )
    control: HostSettings = Field(description="the host that runs Ansible; never a machine that is released to")
    web: HostSettings
    server: ServerSettings = ServerSettings()
    ansible: AnsibleSettings
    site: SiteSettings
    elasticsearch: ElasticsearchSettings | None = Field(
        None, description="search indices; without them no strategy that changes Elasticsearch can be carried out"
    )
    metaspace_database: MetaspaceDatabaseSettings | None = None
    reindexing: ReindexingSettings = ReindexingSettings()
