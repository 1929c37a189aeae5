"""Secrets, and what is kept of them. Cookies are signed by itsdangerous (HMAC-SHA512), so a made-up one is refused without a look-up."""

import hashlib
import secrets

from itsdangerous import BadSignature, URLSafeTimedSerializer

# 32 random bytes cannot be guessed, so a plain hash keeps them as well as a slow one.
SECRET_BYTES = 32
LONGEST = 200


def new_secret(kind: str) -> str:
    """Return a fresh secret; `kind` (`own`, `join`, `tok`, `ses`) stands before it, so that one cannot be used as another."""
    return f"{kind}_{secrets.token_urlsafe(SECRET_BYTES)}"


def new_id(kind: str) -> str:
    """Return an id that may be shown; it opens nothing."""
    return f"{kind}-{secrets.token_hex(5)}"


def digest(secret: str) -> str:
    """Return what is kept of a secret: its SHA-256 in hexadecimal digits."""
    # What is shown may be anything: half a character, which JSON can hold, is a wrong secret and no failure.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two secrets in a time that does not depend on them."""
    return secrets.compare_digest(digest(one), digest(other))


class Seal:
    """Signs session secrets for cookies."""

    def __init__(self, key: bytes) -> None:
        self._signer = URLSafeTimedSerializer(key, salt="studio-session", signer_kwargs={"digest_method": hashlib.sha512})

    def close(self, secret: str) -> str:
        """Return the cookie's value."""
        return str(self._signer.dumps(secret))

    def open(self, cookie: str) -> str | None:
        """Return the secret in a cookie, or None when we did not sign it."""
        try:
            secret = self._signer.loads(cookie) if len(cookie) <= LONGEST * 2 else None
        except BadSignature:
            return None
        return secret if isinstance(secret, str) else None
