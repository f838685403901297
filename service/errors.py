"""Everything the service raises, with the HTTP status and exit code each deserves. Imports nothing of the package."""

from __future__ import annotations


class ServiceError(Exception):
    """Base of all errors of the service.

    `status` is the HTTP status; `type` and `code` are the fields of the OpenAI error object; `param` names the
    offending request field, where there is one. `public` is what clients read in place of the message where that is
    written for operators and may name addresses and paths. `retry_after`: seconds after which to try again, where that
    is known.
    """

    status = 500
    type = "server_error"
    code = "internal_error"
    public: str | None = None
    retry_after: float | None = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidRequestError(ServiceError):
    """The request cannot be answered as it stands."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class ContextLengthError(InvalidRequestError):
    """Prompt and requested tokens do not fit the model's window."""

    code = "context_length_exceeded"


class AuthenticationError(ServiceError):
    """No key, an unknown key or a revoked one."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class PermissionDeniedError(ServiceError):
    """A good key without the scope that the route asks for."""

    status = 403
    type = "permission_error"
    code = "missing_scope"


class OwnerOnlyError(PermissionDeniedError):
    """A reviewer asks for what only the owner of the code, or an administrator, may do."""

    code = "owner_only"


class NotFoundError(ServiceError):
    """Something named in the request does not exist."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ModelNotFoundError(NotFoundError):
    """The request names a model that is not served here."""

    code = "model_not_found"


class GuardUnavailableError(ServiceError):
    """The guard or the ledger cannot answer, so nothing is released."""

    status = 503
    type = "guard_unavailable"
    code = "guard_unavailable"
    public = "completions cannot be checked at present, so none is given: retry later, or ask your administrator"


class EngineError(ServiceError):
    """The engine failed or hung while generating."""

    status = 502
    type = "engine_error"
    code = "engine_failed"
    public = "the model failed while it wrote: retry, or ask your administrator"


class EngineUnavailableError(EngineError):
    """The engine cannot be reached or is not loaded."""

    status = 503
    code = "engine_unavailable"
    public = "the model cannot be reached at present: retry later, or ask your administrator"


class EngineTimeoutError(EngineError):
    """The engine did not finish in the time that a request may take."""

    status = 504
    code = "engine_timeout"
    public = "the model did not finish in time: ask for fewer tokens, or retry"


class TurnedAwayError(ServiceError):
    """Nothing is broken, but not now: in `retry_after` seconds it is worth another try."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimitError(TurnedAwayError):
    """A key has asked as often as it may for now."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class QuotaError(RateLimitError):
    """A key has used all the tokens that it may for now."""

    code = "insufficient_quota"


class QueueFullError(RateLimitError):
    """An organization has as many requests waiting for the engine as it may."""

    code = "queue_full"


class OverloadedError(TurnedAwayError):
    """More is asked of the engine, by all organizations together, than may wait for it."""

    status = 503
    code = "overloaded"


class DeadlineUnmetError(OverloadedError):
    """A request waited for the engine until its answer could not come in time any more."""

    code = "deadline_unmet"


class LimitsUnavailableError(ServiceError):
    """The store of the quotas does not answer, so nobody knows who may still ask."""

    status = 503
    code = "limits_unavailable"
    public = "quotas cannot be checked at present: retry later, or ask your administrator"


class SetupError(ServiceError):
    """The service cannot start: a missing model or extra, a port in use, a bad setting."""

    code = "setup_error"


class AccountError(ServiceError):
    """An organization or key that is unknown, badly named or already there."""

    status = 409
    type = "invalid_request_error"
    code = "account_error"


class ReleaseWithdrawnError(ServiceError):
    """The model that runs was withdrawn, or it cannot be told whether it was."""

    status = 503
    code = "model_withdrawn"
    public = "the model is not to be used any more: ask your administrator"


class AccountsUnavailableError(ServiceError):
    """The database of organizations and keys does not answer, so nobody can be let in."""

    status = 503
    code = "accounts_unavailable"
    public = "API keys cannot be checked at present: retry later, or ask your administrator"


class IndexUnavailableError(ServiceError):
    """The index cannot be listed or written now."""

    status = 503
    type = "index_unavailable"
    code = "index_unavailable"
    public = "the index cannot be reached or written at present: retry later, or ask your administrator"


class ReviewUnavailableError(ServiceError):
    """The ledger, or what reviewers said of it, cannot be read or written now."""

    status = 503
    type = "review_unavailable"
    code = "review_unavailable"
    public = "leaks cannot be read or judged at present: retry later, or ask your administrator"


class IndexMismatchError(ServiceError):
    """Fingerprints of another key, scheme or schema than the index's, which no check would find."""

    status = 409
    type = "invalid_request_error"
    code = "index_mismatch"
    remedy = "use the consortium's index key (CLEANROOM_INDEX_KEY or index.key) and the server's version of Cleanroom"


class RemoteError(ServiceError):
    """A Cleanroom server that is asked over HTTP does not answer, or refuses."""

    code = "remote_error"


class SignedOutError(AuthenticationError):
    """Nobody is signed in to the console, or not any more."""

    code = "signed_out"
    words = "you are not signed in, or your session is over: sign in again"


class FormRefusedError(ServiceError):
    """A form that did not come from a page of the session that it claims."""

    status = 403
    type = "permission_error"
    code = "form_refused"
    words = "this form did not come from a page of your session: reload the page and try again"


class ProviderError(ServiceError):
    """The OpenID Connect provider does not answer, or is not the one of the settings."""

    status = 502
    code = "provider_failed"
    public = "the sign-in provider cannot be reached at present: retry, or sign in with an API key"
