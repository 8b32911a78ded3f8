"""What goes over SSH is one string: a real shell takes it apart into exactly the words that were meant."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.ssh import line

words = st.one_of(
    st.sampled_from(
        ["$(touch x)", "`touch x`", "; touch x", "&& touch x", "| cat", "> x", "'", '"', "\\", "\n", "$HOME", "*", "~", "-n", "", "#", "!!"]
    ),
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20),
)  # fmt: skip
variables = st.dictionaries(st.sampled_from(["ONE", "TWO"]), words, max_size=2)


@given(st.lists(words, max_size=5), variables, st.sampled_from([None, "/"]))
@settings(max_examples=150, deadline=None)
def test_a_shell_reads_every_word_as_it_was(argv: list[str], env: dict[str, str], cwd: str | None) -> None:
    command = line(["printf", "%s\\0", "begin", *argv], env=env, cwd=cwd)
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, cwd=Path(__file__).parent)
    assert done.stdout.decode().split("\0")[:-1] == ["begin", *argv]
    if env:
        shown = subprocess.run(["sh", "-c", line(["env", "-0"], env=env, cwd=cwd)], capture_output=True, check=True)
        assert {f"{name}={value}" for name, value in env.items()} <= set(shown.stdout.decode().split("\0"))
    assert not (Path(__file__).parent / "x").exists()
