"""What anybody might type, press, submit or post, made from a seed. Every piece carries `MARK`, to be looked for afterwards."""

from __future__ import annotations

import copy
import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from bot.views import ids
from tests.slack.conftest import CHANNEL, OTHER

MARK = "Zq7Fuzz"
PEOPLE = ("U01REL", "U02APP", "U05ADM", "U03VIEW", "U09STRANGER")
OPTIONS = ("--env", "--hotfix", "--only", "--strategy", "--version", "--help", "—version", "-h")
KNOWN = (
    "prod",
    "R1",
    "R2",
    "R999999999",
    "H1",
    "master",
    "release",
    "1.9.9",
    "1.9.10",
    "1",
    "2",
    "0",
    "-1",
    "in_place",
    "sm-api",
    *("from", "until", "because", "2h", "tomorrow", "F1", "2026-12-01", "18:00", "--at", "cancel", "postpone", "S1"),
    *("log", "picture", "stop", "workers", "--lines", "r1-es_update-1"),
    *("compare", "create", "repair", "swap", "swap-back", "drop", "reindex", "update", "--all", "--since", "--changed"),
    *("--failed", "--ids", "--workers", "--except", "--without", "--release", "2026-01-01_10h"),
)
ACTIONS = (
    *(ids.RETRY, ids.SKIP, ids.ABORT, ids.PAUSE, ids.RESUME, ids.REVIEW_FINDINGS, ids.REVIEW_COMMITS, ids.REVIEW_START),
    *(ids.START_CONFIRM, ids.START_EDIT, ids.START_CANCEL, "question:approve", "question:done:x", "router_open"),
    *(
        ids.REVIEW_WHY,
        ids.REVIEW_RERUN,
        ids.REVIEW_LIVE,
        ids.REVIEW_MERGE,
        ids.REVIEW_ASK,
        ids.ASK_NOTHING,
        ids.ASK_YES,
        ids.LOCK_WAIT,
        ids.LOCK_LEAVE,
        ids.LOCK_TAKE,
        ids.LOCK_LET_GO,
        ids.LOCK_KEEP,
        ids.LOCK_FREE,
        ids.SCHEDULE_CANCEL,
        ids.SCHEDULE_POSTPONE,
        ids.SCHEDULE_PREVIEW,
        ids.REHEARSAL_STOP,
        *(ids.JOB_LOG, ids.JOB_PICTURE, ids.JOB_STOP, ids.JOB_WORKERS),
    ),
    *(ids.ES_CONFIRM, f"{ids.ES_REPAIR}yin", f"{ids.ES_REPAIR}yang"),
    *(f"{ids.PEOPLE_WHO}x", f"{ids.PEOPLE_ELSE}x", ids.PLAN_EDIT),
)
CALLBACKS = (
    *(ids.PREVIEW_FORM, ids.SKIP_FORM, ids.ABORT_FORM, ids.ASK_FORM, ids.ROLL_BACK_FORM, ids.TAKE_OVER_FORM),
    *(ids.ES_FORM,) * 2,
    *(f"{ids.QUESTION_FORM}{one}" for one in ids.FORMS),
    *(ids.STOP_JOB_FORM, ids.WORKERS_FORM),
    *(ids.PLAN_CHOOSE, *(f"{ids.PLAN_FORM}{one}" for one in ids.EDITS)),
)
BLOCKS = (
    *(ids.VERSION, "notes", "task-0", "bug-0", "left-out-0", ids.REASON, ids.TYPED, ids.WHAT, ids.WHEN, ids.HOW),
    *(ids.WORKERS, ids.STEP, ids.BEFORE, ids.TITLE, ids.TEXT, ids.NOTE, ids.PERSON, ids.EVIDENCE),
)
HOSTILE = (
    *("$(touch Zq7Fuzz)", "`Zq7Fuzz`", "; rm -rf Zq7Fuzz", "| Zq7Fuzz", "&& Zq7Fuzz", "\nZq7Fuzz\r\n", "> Zq7Fuzz"),
    *(
        "'; DROP TABLE events; --Zq7Fuzz",
        '" OR 1=1 --Zq7Fuzz',
        "1; SELECT pg_sleep(9) /*Zq7Fuzz*/",
        "%Zq7Fuzz_",
        ":Zq7Fuzz",
    ),
    *(
        "-Zq7Fuzz",
        "--Zq7Fuzz=1",
        "--upload-pack=Zq7Fuzz",
        "--exec=Zq7Fuzz",
        "--output=Zq7Fuzz",
        "-oProxyCommand=Zq7Fuzz",
    ),
    *("<!channel>Zq7Fuzz", "<!here|Zq7Fuzz>", "<!everyone> Zq7Fuzz", "<@U0ZQ7FUZZ|Zq7Fuzz>", "<!subteam^S1|Zq7Fuzz>"),
    *(
        "<https://evil.example/Zq7Fuzz|click>",
        "*Zq7Fuzz* _Zq7Fuzz_ ~Zq7Fuzz~",
        "&lt;!channel&gt;Zq7Fuzz",
        "@channel Zq7Fuzz",
    ),
    *(
        "\0Zq7Fuzz",
        "\ud800Zq7Fuzz",
        "Zq7Fuzz\u202e",
        "🦄Zq7Fuzz",
        "\x1b[31mZq7Fuzz",
        "Zq7Fuzz" * 500,
        "x" * 3000 + "Zq7Fuzz",
    ),
    *("../../Zq7Fuzz", "%s%nZq7Fuzz", "{0.__class__}Zq7Fuzz", "{settings.slack.bot_token}Zq7Fuzz", "${jndi:Zq7Fuzz}"),
    *(
        '"Zq7Fuzz',
        "“Zq7Fuzz",
        "'Zq7Fuzz",
        "Zq7Fuzz@{-1}",
        "Zq7Fuzz..master",
        ":/Zq7Fuzz",
        "^Zq7Fuzz",
        "refs/heads/Zq7Fuzz",
    ),
)
ODD = (None, True, 7, -1, 1e308, "", "x", [], {}, [[]], {"": None}, {"id": 7}, {"value": ["Zq7Fuzz"]}, ["Zq7Fuzz"])
KINDS = {"command": 40, "mention": 10, "click": 17, "form": 18, "payload": 10, "webhook": 5}


@dataclass(frozen=True, slots=True)
class Case:
    """One request: its kind, the way it goes in, and its payload, or for ``webhook`` a raw body."""

    kind: str
    via: str
    payload: dict[str, Any]
    raw: bytes = b""
    signed: bool = True


class Fuzz:
    """Makes cases from a seed. ``questions`` and ``releases`` are what the bot has open, so that some cases go deep."""

    def __init__(self, seed: str, commands: tuple[str, ...]) -> None:
        self.random = random.Random(seed)  # noqa: S311  # repeatable on purpose
        self.commands = commands
        self.questions: list[tuple[str, str]] = []
        self.releases: list[tuple[str, str, int]] = []
        self.number = 0

    def case(self) -> Case:
        self.number += 1
        (kind,) = self.random.choices(list(KINDS), weights=list(KINDS.values()))
        made: Case = getattr(self, f"_{kind}")()
        return made

    def text(self) -> str:
        pieces = self.random.choices((HOSTILE, KNOWN, OPTIONS, None), weights=(6, 3, 2, 1), k=self.random.randint(1, 4))
        words = [self.random.choice(piece) if piece else self._letters() + MARK for piece in pieces]
        return self.random.choice(("", "", " ", '"')).join(words) if self.random.random() < 0.3 else " ".join(words)

    def _letters(self) -> str:
        return "".join(
            chr(self.random.choice((self.random.randint(0, 0x2FF), self.random.randint(0, 0x1FFFF)))) for _ in range(8)
        )

    def _pick(self, known: tuple[str, ...], fuzzed: float = 0.15) -> str:
        return self.text() if self.random.random() < fuzzed else self.random.choice(known)

    def _user(self) -> str:
        return self._pick(PEOPLE, 0.03)

    def _channel(self) -> str:
        return self._pick((CHANNEL,) * 8 + (OTHER,), 0.02)

    def _command(self) -> Case:
        words = [self._pick(self.commands), *(self.text() for _ in range(self.random.randint(0, 2)))]
        payload = {
            **self._team(), "command": "/release", "text": " ".join(words), "user_id": self._user(),
            "channel_id": self._channel(), "trigger_id": self._unique(), "response_url": "",
        }  # fmt: skip
        return Case("command", "slash_commands", payload)

    def _mention(self) -> Case:
        text = f"<@U0BOT> {self._pick(self.commands)} {self.text()}"
        event = {
            "type": "app_mention",
            "user": self._user(),
            "channel": self._channel(),
            "ts": self._ts(),
            "text": text,
        }
        if self.random.random() < 0.3:
            event["thread_ts"] = self._ts()
        return Case(
            "mention",
            "events_api",
            {**self._team(), "type": "event_callback", "event_id": self._unique(), "event": event},
        )

    def _click(self) -> Case:
        action = self._pick(ACTIONS)
        action = {
            "type": "button", "action_id": action, "block_id": "b", "value": self._value(action), "action_ts": self._ts(),
        }  # fmt: skip
        container = {"type": "message", "message_ts": self._ts(), "channel_id": CHANNEL}
        return Case(
            "click", "interactive", self._interaction("block_actions") | {"actions": [action], "container": container}
        )

    def _form(self) -> Case:
        callback = self._pick(CALLBACKS)
        inner = self._value(callback)
        metadata = json.dumps({"c": CHANNEL, "t": "", "d": inner}) if self.random.random() < 0.8 else inner
        values = {
            block: {"value": self._input()} for block in self.random.sample(BLOCKS, self.random.randint(1, len(BLOCKS)))
        }
        view = {
            "type": "modal", "id": self._unique(), "hash": "h", "callback_id": callback, "private_metadata": metadata,
            "state": {"values": values},
        }  # fmt: skip
        return Case("form", "interactive", self._interaction("view_submission") | {"view": view})

    def _payload(self) -> Case:
        """Something of Slack's with a few places changed to what Slack never sends."""
        base = self.random.choice((self._command, self._mention, self._click, self._form))()
        payload = json.loads(json.dumps(base.payload))
        for _ in range(self.random.randint(1, 3)):
            self._mutate(payload)
        via = "interactive" if base.via == "slash_commands" and self.random.random() < 0.5 else base.via
        return Case("payload", via, payload)

    def _webhook(self) -> Case:
        """A raw body, half of them signed."""
        bodies = (
            self.random.randbytes(4), b"payload=" + urlencode({"": self.text().encode("utf-8", "replace")}).encode(),
            b"[" * self.random.randint(1, 50_000), b"{" + self.text().encode("utf-8", "replace"), b"null", b"",
            urlencode({"payload": json.dumps(self.random.choice(ODD))}).encode(), b"ssl_check=1&command=/release",
            json.dumps({"type": "url_verification", "challenge": self.text()}).encode(),
        )  # fmt: skip
        return Case("webhook", "raw", {}, raw=self.random.choice(bodies), signed=self.random.random() < 0.5)

    def _value(self, name: str) -> str:
        """What a button or a form of that name carries, true for the most part."""
        if self.random.random() < 0.15:
            return self.text()
        if name.startswith("es:"):
            return json.dumps({"wish": self._wish(), "key": self._pick(("es-1", "R1", ""), 0.2)})
        if name.startswith(("lock", "schedule", "job")):
            return json.dumps(self._waiting(name))
        release, step, attempt = self.random.choice(self.releases or [("R1", "tag", 1)])
        found: dict[str, Any] = {"release": release, "step": step, "attempt": attempt}
        if name.startswith("question") and self.questions:
            question, release = self.random.choice(self.questions)
            found = {"question": question, "release": release, "choice": self.random.randint(0, 2)}
        if name.startswith(("start", "review")):
            found = {
                "environment": self._pick(("prod",)), "version": self._pick(("", "1.9.10", "9.9.9"), 0.3), "seen": "",
                "strategy": self._pick(("", "in_place"), 0.2), "only": [self._pick(("sm-api",), 0.5)], "base": self._pick(("", "1.9.9")),
                "at": self._pick(("", "2027-03-28T01:30:00+00:00"), 0.2), "zone": self._pick(("", "Europe/Berlin"), 0.2),
            }  # fmt: skip
        if name.startswith("plan"):
            found |= {
                "seen": self.random.randint(0, 2),
                "step": self._pick(("deploy", "announce_success", "drain"), 0.3),
            }
            if self.random.random() < 0.3:
                found["start"] = {"environment": "prod", "draft": self._pick(("",), 0.3)}
        if name == "router_open":
            return f"{self._pick(self.commands)} {self.text()}"
        if self.random.random() < 0.1:
            found[self.random.choice(list(found))] = copy.deepcopy(self.random.choice(ODD))
        return json.dumps(found)

    def _waiting(self, name: str) -> dict[str, Any]:
        """What a button of a lock, of a scheduled start or of a job carries."""
        if name.startswith("job"):
            return {"environment": self._pick(("prod",)), "job": self._pick(("r1-es_update-1",), 0.3)}
        if name.startswith("schedule"):
            return {"scheduled": self.random.randint(0, 3)}
        return {
            "environment": self._pick(("prod",)), "wait": self.random.randint(0, 9), "owner": "U01REL",
            "since": self._pick(("2026-11-24T12:00:00+00:00",)), "key": self._pick(("", "lock-needed-x"), 0),
        }  # fmt: skip

    def _wish(self) -> dict[str, Any]:
        """Something to be done with the search indices, as a button carries it."""
        side = self._pick(("yin", "yang"), 0.1)
        wish: dict[str, Any] = {
            "deed": self._pick(("swap", "swap-back", "repair", "drop"), 0.1), "environment": self._pick(("prod",)), "side": side,
            "names": [f"dataset-{side}", f"annotation-{side}"], "uuids": ["uuid-3", "uuid-4"], "by": self._pick(PEOPLE, 0.1),
            "at": self._pick((self.now(), "2026-11-24T12:00:00+00:00", "0001-01-01"), 0.1), "but": [self.text()], "without": [],
        }  # fmt: skip
        if self.random.random() < 0.2:
            wish[self.random.choice(list(wish))] = copy.deepcopy(self.random.choice(ODD))
        return wish

    @staticmethod
    def now() -> str:
        return datetime.now(UTC).isoformat(timespec="seconds")

    def _input(self) -> dict[str, Any]:
        if self.random.random() < 0.1:
            return {"type": "checkboxes", "selected_options": [{"value": self.text()}]}
        return {
            "type": "plain_text_input",
            "value": self.random.choice((self.text(), None, "1.9.10", "yang", "dataset-yang")),
        }

    def _mutate(self, value: Any) -> None:
        """Replace, or leave out, one thing somewhere inside."""
        while isinstance(value, (dict, list)) and value:
            key = self.random.choice(list(value)) if isinstance(value, dict) else self.random.randrange(len(value))
            if not isinstance(value[key], (dict, list)) or not value[key] or self.random.random() < 0.4:
                if isinstance(value, dict) and self.random.random() < 0.3:
                    del value[key]
                else:
                    value[key] = copy.deepcopy(self.random.choice((*ODD, self.text())))
                return
            value = value[key]

    def _interaction(self, kind: str) -> dict[str, Any]:
        return {
            **self._team(),
            "type": kind,
            "user": {"id": self._user()},
            "trigger_id": self._unique(),
            "channel": {"id": CHANNEL},
        }

    def _team(self) -> dict[str, Any]:
        return {"token": "verification", "team_id": "T1", "api_app_id": "A1"}

    def _unique(self) -> str:
        return f"{self.number}.{self.random.getrandbits(40)}"

    def _ts(self) -> str:
        return f"{int(time.time())}.{self.random.randrange(10**6):06d}"
