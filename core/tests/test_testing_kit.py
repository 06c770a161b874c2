"""What the kit gives to tests: samples of every type, a place that speaks HTTP, a loop that is watched."""

import base64
import contextlib
import gzip
import subprocess
import sys
import time

import anyio
import httpx
import pytest

from supertokens_events.catalog import builtin_catalog
from supertokens_events.event import Event
from supertokens_events.testing import HttpAnswer, HttpPlace, Place, deviates, odd_events, sample_event, sample_events
from supertokens_events.testing.disguises import disguises
from supertokens_events.testing.stalls import LoopWatch

ACME = """
from supertokens_events import hookimpl
from supertokens_events.catalog import EventData


class Ordered(EventData):
    '''Somebody ordered.'''

    event_type = "app.acme.ordered"
    schema_version = 3
    example = {"anvils": 2}

    anvils: int


@hookimpl
def register_event_types():
    return [Ordered]
"""


class Server(HttpPlace):
    """One that is asked by hand."""

    refused = HttpAnswer(422, b"never")

    def post(self, body=b"", **headers):
        return self.client.post("/in?n=1", content=body, headers=headers)

    def __enter__(self):
        super().__enter__()
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=5, verify=False)
        return self

    def __exit__(self, *error):
        self.client.close()
        super().__exit__(*error)


@pytest.fixture
def place():
    with Server() as place:
        yield place


# Samples ---------------------------------------------------------------------------------------------------------------


def test_there_is_a_sample_of_every_type():
    """``sample_events`` has each type of the catalog once, and each sample's data fits its type."""
    samples = sample_events()

    catalog = builtin_catalog()
    assert {model.event_type for model in catalog} <= {event.type for event in samples}
    assert len({event.type for event in samples}) == len(samples)
    for event in samples:
        if (model := catalog.get(event.type)) is not None:
            model.model_validate(event.data)
            assert event.schema_version == model.schema_version


def test_a_plugins_types_have_samples(tmp_path):
    """A type that an installed plugin brings has its own example as its sample."""
    (tmp_path / "acme_types.py").write_text(ACME)
    (tmp_path / "acme-1.0.dist-info").mkdir()
    (tmp_path / "acme-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (tmp_path / "acme-1.0.dist-info/entry_points.txt").write_text("[supertokens_events]\nacme = acme_types\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from supertokens_events.testing import sample_event, sample_events\n"
        "event = sample_event('app.acme.ordered')\n"
        "print(event.data, event.schema_version, event.type in [one.type for one in sample_events()])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "{'anvils': 2} 3 True"


def test_fields_replace_the_samples():
    """What a test is about it says; a type of no catalog has no data of its own."""
    assert sample_event("user.created", user_id="ada").user_id == "ada"
    assert sample_event("app.mine").data == {}


def test_odd_events_are_events():
    """However odd, each can be stored and read again as it was."""
    for name, event in odd_events().items():
        assert Event.from_bytes(event.to_bytes()) == event, name


# Places ----------------------------------------------------------------------------------------------------------------


def test_a_place_tells_what_it_took(place):
    """What is taken is told in order; every request is kept with its headers, a body in pieces or in gzip too."""
    place.post(b"one", accept="*/*")
    place.client.post("/in", content=iter([b"tw", b"o"]))
    place.post(gzip.compress(b"three"), **{"content-encoding": "gzip"})

    assert place.received() == ["one", "two", "three"]
    assert [request.target for request in place.requests] == ["/in?n=1", "/in", "/in?n=1"]
    assert (place.requests[0].method, place.requests[0].headers["accept"]) == ("POST", "*/*")


def test_a_place_refuses_what_it_is_told_to(place):
    """Some texts, or everything; what it refuses it has not received. ``take`` ends it."""
    place.refuse("two", "three")
    some = [place.post(body).status_code for body in (b"one", b"two", b"three")]
    place.refuse()
    all_of_it = place.post(b"four").status_code
    place.take()

    assert (some, all_of_it, place.post(b"five").status_code) == ([200, 422, 422], 422, 200)
    assert place.received() == ["one", "five"]


def test_a_busy_place_says_when(place):
    """It asks for patience with 429 and ``Retry-After``."""
    place.be_busy(30)

    answer = place.post(b"one")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert place.received() == []


def test_a_place_that_is_away_comes_back_at_its_address(place):
    """Away, it breaks the connections that there are and takes no new ones; back, it has the same port."""
    place.post()
    assert place.connections() == 1

    place.go_away()
    with pytest.raises(httpx.TransportError):
        place.post()
    place.take()

    assert place.post().status_code == 200


def test_a_place_that_hangs_answers_nobody(place):
    """Neither on a new connection nor on one that was open before; what it does not answer it has not received."""
    place.post(b"one")
    place.hang()

    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            place.client.post("/in", content=b"two", timeout=0.1)
    assert place.received() == ["one"]


TAKEN = {
    "half a body",
    "chunks that are none",
    "a web page",
    "bytes that are no text",
    "half of some JSON",
    "JSON of another kind",
    "JSON that is no JSON",
    "gzip that is none",
    "success with what it was sent",
}


@pytest.mark.parametrize("garbage", HttpPlace.garbage)
def test_garbage_is_a_success_or_none(place, garbage):
    """Of the nonsense that it answers, what has a head that says success is received, and nothing else; it goes on afterwards."""
    place.answer(garbage)
    with contextlib.suppress(httpx.TransportError, httpx.DecodingError):
        place.post(b"one")
    place.take()

    assert list(place.received()) == (["one"] if garbage in TAKEN else [])
    assert place.post(b"two").status_code == 200


def test_a_place_that_cannot_says_so():
    """What a place of one's own does not write is an error with its name."""

    class Shelf(Place):
        take = received = list

    with pytest.raises(NotImplementedError, match=r"^Shelf has no refuse\(\): write it, or say in the contract"):
        Shelf().refuse()


# The rest --------------------------------------------------------------------------------------------------------------


def test_a_deviation_needs_a_reason():
    """``deviates`` without a word is an error."""
    with pytest.raises(ValueError, match="needs a reason"):
        deviates(" ")


@pytest.mark.anyio
async def test_a_loop_that_waits_is_not_blocked():
    """A loop with nothing to do for longer than the watch's patience is not taken for one that is blocked."""
    watch = LoopWatch()
    with watch.watching():
        await anyio.sleep(0.4)

    assert watch.blocked_at == ""


def compute(seconds):
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        pass


@pytest.mark.anyio
@pytest.mark.parametrize("blocks", [time.sleep, compute])
@pytest.mark.parametrize(("seconds", "found"), [(0.25, True), (0.05, False)])
async def test_a_loop_that_is_blocked_is_found(blocks, seconds, found):
    """A quarter of a second of waiting or computing in one step is too long for a loop, and a twentieth is not."""
    watch = LoopWatch()
    with watch.watching():
        await anyio.sleep(0.02)
        blocks(seconds)
        await anyio.sleep(0.02)

    assert bool(watch.blocked_at) == found


@pytest.mark.parametrize(
    ("told", "how"),
    [
        ('the key is s3cret/"key', ""),
        ("key=s3cret%2F%22key", "quoted as in a URL"),
        ('{"key": "s3cret/\\"key"}', "escaped as in JSON"),
        *(
            (base64.b64encode(text.encode()).decode(), "in base64")
            for text in ('s3cret/"key', 's3cret/"key:', ':s3cret/"key', 'a:s3cret/"key', 'ab:s3cret/"key:c')
        ),
    ],
)
def test_a_disguise_is_seen_through(told, how):
    """A text is found quoted, escaped, and in base64 with whatever stands around it."""
    assert {how for form, how in disguises('s3cret/"key').items() if form in told} == {how}


def test_what_is_no_disguise():
    """Of a short text there is too little in base64 to be found other than by chance; another text is not found."""
    assert [how for how in disguises("abc").values() if how == "in base64"] == []
    other = base64.b64encode(b"another text altogether").decode()
    assert not any(form in other for form in disguises("a secret text"))
