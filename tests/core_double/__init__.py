"""An in-memory SuperTokens core (CDI 5.1 to 5.4) over real HTTP, for tests, the demo and benchmarks.

    with CoreDouble() as core:
        supertokens_python.init(supertokens_config=SupertokensConfig(core.url), ...)

It answers as a real core 11.4.7 answered in recorded transcripts (``test_core_double_contract.py``). It is no core for
production: passwords are hashed fast, nothing is kept, and there is no API key.

Beside it: ``software_authenticator`` (a passkey), ``software_idp`` (a SAML identity provider) and ``contract`` (recorded
answers against a core's own).
"""

from core_double.secret_values import SecretValues
from core_double.server import CoreDouble, Recorded

__all__ = ["CoreDouble", "Recorded", "SecretValues"]
