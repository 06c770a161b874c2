"""The story: what happens, in which order, and what there is to see in it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from demo.arrivals import Trail, open_breaker, trails
from demo.browser import Answer, Browser, form
from demo.evidence import EXPECTED, LEFT_OUT, left_out, missing, secrets_of
from demo.places import SINKS
from demo.report import Report
from demo.shown import as_batch, as_message, as_post
from demo.stage import Stage
from supertokens_events.outbox import Breaker
from supertokens_events.retry import RetryPolicy

__all__ = ["Story"]

ADA = "ada@example.com"
PASSWORDS = {"Ada's password": "analytical-engine-1843", "the password that somebody guessed": "difference-engine-1822"}
RIGHT, WRONG = PASSWORDS.values()

PATIENCE = 10.0
"""Seconds within which every event of a request was tried at each of its sinks, or has a reason to wait."""
LONG_PATIENCE = 20.0
"""Seconds within which everything has arrived once the receiver is back: the longest wait for a probe, and as much again."""


class Story:
    """Ada signs up, forgets her password and signs in, others try to be her, and the receiver goes away and comes back."""

    def __init__(self, stage: Stage, report: Report) -> None:
        self.stage = stage
        self.places = stage.places
        self.report = report
        self.answers: list[tuple[Answer, str]] = []
        self.last_told = 0
        self.outage: Breaker | None = None
        """The breaker as it was when last told of."""
        self.back_at = 0.0
        self.soon: dict[str, float] = {}

    def tell(self) -> list[str]:
        """Tell it; returns a sentence for everything that is missing."""
        self.setting()
        self.sign_up()
        self.password_reset()
        self.sign_in_during_outage()
        self.guess_during_outage()
        self.receiver_returns()
        self.refresh()
        self.theft()
        return self.end()

    # The steps -----------------------------------------------------------------------------------------------------

    def setting(self) -> None:
        self.report.heading("supertokens-events: the demo")
        self.report.say(
            "SuperTokens signs people in, but tells nobody else. With supertokens-events, what happens becomes events, "
            "and sinks deliver them. Here a FastAPI app with the real SuperTokens SDK has four: a webhook, Slack, "
            "Segment and a file. It all runs on this machine, over real HTTP and with real files:"
        )
        self.report.code(PICTURE)
        self.report.facts(
            [
                ("app", f"{self.stage.app_url}, uvicorn with tests/demo/app.py"),
                ("core", f"{self.stage.core_url}, an in-memory double of the SuperTokens core"),
                ("receiver", f"{self.places.receiver.url}, verifies with standardwebhooks"),
                ("Slack", f"http://{self.places.slack.host}, a double that has Slack's limits"),
                ("Segment", f"{self.places.segment.url}, a double that has Segment's limits"),
                ("files", str(self.stage.toml.parent)),
                *(("as asked", f"the sink {sink!r} has a secret that is wrong") for sink in self.places.wrong),
            ]
        )
        self.report.say(f"Its whole configuration is {self.stage.toml.name} in that folder:")
        self.report.code(self.stage.toml.read_text(encoding="utf-8"))
        self.report.say("And all that the app's code needs is this:")
        self.report.code(CODE)

    def sign_up(self) -> None:
        self.report.step("Ada signs up")
        happened = self.request("/auth/signup", form(email=ADA, password=RIGHT), events=EXPECTED[0:2])
        if not happened:
            return
        self.report.say(
            "Both events were in the outbox when the browser had its answer. A thread of the app delivers them, and "
            "nobody waits for it. Which sink gets what is said by its patterns in the TOML."
        )
        if post := self.places.receiver.first_of(happened[0].event.id):
            self.report.say("This is the first as the receiver got it:")
            self.report.code(as_post(post))
        if batch := happened[0].found("analytics"):
            self.report.say(
                "And this is the batch that Segment got, but for times and context: the event's id is the messageId, by "
                "which Segment knows a repeat, and the e-mail address stays here unless [sinks.analytics] allows it."
            )
            self.report.code(as_batch(self.places.segment.requests[batch[0] - 1]))

    def password_reset(self) -> None:
        self.report.step("Ada asks for a password reset")
        if self.request("/auth/user/password/reset/token", form(email=ADA), events=EXPECTED[2:3]):
            self.report.say(
                "That she asked is told. The link in her mail is as good as a password: nobody is told that."
            )

    def sign_in_during_outage(self) -> None:
        self.report.step("The receiver goes down, and Ada signs in")
        self.places.receiver.stop()
        self.report.did("receiver", f"stops: nothing listens on {self.places.receiver.address} any more")
        if self.request("/auth/signin", form(email=ADA, password=RIGHT), events=EXPECTED[3:5]):
            self.report.say(
                "Neither Ada nor any other sink had to wait for the webhook. Its deliveries stay in the outbox."
            )
            self.report.say(
                f"A webhook has {RetryPolicy().attempts} attempts over {span(RetryPolicy())}. That is for an event that "
                "fails by itself. When nobody is there at all, the others need not find out one by one, as comes next."
            )

    def guess_during_outage(self) -> None:
        self.report.step("It is still down, and somebody guesses at Ada's password")
        guess = form(email=ADA, password=WRONG)
        happened = self.request(
            "/auth/signin",
            guess,
            browser=self.stage.stranger,
            answer="200 WRONG_CREDENTIALS_ERROR",
            events=EXPECTED[5:6],
        )
        if happened:
            self.slack_message(happened[0], "A failure is an event too, and who is on call reads of it in Slack:")
            self.report.say("The reason is in it, wrong_credentials. What was typed is not.")
            self.report.say(
                "At the webhook it has used up no attempt. The receiver is known to be away, so nothing but a probe goes "
                "out now and then, with one of the events that wait: after 0.5 s, 1 s, 2 s, and so on up to 10 s; in a "
                "long outage every minute. The app's log has one line about it, however much waits and however long."
            )
        self.outage = open_breaker(self.stage)

    def receiver_returns(self) -> None:
        self.report.step("The receiver comes back")
        self.stage.watch.until(self.another_probe_failed, PATIENCE)
        self.outage = open_breaker(self.stage)
        waiting = [trail for trail in trails(self.stage) if trail.waits_at("crm")]
        if waiting:
            self.report.say(
                "What waits for it is in the outbox, an SQLite file; a restart of the app would not lose it:"
            )
            self.report.waiting(waiting)
            if self.outage:
                self.report.away(self.outage)
        self.back_at = time.monotonic()
        self.places.receiver.start()
        self.report.did("receiver", f"listens on {self.places.receiver.address} again")
        self.stage.watch.until(self.all_is_settled, LONG_PATIENCE)
        self.arrived_late({trail.event.id for trail in waiting})

    def arrived_late(self, ids: set[str]) -> None:
        late = [trail for trail in trails(self.stage) if trail.event.id in ids]
        for trail in late:
            if post := self.places.receiver.accepted(trail.event.id):
                self.soon[trail.event.id] = post.at - self.back_at
            self.report.late_arrival(trail, self.soon.get(trail.event.id))
        if late and all(trail.found("crm") for trail in late):
            self.report.say(
                "The next probe brought one of them, and was its attempt. With that the others were due at once, "
                'whatever their schedule said. (Who needs the events of each user in order sets ordering = "user".)'
            )
            self.report.say(
                "Delivery is at least once. Each attempt is signed anew, and the id stays the same, so that a receiver "
                "can tell a repeat."
            )
        elif open_breaker(self.stage):
            self.report.say(
                "Somebody answers again, but probe after probe is refused, whichever event it brings. So the rest goes on "
                "waiting and uses up no attempt. If nobody helped, after "
                f"{span(RetryPolicy())} it would all be given up: dead letters, kept with this reason."
            )

    def refresh(self) -> None:
        self.report.step("Ada's browser refreshes her session, twice")
        self.stage.stranger.copy_cookies(self.stage.browser)
        for _ in range(LEFT_OUT):
            self.request("/auth/session/refresh", answer="200", events=())
        if n := left_out(self.stage):
            self.report.no_event(
                "session.refreshed is off unless [capture] asks for it: it is frequent, and seldom wanted. The "
                f"ledger counts whatever is left out, and says: capture_off {n}."
            )

    def theft(self) -> None:
        self.report.step("Somebody uses a copy of the cookies that Ada had before that")
        happened = self.request(
            "/auth/session/refresh", answer="401", events=EXPECTED[6:8], browser=self.stage.stranger
        )
        if happened:
            self.slack_message(happened[0], "SuperTokens ends the session, and who is on call reads:")

    def end(self) -> list[str]:
        self.stage.watch.until(self.all_is_settled, LONG_PATIENCE)
        everything, secrets = trails(self.stage), secrets_of(self.stage, PASSWORDS)
        found = missing(self.stage, self.answers, self.outage, secrets)
        self.report.heading("Where it all went")
        self.report.table(everything)
        if found:
            self.report.heading("What is missing")
            self.report.problems(found)
        else:
            self.report.heading("What you saw")
            self.report.say(
                SUMMARY.format(
                    events=len(everything),
                    sinks=len(SINKS),
                    secrets=len(secrets),
                    soon=max(self.soon.values(), default=0.0),
                )
            )
        return found

    # What steps are made of ----------------------------------------------------------------------------------------

    def request(
        self,
        path: str,
        body: dict[str, object] | None = None,
        *,
        answer: str = "200 OK",
        events: Sequence[str],
        browser: Browser | None = None,
    ) -> list[Trail]:
        """The browser asks, the app answers, and what came of it is told once there is nothing more to see.

        Returns that, or nothing when it is not what should have come of it: then there is nothing to explain.
        """
        answered = (browser or self.stage.browser).post(path, body)
        self.answers.append((answered, answer))
        self.report.request(answered)
        self.stage.watch.until(lambda: all(trail.explained for trail in self.new()), PATIENCE)
        happened = self.new()
        for trail in happened:
            self.report.trail(trail)
            self.last_told = trail.event.sequence
        if [trail.event.type for trail in happened] == list(events):
            return happened
        self.report.problems([f"Expected: {', '.join(events) or 'no event'}."])
        return []

    def slack_message(self, trail: Trail, introduction: str) -> None:
        """The message that tells of it, if it came."""
        for number in trail.found("oncall")[:1]:
            self.report.say(introduction)
            self.report.code(as_message(self.places.slack.messages[number - 1]))

    def new(self) -> list[Trail]:
        """What was not told yet."""
        return trails(self.stage, after=self.last_told)

    def another_probe_failed(self) -> bool:
        breaker = open_breaker(self.stage)
        return breaker is not None and (self.outage is None or breaker.probes > self.outage.probes)

    def all_is_settled(self) -> bool:
        """Whether everything has arrived, except where a sink's secret is refused: that will not change."""
        return all(trail.settled for trail in trails(self.stage))


def span(policy: RetryPolicy) -> str:
    """How long a schedule lasts, in hours and minutes."""
    minutes = int(sum(policy.schedule)) // 60
    return f"{minutes // 60} h {minutes % 60} m"


PICTURE = """\
browser ──▶ app with SDK ──▶ outbox ──┬──▶ webhook "crm" ─────────▶ receiver
               │            (SQLite)  ├──▶ slack "oncall" ────────▶ Slack
               └──▶ core              ├──▶ segment "analytics" ───▶ Segment
                                      └──▶ file "audit"
"""

CODE = """\
events = Events.from_toml()
init(…, experimental=SupertokensExperimentalConfig(plugins=[events.plugin()]))
"""

SUMMARY = (
    "A TOML file and one line in init() made {events} events of what happened to Ada, and {sinks} sinks have those that they "
    "asked for, each once. Each was stored before her browser was answered, so the outage cost her nothing and lost nothing: "
    "what could not be delivered waited with its reason, spent at most one of its attempts, and arrived by itself within "
    "{soon:.1f} s of the receiver's return, under the id it always had, with a signature that standardwebhooks, the reference "
    "library, accepts. The others did not notice. None of the {secrets} passwords, tokens and keys that were used is in any "
    "event, message, batch or file."
)
