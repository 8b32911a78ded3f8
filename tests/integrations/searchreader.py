"""A reader in a process of its own: asks both aliases, in one request, again and again, and counts what it sees.

``python -m tests.integrations.searchreader HOST PORT`` prints a line once it has begun, and its counts as JSON when its standard
input ends. Each index must hold one document at least.
"""

from __future__ import annotations

import http.client
import json
import select
import sys
from collections import Counter

ASKED = json.dumps({"size": 0, "aggregations": {"by": {"terms": {"field": "_index"}}}})
WHOLE = ({"dataset-yin", "annotation-yin"}, {"dataset-yang", "annotation-yang"})


def seen(connection: http.client.HTTPConnection) -> str:
    connection.request("POST", "/dataset,annotation/_search", ASKED, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    if answer.status == http.HTTPStatus.NOT_FOUND:
        return "missing"
    assert answer.status == http.HTTPStatus.OK, body
    names = {bucket["key"] for bucket in body["aggregations"]["by"]["buckets"]}
    if names in WHOLE:
        return "whole"
    return "doubled" if len(names) > 2 else "missing" if len(names) < 2 else "mixed"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=60)
    counts = Counter([seen(connection)])
    say("reading")
    while not select.select([sys.stdin], [], [], 0)[0]:
        counts[seen(connection)] += 1
    say(json.dumps(counts))


if __name__ == "__main__":
    main()
