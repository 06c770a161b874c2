"""A Django project in one module, with SuperTokens' middleware and three views of its own, for WSGI and for ASGI."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from supertokens_python.recipe.session import asyncio as sessions
from supertokens_python.recipe.session import syncio as sessions_sync
from supertokens_python.recipe.session.framework.django.asyncio import verify_session as verify_session_async
from supertokens_python.recipe.session.framework.django.syncio import verify_session

from apps.inside import what_is_left


def left(request: Any) -> Any:
    return JsonResponse(what_is_left())


async def left_async(request: Any) -> Any:
    return JsonResponse(what_is_left())


@csrf_exempt
def ban(request: Any, user_id: str) -> Any:
    return JsonResponse(sessions_sync.revoke_all_sessions_for_user(user_id), safe=False)


@csrf_exempt
async def ban_async(request: Any, user_id: str) -> Any:
    return JsonResponse(await sessions.revoke_all_sessions_for_user(user_id), safe=False)


@verify_session()
def me(request: Any) -> Any:
    return JsonResponse({"user_id": request.supertokens.get_user_id()})


@verify_session_async()
async def me_async(request: Any) -> Any:
    return JsonResponse({"user_id": request.supertokens.get_user_id()})


urlpatterns = [
    path("app/left", left),
    path("app/ban/<user_id>", ban),
    path("app/me", me),
    path("async/left", left_async),
    path("async/ban/<user_id>", ban_async),
    path("async/me", me_async),
]


def make_wsgi_app() -> Any:
    _configure()
    return get_wsgi_application()


def make_asgi_app() -> Any:
    _configure()
    return get_asgi_application()


def _configure() -> None:
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            LOGGING_CONFIG=None,
            MIDDLEWARE=["supertokens_python.framework.django.django_middleware.middleware"],
            ROOT_URLCONF=__name__,
            SECRET_KEY="nobody signs in to Django here",
            USE_TZ=True,
        )
        django.setup()
