"""Names that Slack sends back: action ids, callback ids, block ids. They stay the same for ever: old messages carry them."""

from __future__ import annotations

RETRY = "release:retry"
SKIP = "release:skip"
ABORT = "release:abort"
PAUSE = "release:pause"
RESUME = "release:resume"
ROLL_BACK = "release:rollback"
QUESTION = "question:"  # followed by the decision's kind and, where two are of one kind, ":" and a value
REVIEW_FINDINGS = "review:findings"
REVIEW_COMMITS = "review:commits"
REVIEW_START = "review:start"
REVIEW_ASK = "review:ask"
ASK_NOTHING = "ask:nothing"
ASK_YES = "ask:yes"
PEOPLE_WHO = "people:who:"  # followed by the author's identity; so is the other
PEOPLE_ELSE = "people:else:"
REVIEW_WHY = "review:why"
REVIEW_RERUN = "review:rerun"
REVIEW_LIVE = "review:live"
REVIEW_MERGE = "review:merge"
START_CONFIRM = "start:confirm"
START_EDIT = "start:edit"
START_CANCEL = "start:cancel"
LOCK_WAIT = "lock:wait"
LOCK_LEAVE = "lock:leave"
LOCK_TAKE = "lock:take"
LOCK_LET_GO = "lock:pass"
LOCK_KEEP = "lock:keep"
LOCK_FREE = "lock:free"
SCHEDULE_CANCEL = "schedule:cancel"
SCHEDULE_POSTPONE = "schedule:postpone"
SCHEDULE_PREVIEW = "schedule:preview"
REHEARSAL_STOP = "rehearse:stop"
PLAN_EDIT = "plan:edit"

TAKE_OVER_FORM = "lock:take-over"
ROLL_BACK_FORM = "release:rollback-preview"
PREVIEW_FORM = "start:preview"  # callback ids of modals
SKIP_FORM = "release:skip-reason"
ABORT_FORM = "release:abort-reason"
ASK_FORM = "ask:yes-form"
QUESTION_FORM = "question:form:"  # followed by the form's name
FORMS = ("notes", "reason", "typed_version", "break_glass", "evidence")
PLAN_CHOOSE = "plan:choose"  # what to change, and at which step
PLAN_FORM = "plan:form:"  # followed by the kind of edit
EDITS = ("insert", "skip", "move", "note", "assign")

VERSION = "version"  # block ids of inputs; each input's action id is "value"
REASON = "reason"
TYPED = "typed"
WHAT = "what"
WHEN = "when"
HOW = "how"
STEP = "step"
BEFORE = "before"
TITLE = "title"
TEXT = "text"
NOTE = "note"
PERSON = "person"
EVIDENCE = "evidence"
INPUT = "value"
