"""Settings: one YAML file, and the environment for secrets (``RELEASEBOT_SLACK__BOT_TOKEN`` …). Unknown keys are errors."""

from __future__ import annotations

import os
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.domain.errors import BadSettings
from bot.domain.freeze import Weekly

if TYPE_CHECKING:
    from collections.abc import Iterator

Role = Literal["viewer", "releaser", "approver", "admin"]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class Part(BaseModel):
    """A part of the settings: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    freezes: tuple[FreezeSettings, ...] = Field((), description="weekly windows in which no release starts")
    pull_request_comments: bool = Field(
        False, description="after a release, say on each of its pull requests in which version it is"
    )
    control: HostSettings = Field(description="the host that runs Ansible; never a machine that is released to")
    web: HostSettings
    server: ServerSettings = ServerSettings()
    ansible: AnsibleSettings
    site: SiteSettings


class PersonSettings(Part):
    """A person, by Slack id. Who is not listed may do nothing."""

    slack: str = Field(pattern=r"^[UW][A-Z0-9]+$")
    name: str
    roles: tuple[Role, ...] = ("viewer",)
    github: str = ""
    email: str = ""


class AuthorSettings(Part):
    """How authors are reminded of questions that they have not answered."""

    remind_at: TimeOfDay = Field("10:00", description="time of day in quotes; at most one reminder a working day")
    working_days: tuple[Day, ...] = Field(("mon", "tue", "wed", "thu", "fri"), description="days with reminders")
    reminders: int = Field(5, ge=0, description="how often a thread is reminded at most; 0 never")


class GroupSettings(Part):
    """A user group of Slack: its members have these roles, beside those that their ids give them."""

    slack: str = Field(pattern=r"^S[A-Z0-9]+$", description="id of the user group (S…), as in its page's address")
    name: str = ""
    roles: tuple[Role, ...] = ("viewer",)


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(env_prefix="RELEASEBOT_", env_nested_delimiter="__", extra="forbid", frozen=True)

    slack: SlackSettings
    http: HttpSettings = HttpSettings()
    database: DatabaseSettings = DatabaseSettings()
    engine: EngineSettings = EngineSettings()
    repository: RepositorySettings
    circleci: CircleSettings = CircleSettings()
    environments: dict[Name, EnvironmentSettings] = Field(min_length=1)
    default_environment: str = ""
    people: tuple[PersonSettings, ...] = ()
    timezone: str = Field("Europe/Berlin", description="IANA name: on whose clocks typed times and freezes are meant")
    authors: AuthorSettings = AuthorSettings()
    groups: tuple[GroupSettings, ...] = Field((), description="roles by Slack's user groups; needs usergroups:read")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, and nothing else in."""
        return env_settings, init_settings

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("expected an IANA time zone such as Europe/Berlin") from error
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of `timezone`."""
        return ZoneInfo(self.timezone)

    @model_validator(mode="after")
    def _default_is_known(self) -> Settings:
        if self.default_environment and self.default_environment not in self.environments:
            known = ", ".join(self.environments)
            raise ValueError(f"default_environment is {self.default_environment!r}; expected one of {known}")
        for name, listed in (("people", self.people), ("groups", self.groups)):
            slack_ids = [one.slack for one in listed]
            twice = sorted({one for one in slack_ids if slack_ids.count(one) > 1})
            if twice:
                raise ValueError(f"{name} lists {', '.join(twice)} twice")
        return self

    def environment(self, name: str = "") -> tuple[str, EnvironmentSettings]:
        """Return the environment of that name, or the default one; raises `BadSettings` naming those there are."""
        chosen = name or self.default_environment or next(iter(self.environments))
        if chosen not in self.environments:
            raise BadSettings(f"There is no environment {chosen!r}.", hint=f"Known: {', '.join(self.environments)}")
        return chosen, self.environments[chosen]


def secrets(part: BaseModel) -> Iterator[str]:
    """Return every secret value in the settings, to be kept out of logs and messages. The database's URL counts whole."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        for one in value.values() if isinstance(value, dict) else (value,):
            if isinstance(one, SecretStr) and one.get_secret_value():
                yield one.get_secret_value()
            elif isinstance(one, BaseModel):
                yield from secrets(one)


def load(path: Path) -> Settings:
    """Read the settings; raises `BadSettings` that names key, value found and what is expected."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(
            f"Cannot read {path}: {error.strerror}.", hint="releasebot config example > settings.yml"
        ) from error
    except yaml.YAMLError as error:
        raise BadSettings(f"{path} is not YAML: {error}", hint="releasebot config example") from error
    if not isinstance(raw, dict):
        raise BadSettings(
            f"{path}: found {type(raw).__name__}, expected keys and values.", hint="releasebot config example"
        )
    return parse(raw, where=str(path))


def parse(raw: dict[str, Any], *, where: str = "settings") -> Settings:
    """Check the settings' values; raises `BadSettings`."""
    try:
        return Settings(**raw)
    except ValidationError as error:
        lines = [_sentence(where, dict(one)) for one in error.errors(include_url=False, include_context=False)]
        raise BadSettings("\n".join(lines), hint="releasebot config schema") from error


def _sentence(where: str, one: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in one["loc"]) or "(top level)"
    if one["type"] == "missing":
        return f"{where}: {key} is missing."
    if one["type"] == "extra_forbidden":
        return f"{where}: {key} is not a known key."
    secret = any(word in key for word in ("token", "secret", "password", "url"))
    found = "" if secret or isinstance(one.get("input"), dict) else f" Found {one.get('input')!r}."
    return f"{where}: {key}: {one['msg']}.{found}"


def path_from_environment() -> Path:
    """Return the settings file named by RELEASEBOT_CONFIG, or settings.yml here."""
    return Path(os.environ.get("RELEASEBOT_CONFIG", "settings.yml"))
