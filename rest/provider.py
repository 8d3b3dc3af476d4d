"""The client of an OpenID Connect provider: authorization code flow with PKCE, by Authlib and joserfc.

Nothing of what the provider sends is believed before its signature, issuer, audience, times and nonce were checked.
"""

from __future__ import annotations

import functools
import hmac
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from jobs.errors import SignInFailed
from jobs.settings import Settings, is_loopback

SCOPE: Final = "openid profile email"
TIMEOUT_S: Final = 10.0
LEEWAY_S: Final = 60
METADATA_S: Final = 3600.0
KEYS_S: Final = 300.0
"""Times after which metadata and keys of the provider are asked again."""

ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a public key. The others would accept a token that is not signed, or one signed with our secret."""

CALLBACK: Final = "/api/sign-in/callback"

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a provider says about a person."""

    issuer: str
    subject: str
    name: str = ""
    email: str = ""


class Provider:
    """One provider. Every method may wait for it, and raises SignInFailed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metadata: tuple[float, Values] = (-METADATA_S, {})
        self._keys: tuple[float, KeySet | None] = (-KEYS_S, None)

    @property
    def return_address(self) -> str:
        """Where the provider sends the browser back to; registered there."""
        return self._settings.public_address + CALLBACK

    def start(self, state: str, nonce: str, verifier: str) -> str:
        """The address at which a person signs in."""
        client = self._client()
        address, _ = client.create_authorization_url(
            self._endpoint("authorization_endpoint"), state=state, nonce=nonce, code_verifier=verifier
        )
        return str(address)

    def finish(self, code: str, nonce: str, verifier: str) -> Identity:
        """Exchange the code that the browser brought for the identity of its person."""
        try:
            with self._client() as client:
                answer = client.fetch_token(
                    self._endpoint("token_endpoint"), grant_type="authorization_code", code=code, code_verifier=verifier
                )
                claims = self._claims(str(answer.get("id_token", "")), nonce)
                if self._are_incomplete(claims) and "userinfo_endpoint" in self._described():
                    claims = self._with_user_info(client, claims)
        except (requests.RequestException, AuthlibBaseError, JoseError, ValueError, TypeError, KeyError) as error:
            raise _failed(error) from None
        self._require_domain(claims)
        words = [claims.get(key) for key in ("name", "preferred_username", "email")]
        return Identity(
            issuer=self._settings.sign_in_issuer,
            subject=claims["sub"],
            name=str(next(filter(None, words), "")),
            email=str(claims.get("email") or ""),
        )

    def end(self) -> str:
        """The address at which a person signs out of the provider too; empty where it has none."""
        try:
            endpoint = self._endpoint("end_session_endpoint")
        except SignInFailed:
            return ""
        back = {
            "client_id": self._settings.sign_in_client_id,
            "post_logout_redirect_uri": f"{self._settings.public_address}/",
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(back)}"

    def require_sender(self, values: Values) -> None:
        """The provider names itself in its answer if it says that it does: no other one may have sent the browser."""
        named = values.get("iss")
        announced = self._described().get("authorization_response_iss_parameter_supported") is True
        if (announced or named) and named != self._settings.sign_in_issuer:
            raise SignInFailed("The answer came from another provider than the one that was asked.")

    def _client(self) -> OAuth2Session:
        secret = self._settings.sign_in_client_secret
        methods = self._described().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = "client_secret_basic" in methods or "client_secret_post" not in methods
        return OAuth2Session(
            client_id=self._settings.sign_in_client_id,
            client_secret=secret.get_secret_value() if secret else None,
            token_endpoint_auth_method="none"
            if not secret
            else "client_secret_basic"
            if basic
            else "client_secret_post",
            scope=SCOPE,
            redirect_uri=self.return_address,
            code_challenge_method="S256",
            default_timeout=TIMEOUT_S,
        )

    def _claims(self, token: str, nonce: str) -> Values:
        try:
            decoded = jwt.decode(token, self._key_set(), algorithms=ALGORITHMS)
        except ValueError:  # signed with a key that is newer than ours
            self._keys = (-KEYS_S, None)
            decoded = jwt.decode(token, self._key_set(), algorithms=ALGORITHMS)
        client_id = self._settings.sign_in_client_id
        jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._settings.sign_in_issuer},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        ).validate(decoded.claims)
        claims = dict(decoded.claims)
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != client_id:
            raise ValueError("azp")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise ValueError("nonce")
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise ValueError("sub")
        return claims

    def _are_incomplete(self, claims: Values) -> bool:
        """Some providers put names and addresses into the user info alone."""
        needs_address = bool(self._settings.sign_in_email_domains) and "email_verified" not in claims
        return needs_address or not (claims.get("name") or claims.get("email"))

    def _with_user_info(self, client: OAuth2Session, claims: Values) -> Values:
        answer = client.get(self._endpoint("userinfo_endpoint"), allow_redirects=False)
        answer.raise_for_status()
        found = answer.json()
        if found.get("sub") != claims["sub"]:
            raise ValueError("sub of the user info")
        if claims.get("email", found.get("email")) != found.get("email"):  # what was verified is another address
            found.pop("email_verified", None)
        return {**found, **claims}

    def _require_domain(self, claims: Values) -> None:
        """The domain counts only if the provider has verified the address: anybody can enter one at some providers."""
        domains = self._settings.sign_in_email_domains
        domain = str(claims.get("email") or "").rpartition("@")[2].lower()
        if domains and not (claims.get("email_verified") is True and domain in domains):
            raise SignInFailed("This account is not admitted to this server.", hint="Ask its operator.")

    def _endpoint(self, name: str) -> str:
        """Raises SignInFailed unless the provider has it, with TLS where the issuer has TLS."""
        address = str(self._described().get(name, ""))
        if not self._is_safe(address):
            raise SignInFailed(f"The provider has no usable {name}.", hint="Try again later, or tell the operator.")
        return address

    def _is_safe(self, address: str) -> bool:
        parts = urlsplit(address)
        local = is_loopback(urlsplit(self._settings.sign_in_issuer).hostname or "")
        return bool(parts.hostname) and (parts.scheme == "https" or (local and parts.scheme == "http"))

    def _described(self) -> Values:
        """What the provider says about itself."""
        if time.monotonic() - self._metadata[0] >= METADATA_S:
            issuer = self._settings.sign_in_issuer
            found = self._asked(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise SignInFailed(
                    "The provider has another issuer than the setting SIGN_IN_ISSUER.", hint="Tell the operator."
                )
            self._metadata = (time.monotonic(), found)
        return self._metadata[1]

    def _key_set(self) -> KeySet:
        asked, keys = self._keys
        if keys is None or time.monotonic() - asked >= KEYS_S:
            keys = KeySet.import_key_set(self._asked(self._endpoint("jwks_uri")))  # type: ignore[arg-type] # checked there
            self._keys = (time.monotonic(), keys)
        return keys

    def _asked(self, address: str) -> Values:
        try:
            answer = requests.get(address, timeout=TIMEOUT_S, allow_redirects=False)
            answer.raise_for_status()
            found = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise _failed(error) from None
        if not isinstance(found, dict):
            raise _failed(TypeError())
        return found


@functools.lru_cache(maxsize=1)
def provider(settings: Settings) -> Provider:
    """The one of this process."""
    return Provider(settings)


def _failed(error: Exception) -> SignInFailed:
    """Without the text of the cause, which can have codes and tokens."""
    return SignInFailed(f"The provider did not confirm who this is ({type(error).__name__}).", hint="Sign in again.")
