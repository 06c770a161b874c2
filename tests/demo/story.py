"""The story: what happens, in which order, and what there is to see in it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from demo.browser import Answer, form
from demo.evidence import EXPECTED, Arrival, arrivals, left_out, missing, open_breaker, secrets_of
from demo.report import Report
from demo.stage import Stage
from supertokens_events.outbox import Breaker
from supertokens_events.retry import RetryPolicy

__all__ = ["Story"]

ADA = "ada@example.com"
PASSWORDS = {"Ada's password": "analytical-engine-1843", "the password that Ada mistyped": "difference-engine-1822"}
RIGHT, WRONG = PASSWORDS.values()

PATIENCE = 10.0
"""Seconds within which every event of a request was tried at both sinks, or has a reason to wait."""
LONG_PATIENCE = 20.0
"""Seconds within which everything has arrived once the receiver is back: the longest wait for a probe, and as much again."""


class Story:
    """Ada signs up, mistypes, signs in, forgets her password and leaves, while the receiver goes away and comes back."""

    def __init__(self, stage: Stage, report: Report) -> None:
        self.stage = stage
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
        self.wrong_password()
        self.sign_in_during_outage()
        self.password_reset_during_outage()
        self.receiver_returns()
        self.refresh()
        self.sign_out()
        return self.end()

    # The steps -----------------------------------------------------------------------------------------------------

    def setting(self) -> None:
        self.report.heading("supertokens-events: the demo")
        self.report.say(
            "SuperTokens signs people in, but tells nobody else. With supertokens-events, what happens becomes events, "
            "and sinks deliver them. Here a FastAPI app with the real SuperTokens SDK has two sinks, a webhook and a "
            "file. It all runs on this machine, over real HTTP and with real files:"
        )
        self.report.code(PICTURE)
        self.report.facts(
            [
                ("app", f"{self.stage.app_url}, uvicorn with tests/demo/app.py"),
                ("core", f"{self.stage.core_url}, an in-memory double of the SuperTokens core"),
                ("receiver", f"{self.stage.receiver.url}, verifies with standardwebhooks{_asked_for(self.stage)}"),
                ("files", str(self.stage.toml.parent)),
            ]
        )
        self.report.say(f"Its whole configuration is {self.stage.toml.name} in that folder:")
        self.report.code(self.stage.toml.read_text(encoding="utf-8"))
        self.report.say("And all that the app's code needs is this:")
        self.report.code(CODE)

    def sign_up(self) -> None:
        self.report.step("Ada signs up")
        happened = self.request("/auth/signup", form(email=ADA, password=RIGHT), events=EXPECTED[0:2])
        if happened and (post := self.stage.receiver.first_of(happened[0].event.id)):
            self.report.say(
                "Both events were in the outbox when the browser had its answer. A thread of the app delivers them, and "
                "nobody waits for it. This is the first as the receiver got it:"
            )
            self.report.post(post)

    def wrong_password(self) -> None:
        self.report.step("Ada mistypes her password")
        wrong = form(email=ADA, password=WRONG)
        if self.request("/auth/signin", wrong, answer="WRONG_CREDENTIALS_ERROR", events=EXPECTED[2:3]):
            self.report.say(
                "A failure is an event too, with the reason wrong_credentials. What she typed is not in it."
            )

    def sign_in_during_outage(self) -> None:
        self.report.step("The receiver goes down, and Ada signs in")
        self.stage.receiver.stop()
        self.report.did("receiver", f"stops: nothing listens on {self.stage.receiver.address} any more")
        if self.request("/auth/signin", form(email=ADA, password=RIGHT), events=EXPECTED[3:5]):
            self.report.say("Neither Ada nor the file had to wait for the webhook. Its deliveries stay in the outbox.")
            self.report.say(
                f"A webhook has {RetryPolicy().attempts} attempts over {span(RetryPolicy())}. That is for an event that "
                "fails by itself. When nobody is there at all, the others need not find out one by one, as comes next."
            )

    def password_reset_during_outage(self) -> None:
        self.report.step("It is still down, and Ada asks for a password reset")
        if self.request("/auth/user/password/reset/token", form(email=ADA), events=EXPECTED[5:6]):
            self.report.say(
                "No attempt of this one is used up. The receiver is known to be away, so nothing but a probe goes out now "
                "and then, with one of the events that wait: after 0.5 s, 1 s, 2 s, and so on up to 10 s; in a long outage "
                "every minute. The app's log has one line about it, however much waits and however long."
            )
            self.report.say(
                "That she asked is told. The link in her mail is as good as a password: nobody is told that."
            )
        self.outage = open_breaker(self.stage)

    def receiver_returns(self) -> None:
        self.report.step("The receiver comes back")
        self.stage.watch.until(self.another_probe_failed, PATIENCE)
        self.outage = open_breaker(self.stage)
        waiting = [arrival for arrival in arrivals(self.stage) if arrival.waits]
        if waiting:
            self.report.say(
                "What waits for it is in the outbox, an SQLite file; a restart of the app would not lose it:"
            )
            self.report.waiting(waiting)
            if self.outage:
                self.report.away(self.outage)
        self.back_at = time.monotonic()
        self.stage.receiver.start()
        self.report.did("receiver", f"listens on {self.stage.receiver.address} again")
        self.stage.watch.until(self.all_is_settled, LONG_PATIENCE)
        self.arrived_late({arrival.event.id for arrival in waiting})

    def arrived_late(self, ids: set[str]) -> None:
        late = [arrival for arrival in arrivals(self.stage) if arrival.event.id in ids]
        for arrival in late:
            if post := self.stage.receiver.accepted(arrival.event.id):
                self.soon[arrival.event.id] = post.at - self.back_at
            self.report.late_arrival(arrival, self.soon.get(arrival.event.id))
        if late and all(arrival.verified for arrival in late):
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
        self.report.step("Ada's browser refreshes her session")
        self.request("/auth/session/refresh", answer="", events=())
        if n := left_out(self.stage):
            self.report.no_event(
                "session.refreshed is off unless [capture] asks for it: it is frequent, and seldom wanted. The "
                f"ledger counts whatever is left out, and says: capture_off {n}."
            )

    def sign_out(self) -> None:
        self.report.step("Ada signs out")
        self.request("/auth/signout", events=EXPECTED[6:7])

    def end(self) -> list[str]:
        self.stage.watch.until(self.all_is_settled, LONG_PATIENCE)
        everything, secrets = arrivals(self.stage), secrets_of(self.stage, PASSWORDS)
        found = missing(self.stage, self.answers, self.outage, secrets)
        self.report.heading("Where it all went")
        self.report.table(everything)
        if found:
            self.report.heading("What is missing")
            self.report.problems(found)
        else:
            self.report.heading("What you saw")
            self.report.say(
                SUMMARY.format(events=len(everything), secrets=len(secrets), soon=max(self.soon.values(), default=0.0))
            )
        return found

    # What steps are made of ----------------------------------------------------------------------------------------

    def request(
        self, path: str, body: dict[str, object] | None = None, *, answer: str = "OK", events: Sequence[str]
    ) -> list[Arrival]:
        """The browser asks, the app answers, and what came of it is told once there is nothing more to see.

        Returns that, or nothing when it is not what should have come of it: then there is nothing to explain.
        """
        answered = self.stage.browser.post(path, body)
        self.answers.append((answered, answer))
        self.report.request(answered)
        self.stage.watch.until(lambda: all(arrival.explained for arrival in self.new()), PATIENCE)
        happened = self.new()
        for arrival in happened:
            self.report.arrival(arrival)
            self.last_told = arrival.event.sequence
        if [arrival.event.type for arrival in happened] == list(events):
            return happened
        self.report.problems([f"Expected: {', '.join(events) or 'no event'}."])
        return []

    def new(self) -> list[Arrival]:
        """What was not told yet."""
        return arrivals(self.stage, after=self.last_told)

    def another_probe_failed(self) -> bool:
        breaker = open_breaker(self.stage)
        return breaker is not None and (self.outage is None or breaker.probes > self.outage.probes)

    def all_is_settled(self) -> bool:
        """Whether everything has arrived, except for what the receiver refuses: that will not change."""
        return all(arrival.explained and (arrival.refused or not arrival.waits) for arrival in arrivals(self.stage))


def _asked_for(stage: Stage) -> str:
    return "" if stage.same_secret else ", and has another secret than the sender, as you asked"


def span(policy: RetryPolicy) -> str:
    """How long a schedule lasts, in hours and minutes."""
    minutes = int(sum(policy.schedule)) // 60
    return f"{minutes // 60} h {minutes % 60} m"


PICTURE = """\
browser ──▶ app with SDK ──▶ outbox ──┬──▶ webhook "crm" ──▶ receiver
               │            (SQLite)  └──▶ file "audit"
               └──▶ core
"""

CODE = """\
events = Events.from_toml()
init(…, experimental=SupertokensExperimentalConfig(plugins=[events.plugin()]))
"""

SUMMARY = (
    "A TOML file and one line in init() made {events} events of what Ada did. Each was stored before her browser was "
    "answered, so the outage cost her nothing and lost nothing: what could not be delivered waited with its reason, spent "
    "at most one of its attempts, and arrived by itself within {soon:.1f} s of the receiver's return, under the id it "
    "always had. Each event is in the file once, and came to the receiver once with a signature that standardwebhooks, the "
    "reference library, accepts. None of the {secrets} passwords, tokens and keys that were used is in any request to the "
    "receiver, or in any file."
)
