"""Settings: one YAML file, and the environment for secrets (``RELEASEBOT_SLACK__BOT_TOKEN`` …). Unknown keys are errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.domain.errors import BadSettings
from bot.settings_base import Part
from bot.settings_parts import (
    DAYS,
    AnsibleSettings,
    ApprovalSettings,
    CircleSettings,
    DatabaseSettings,
    Day,
    EngineSettings,
    EnvironmentSettings,
    FreezeSettings,
    HostSettings,
    HttpSettings,
    LockSettings,
    Name,
    ReminderSettings,
    RepositorySettings,
    Role,
    ScheduleSettings,
    ServerSettings,
    SiteSettings,
    SlackSettings,
    TimeOfDay,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "DAYS",
    "AnsibleSettings",
    "ApprovalSettings",
    "AuthorSettings",
    "CircleSettings",
    "DatabaseSettings",
    "Day",
    "EngineSettings",
    "EnvironmentSettings",
    "FreezeSettings",
    "GroupSettings",
    "HostSettings",
    "HttpSettings",
    "LockSettings",
    "Name",
    "Part",
    "PersonSettings",
    "ReminderSettings",
    "RepositorySettings",
    "Role",
    "ScheduleSettings",
    "ServerSettings",
    "Settings",
    "SiteSettings",
    "SlackSettings",
    "TimeOfDay",
    "load",
    "parse",
    "path_from_environment",
    "secrets",
]


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
    locks: LockSettings = LockSettings()
    reminders: ReminderSettings = ReminderSettings()
    schedule: ScheduleSettings = ScheduleSettings()
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
