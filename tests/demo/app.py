"""An app with FastAPI, SuperTokens and supertokens-events, as you would write it. Nothing here belongs to the demo.

    uvicorn app:app

It reads ``supertokens-events.toml`` in the working directory, or the file that SUPERTOKENS_EVENTS_CONFIG names.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from supertokens_python import InputAppInfo, SupertokensConfig, SupertokensExperimentalConfig, init
from supertokens_python.framework.fastapi import get_middleware
from supertokens_python.ingredients.emaildelivery.types import EmailDeliveryConfig, EmailDeliveryInterface
from supertokens_python.recipe import emailpassword, session
from supertokens_python.recipe.emailpassword import EmailTemplateVars

from supertokens_events import Events


class Mailbox(EmailDeliveryInterface[EmailTemplateVars]):
    """Keeps the mail that a real app would send, through the SDK's ``SMTPService`` for example."""

    def __init__(self) -> None:
        self.links: list[str] = []

    async def send_email(self, template_vars: EmailTemplateVars, user_context: dict[str, Any]) -> None:
        self.links.append(template_vars.password_reset_link)


mailbox = Mailbox()
events = Events.from_toml()

init(
    app_info=InputAppInfo(
        app_name="Demo",
        api_domain=os.environ.get("API_URL", "http://localhost:8000"),
        website_domain=os.environ.get("WEBSITE_URL", "http://localhost:3000"),
    ),
    supertokens_config=SupertokensConfig(connection_uri=os.environ.get("CORE_URL", "http://localhost:3567")),
    framework="fastapi",
    recipe_list=[emailpassword.init(email_delivery=EmailDeliveryConfig(mailbox)), session.init()],
    experimental=SupertokensExperimentalConfig(plugins=[events.plugin()]),
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    events.start()  # what an earlier run could not deliver goes out now, not with the first event
    yield
    events.stop()  # what is in flight is finished, the rest stays in the outbox


app = FastAPI(lifespan=lifespan)
app.add_middleware(get_middleware())


@app.get("/")
async def home() -> str:
    return "Here the app begins. Signing up, in and out happens under /auth."
