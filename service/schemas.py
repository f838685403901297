"""The wire, as far as several routes share it: findings, usage, models, errors, readiness.

Knows no engine and no guard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

if TYPE_CHECKING:
    from service.completion import Completion
    from service.release import Finding


class Citation(BaseModel):
    """Where matching public code stands, and under which licence."""

    URL: str
    license: str


class ProtectedMaterial(BaseModel):
    """A finding in public code: `filtered` when the text was kept back, else it came with this citation."""

    detected: bool = True
    filtered: bool
    citation: Citation


class ContentFilterResults(BaseModel):
    """Findings, as Azure OpenAI shapes them."""

    protected_material_code: ProtectedMaterial

    @classmethod
    def of(cls, finding: Finding | None) -> ContentFilterResults | None:
        """What a caller is told of `finding`, if there is one."""
        if finding is None:
            return None
        citation = Citation(URL=finding.source, license=finding.license)
        return cls(protected_material_code=ProtectedMaterial(filtered=finding.filtered, citation=citation))


class Usage(BaseModel):
    """Tokens of the prompts, and of the text that was released."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, completion: Completion) -> Usage:
        """The usage of an answer."""
        prompt, text = completion.prompt_tokens, completion.completion_tokens
        return cls(prompt_tokens=prompt, completion_tokens=text, total_tokens=prompt + text)


class ModelBody(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "cleanroom"


class ModelList(BaseModel):
    """The models that are served."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


class ErrorDetail(BaseModel):
    """What was wrong and what to do; `param` names the field, `code` is stable."""

    message: str
    type: str
    param: str | None = None
    code: str


class ErrorBody(BaseModel):
    """Every error has this shape."""

    error: ErrorDetail


class PartState(BaseModel):
    """Whether one part could do its work now; `reason` is the kind of error, the log has the rest."""

    ready: bool
    reason: str | None = None


class Readiness(BaseModel):
    """Whether the service could answer now, part by part."""

    ready: bool
    parts: dict[str, PartState]
