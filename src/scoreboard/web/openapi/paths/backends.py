"""What trusted backends write."""

from __future__ import annotations

from typing import Final

from scoreboard.identity.signatures import SIGNATURE_HEADER, SKEW, TIMESTAMP_HEADER
from scoreboard.web import increments
from scoreboard.web.openapi import examples
from scoreboard.web.openapi.answers import answer
from scoreboard.web.openapi.nodes import Node
from scoreboard.web.openapi.paths.operation import V1, body, example_of, operation
from scoreboard.web.openapi.security import with_scope

_SIGNING: Final = f"""\
Points for a player from a server that is trusted to decide them: a token with the scope
`{increments.SCOPE}`, and a signature over the request with one of the secrets in
`SCOREBOARD_SIGNING_SECRETS`. A token that leaks gives nobody points.

What is signed are these five, with a dot between each and the next:

    <{TIMESTAMP_HEADER}>.<method>.<path>.<Idempotency-Key>.<body>

- The path is without query, as it is sent; the body is its bytes, as they are sent.
- `{SIGNATURE_HEADER}` is `v1=` and the HMAC-SHA256 of that, in 64 lowercase hexadecimal digits.
- The timestamp is in Unix seconds, and at most {SKEW} from the server's clock.

A signature counts once. The same request with the same key again, also signed anew, is answered
with the first receipt. For example, with the secret `{examples.SIGNING_SECRET}`:

    {TIMESTAMP_HEADER}: {examples.TIMESTAMP}
    Idempotency-Key: {examples.KEY}
    {SIGNATURE_HEADER}: {examples.SIGNATURE}

    {examples.INCREMENT_BODY}
"""

BACKENDS: Final[Node] = {
    f"{V1}/scores/increment": {
        "post": operation(
            "incrementScore",
            "Give a player points",
            _SIGNING,
            security=with_scope(increments.SCOPE),
            parameters=("IdempotencyKeyNeeded", "Timestamp", "Signature"),
            sent=body("Increment", examples.INCREMENT),
            answers={
                "200": answer(
                    "The receipt.",
                    example_of("Receipt", examples.INCREMENTED),
                    cache="No-Store",
                    headers=("Idempotent-Replayed",),
                )
            },
            refusals=(
                "IncrementMalformed",
                "Unauthorized",
                "IncrementForbidden",
                "NoSuchPlayer",
                "PayloadTooLarge",
                "IdempotencyKeyReused",
                "Unavailable",
            ),
        )
    },
}
