"""What many users leave behind in a busy outbox."""

import json
import random

from outbox.stores import LEASE, dead, entry, later


def lived(outbox, users=20, events=600):
    """Many users' events and what sinks said of them, as they come in a busy outbox; the texts that only one user's have."""
    chance = random.Random(0)
    for number in range(events):
        user = chance.randrange(users)
        marks = f"<mark-{user:02d}>" * chance.randrange(5, 250)
        outbox.append([entry("crm", "audit", user_id=f"u{user}", data={"text": marks})])
        for sink in ("crm", "audit"):
            for claim in outbox.claim(sink, chance.randrange(1, 4), LEASE):
                mark = json.loads(claim.delivery.body)["data"]["text"][:9] * chance.randrange(1, 40)
                finish = dead if number % 3 else later
                reason = {"reason": mark} if finish is dead else {"wait": 0.0, "answer": mark}
                outbox.settle([finish(claim, **reason)])
    return [f"<mark-{user:02d}>".encode() for user in range(users)]
