"""Why a TLS connection to a receiver failed, in one clear sentence with the fix."""

from __future__ import annotations

import ssl

_EXPIRED, _NOT_YET_VALID = 10, 9
_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN = 18, 19
_NO_LOCAL_ISSUER, _UNVERIFIED_LEAF = 20, 21
_HOSTNAME_MISMATCH, _ADDRESS_MISMATCH = 62, 64
"""X509_V_ERR_* of OpenSSL."""
_OWN_AUTHORITY = "name the file of its authority in SSL_CERT_FILE in the environment of watch"
_UNKNOWN_AUTHORITY = f"its certificate comes from an authority that this machine does not trust: {_OWN_AUTHORITY}"
_SENTENCES = {
    _EXPIRED: "its certificate has expired: renew it there",
    _NOT_YET_VALID: "its certificate is not valid yet: check the clocks of both machines",
    _SELF_SIGNED: f"its certificate is self-signed: {_OWN_AUTHORITY}",
    **dict.fromkeys((_SELF_SIGNED_IN_CHAIN, _NO_LOCAL_ISSUER, _UNVERIFIED_LEAF), _UNKNOWN_AUTHORITY),
    _HOSTNAME_MISMATCH: "its certificate is for another host name: use the name that the certificate has in {setting}",
    _ADDRESS_MISMATCH: "its certificate is not for this address: use the name that the certificate has in {setting}",
}


def tls_sentence(error: BaseException, setting: str) -> str | None:
    """None where TLS is not what failed. `setting`: where the address is set."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    if isinstance(cause, ssl.SSLCertVerificationError):
        usual = "its certificate cannot be verified (OpenSSL error {code})"
        sentence = _SENTENCES.get(cause.verify_code, usual)
        return sentence.format(setting=setting, code=cause.verify_code)
    return (
        f"no TLS connection could be made ({cause.reason or type(cause).__name__}): check scheme and port in {setting}"
    )
