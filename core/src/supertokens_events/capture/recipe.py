"""How a recipe says what to capture: by naming functions, results and fields. The wrapping is written once, in
``rebind``.

A capture function *names the fields it takes*, as its parameters: they are filled from the call's arguments, then from
the attributes of what came back. The signature is the allow-list. A name that can hold a secret is refused when it is
declared.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from supertokens_events.capture.scope import Kind, Scope, SessionFacts
from supertokens_events.catalog import EventData
from supertokens_events.event import Actor
from supertokens_events.forks import no_fork

__all__ = ["Capture", "Fact", "Matcher", "Outcome", "Reader", "Recipe", "Recipes", "failure", "ok", "raised"]

# What must never leave, as arguments or as attributes of results.
SECRET_NAMES = frozenset(
    """
    password token tokens form_fields session access_token refresh_token anti_csrf_token access_token_payload
    session_data_in_database new_session_data access_token_payload_update new_access_token_payload user_input_code
    link_code device_id pre_auth_session_id secret qr_code_string totp credential webauthn_generated_options_id
    challenge recover_account_token oauth_tokens raw_user_info_from_provider redirect_uri_info form_post_info
    client_secret cookies params authorization_header body redirect_to payload jwt metadata_xml saml_response
    relay_state state config core_config api_options options user_context request link id_token code code_verifier
    cookie redirect_uri frontend_redirect_to login_challenge logout_challenge claims initial_access_token_payload
    initial_id_token_payload
    """.split()  # noqa: SIM905 - a list of words reads best as words
)

_ERROR_CODE = re.compile(r"ERR_CODE_\d+")

Matcher = Callable[["Outcome"], Mapping[str, Any] | None]
Derive = Callable[[Mapping[str, Any], "Outcome", Scope], Any]
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Fact:
    """What a call made true. ``by_subject``: in a request of their own, the user it is about is the one who did it.
    ``actor`` says who did it where the scope cannot.
    """

    data: EventData
    user_id: str | None = None
    tenant_id: str | None = None
    by_subject: bool = False
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back from the SDK: a value, or an exception."""

    value: Any = None
    error: BaseException | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its class and of what that inherits, so that an app's own subclass is recognised."""
        return tuple(cls.__name__ for cls in type(self.error or self.value).__mro__)


def ok(*names: str) -> Matcher:
    """The call returned an object of one of these classes; without names: anything."""
    return lambda outcome: {} if outcome.error is None and (not names or set(names) & set(outcome.names)) else None


def raised(*names: str) -> Matcher:
    """The call raised one of these exceptions."""
    return lambda outcome: {} if outcome.error is not None and set(names) & set(outcome.names) else None


def failure(
    reasons: Mapping[str, str], *, ok: Iterable[str], other: str, error: str, but_not: Iterable[str] = ()
) -> Matcher:
    """The call returned anything but ``ok``, or raised anything but ``but_not``.

    Gives the field ``reason``: by class name, else ``other``, else ``error`` when it raised.
    """
    accepted = frozenset([*ok, *but_not])

    def match(outcome: Outcome) -> Mapping[str, Any] | None:
        if outcome.error is not None and not isinstance(outcome.error, Exception):
            return None  # cancelled: nobody knows how it would have ended
        if accepted & set(outcome.names):
            return None
        known = (reasons[name] for name in outcome.names if name in reasons)
        return {"reason": next(known, error if outcome.error is not None else other)}

    return match


@dataclass(frozen=True)
class Capture:
    """One declaration: after ``name`` came to what ``matches``, call ``handler`` with the fields it names."""

    name: str
    kind: Kind
    handler: Callable[..., Fact | Iterable[Fact] | None]
    fields: Mapping[str, inspect.Parameter]
    matches: Matcher
    outside_api: bool
    first: bool
    or_else: str | None

    def name_in(self, implementation: Any) -> str:
        """The function of this SDK that does what ``name`` does in a newer one."""
        return self.or_else if self.or_else and not hasattr(implementation, self.name) else self.name


@dataclass(frozen=True)
class Reader:
    """What to read from the core before the call, or after one that came to what ``matches``, when somebody wants one of
    the ``event_types``.
    """

    name: str
    reader: Callable[..., Awaitable[Mapping[str, Any]]]
    fields: Mapping[str, inspect.Parameter]
    event_types: tuple[str, ...]
    matches: Matcher | None = None
    vital: bool = False


class Recipe:
    """What is captured of one SDK recipe, by its recipe id."""

    def __init__(self, recipe_id: str) -> None:
        self.id = recipe_id
        self.captures: list[Capture] = []
        self.frames: list[str] = []
        self.ignored: dict[str, str] = {}
        self.readers: dict[str, Reader] = {}
        self.readers_after: dict[str, Reader] = {}
        self.derived: dict[str, Derive] = dict(_DERIVED)

    def function(
        self, name: str, matches: Matcher, *, outside_api: bool = False, first: bool = False, or_else: str | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """After this recipe function.

        ``outside_api``: only when no API function of this recipe is around it. ``first``: its facts stand before those
        of the calls that it made itself (a user is created before it is linked, though the SDK answers only after
        both). ``or_else``: the function to watch in an SDK that does not have ``name``.
        """
        return self._declare("function", name, matches, outside_api=outside_api, first=first, or_else=or_else)

    def api(self, name: str, matches: Matcher) -> Callable[[HandlerT], HandlerT]:
        """After this frontend API function."""
        return self._declare("api", name, matches)

    def method(self, name: str, matches: Matcher) -> Callable[[HandlerT], HandlerT]:
        """After this method of the SDK's own object, for what passes by the interfaces that can be overridden."""
        return self._declare("method", name, matches)

    def derive(self, name: str) -> Callable[[Derive], Derive]:
        """A field that is neither an argument nor an attribute: made from arguments, outcome and scope, and plain.

        The only place that may touch an argument that can hold a secret. It takes out what may be told, such as the
        public id of a credential or the keys of a mapping.
        """

        def declare(function: Derive) -> Derive:
            self.derived[name] = function
            return function

        return declare

    def frame(self, *names: str) -> None:
        """Frontend API functions that say nothing themselves, but are where what happens inside them comes from."""
        self.frames.extend(names)

    def ignore(self, *names: str, because: str) -> None:
        """Functions of the SDK that are no event, each with its reason: so none is missed without a word."""
        self.ignored.update(dict.fromkeys(names, because))

    def read_before(
        self, name: str, *event_types: type[EventData], needs: Iterable[str] = (), vital: bool = False
    ) -> Callable[[HandlerT], HandlerT]:
        """An async function that runs before ``name`` and returns more fields for its captures.

        It costs a call of the core, so it only runs when somebody wants one of ``event_types``; one that names none
        decides for itself. ``vital``: without it nobody knows whether anything happened, so when nobody wants it nothing is
        said, which is counted. ``needs`` lets it take arguments that can hold a secret, to find something by them; what it
        returns is what may be told.
        """

        def declare(reader: HandlerT) -> HandlerT:
            self.readers[name] = _reader(name, reader, event_types, needs, vital=vital)
            return reader

        return declare

    def read_after(
        self, name: str, matches: Matcher, *event_types: type[EventData], needs: Iterable[str] = ()
    ) -> Callable[[HandlerT], HandlerT]:
        """The same after a call that came to what ``matches``, before its captures: for what the result does not say."""

        def declare(reader: HandlerT) -> HandlerT:
            self.readers_after[name] = _reader(name, reader, event_types, needs, matches)
            return reader

        return declare

    def watched(self, kind: Kind, implementation: Any) -> Mapping[str, Sequence[Capture]]:
        """The SDK functions of this kind to wrap, each with its captures."""
        found: dict[str, list[Capture]] = {name: [] for name in self.frames if kind == "api"}
        for capture in self.captures:
            if capture.kind == kind:
                found.setdefault(capture.name_in(implementation), []).append(capture)
        return found

    def _declare(
        self,
        kind: Kind,
        name: str,
        matches: Matcher,
        *,
        outside_api: bool = False,
        first: bool = False,
        or_else: str | None = None,
    ) -> Callable[[HandlerT], HandlerT]:
        def declare(handler: HandlerT) -> HandlerT:
            self.captures.append(Capture(name, kind, handler, _fields(handler), matches, outside_api, first, or_else))
            return handler

        return declare


class Recipes(MutableMapping[str, Recipe]):
    """Recipes by id, each from its module in ``package``, which is imported when somebody asks for the recipe."""

    def __init__(self, package: str, ids: Iterable[str]) -> None:
        self._package = package
        self._recipes: dict[str, Recipe | None] = dict.fromkeys(ids)

    def __getitem__(self, recipe_id: str) -> Recipe:
        recipe = self._recipes[recipe_id]
        if recipe is None:
            with no_fork():
                recipe = import_module(f"{self._package}.{recipe_id}").recipe
            self._recipes[recipe_id] = recipe
        return recipe

    def __contains__(self, recipe_id: object) -> bool:
        return recipe_id in self._recipes  # without importing it: what that raises is not to be taken for "no"

    def __setitem__(self, recipe_id: str, recipe: Recipe) -> None:
        self._recipes[recipe_id] = recipe

    def __delitem__(self, recipe_id: str) -> None:
        del self._recipes[recipe_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._recipes)

    def __len__(self) -> int:
        return len(self._recipes)


def _reader(
    name: str,
    reader: Callable[..., Any],
    event_types: Iterable[type[EventData]],
    needs: Iterable[str],
    matches: Matcher | None = None,
    *,
    vital: bool = False,
) -> Reader:
    wanted = tuple(data_model.event_type for data_model in event_types)
    return Reader(name, reader, _fields(reader, allowed={"user_context", *needs}), wanted, matches, vital)


def _fields(function: Callable[..., Any], allowed: Iterable[str] = ()) -> Mapping[str, inspect.Parameter]:
    fields = inspect.signature(function).parameters
    if forbidden := (SECRET_NAMES - set(allowed)) & set(fields):
        raise ValueError(f"{function.__qualname__} asks for {', '.join(sorted(forbidden))}, which can hold a secret")
    return fields


class MissingField(LookupError):
    """A capture function asks for a field that this version of the SDK does not have."""


def fill(
    fields: Mapping[str, inspect.Parameter],
    *,
    extra: Mapping[str, Any],
    derived: Mapping[str, Derive],
    arguments: Mapping[str, Any],
    outcome: Outcome,
    scope: Scope,
) -> dict[str, Any]:
    """Values for the fields, copied into plain ones. Raises :class:`MissingField` for one that is nowhere and has no
    default.
    """
    attributes = _Attributes(outcome)
    values: dict[str, Any] = {}
    for name, parameter in fields.items():
        if name in extra:
            values[name] = extra[name]
        elif name in derived:
            values[name] = derived[name](arguments, outcome, scope)
        elif name in arguments:
            values[name] = _plain(arguments[name])
        elif name in attributes:
            values[name] = _plain(attributes[name])
        elif parameter.default is inspect.Parameter.empty:
            raise MissingField(name)
    return values


def _plain(value: Any) -> Any:
    return value.get_as_string() if hasattr(value, "get_as_string") else value


class _Attributes:
    """An outcome's attributes by name. Of a ``SessionContainer``, which holds tokens, only its ids."""

    def __init__(self, outcome: Outcome) -> None:
        subject = outcome.error or outcome.value
        self._subject = SessionFacts.of(subject) if hasattr(subject, "get_access_token_payload") else subject

    def __contains__(self, name: str) -> bool:
        return hasattr(self._subject, name)

    def __getitem__(self, name: str) -> Any:
        return getattr(self._subject, name)


def _email(arguments: Mapping[str, Any], outcome: Outcome, _scope: Scope) -> str | None:
    """The e-mail of the call: its argument, its form's field, or the result's."""
    for field in arguments.get("form_fields") or ():
        if field.id == "email":
            return str(field.value)
    email = arguments.get("email") or getattr(outcome.value, "email", None)
    return email if isinstance(email, str) else None


def _error_code(_arguments: Mapping[str, Any], outcome: Outcome, _scope: Scope) -> str | None:
    """The SDK's support code in the text of a refusal, such as ``ERR_CODE_008``."""
    match = _ERROR_CODE.search(str(getattr(outcome.value, "reason", "")))
    return match[0] if match else None


_DERIVED: Mapping[str, Derive] = {
    "scope": lambda _arguments, _outcome, scope: scope,
    "result": lambda _arguments, outcome, _scope: _only_plain(outcome.value),
    "email": _email,
    "has_password": lambda arguments, _outcome, _scope: arguments.get("password") is not None,
    "error_code": _error_code,
}


def _only_plain(value: Any) -> Any:
    """A bool, or a list of texts: the results that have no attributes to name."""
    if isinstance(value, bool) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return value
    raise MissingField("result")
