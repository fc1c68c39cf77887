"""The frame of all pages: templates, languages, files, and the headers that keep them safe."""

from __future__ import annotations

import asyncio
from functools import cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.roles import ADMINS, ANNOTATORS, APPS, REVIEWERS
from service.cookies import LANGUAGE, read_cookie, session_cookie, set_cookie
from service.exchange import NOBODY, Incoming, Reply
from service.pages.assets import Assets
from service.pages.words import LANGUAGES, Language, choose_language, read_language
from service.problems import Headers
from service.worker import Worker
from tasks.declaration import Task

HTML = b"text/html; charset=utf-8"

_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""The hash of nothing: plotly adds an empty style element, and fills it through the object model."""

POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {_EMPTY_STYLE}; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing but our own files, and no script inside a page."""

_SAFE: Headers = [
    (b"content-security-policy", POLICY.encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"vary", b"Cookie, Accept-Language"),
]
_ROLES = {"ADMINS": ADMINS, "ANNOTATORS": ANNOTATORS, "APPS": APPS, "REVIEWERS": REVIEWERS}


class Site:
    """Renders pages for whoever asks."""

    def __init__(self, worker: Worker) -> None:
        """Know the templates and files; languages are read when they are first spoken."""
        self._worker = worker
        self.assets = Assets()

    async def page(self, incoming: Incoming, template: str, *, status: int = 200, **context: object) -> Reply:
        """Render `template` with `context` and what every page knows; see `_shared`.

        Outside the event loop, where predictions would wait for it: a long page takes tens of milliseconds, and the
        first in a language more.
        """
        return await asyncio.to_thread(self._render, incoming, template, status, context)

    def _render(self, incoming: Incoming, template: str, status: int, context: dict[str, object]) -> Reply:
        language = self.language(incoming)
        rendered = _templates(language.tag).get_template(template).render(self._shared(incoming, language) | context)
        headers = [*_SAFE, (b"content-language", language.tag.encode())]
        return Reply(status, rendered.encode("utf-8", "replace"), HTML, headers)

    def language(self, incoming: Incoming) -> Language:
        """Return the language in which to answer."""
        accepted = incoming.headers.get(b"accept-language", b"").decode("latin-1")
        return _language(choose_language(read_cookie(incoming.headers, LANGUAGE), accepted))

    async def error(self, incoming: Incoming, status: int, detail: str, headers: Headers) -> Reply:
        """Return the page that says what went wrong; where a key is missing, lead to where it can be given."""
        if status == 401 and incoming.scope["method"] in {"GET", "HEAD"}:
            name = session_cookie(incoming.headers)
            dead = [set_cookie(incoming.headers, name, "", 0)] if read_cookie(incoming.headers, name) else []
            return redirect(f"/app/sign-in?next={quote(_place(incoming), safe='')}", dead)
        title = HTTPStatus(status).phrase
        reply = await self.page(incoming, "error.html.j2", status=status, code=status, title=title, detail=detail)
        reply.headers.extend(headers)
        return reply

    def _shared(self, incoming: Incoming, language: Language) -> dict[str, object]:
        """Return what every template may use, beside the filters and roles of `_templates`."""
        caller = incoming.caller
        declared = self._worker.declared()
        return {
            "caller": None if caller is NOBODY else caller,
            "is_open": self._worker.callers.is_open,
            "signed_in": incoming.session is not None,
            "has_demo": self._worker.demo_sign.is_up,
            "csrf": incoming.csrf,
            "language": language.tag,
            "languages": LANGUAGES,
            "asset": self.assets.url,
            "granted": [task for name, task in declared.items() if caller.may_see(name)],
            "path": incoming.scope["path"],
            "place": _place(incoming),
            "task": None,
        }


def redirect(place: str, headers: Headers | None = None) -> Reply:
    """Send the browser to `place`, a path of this service, with GET."""
    return Reply(303, b"", HTML, [(b"location", place.encode()), (b"cache-control", b"no-store"), *(headers or [])])


def title_of(task: Task) -> str:
    """Return what people call a task."""
    return task.title or task.name


def _place(incoming: Incoming) -> str:
    """Return the path that was asked for, with what stands after `?`."""
    query = incoming.scope.get("query_string", b"").decode("latin-1")
    path = quote(incoming.scope["path"])
    return f"{path}?{query}" if query else path


@cache
def _language(tag: str) -> Language:
    return read_language(tag)


@cache
def _templates(tag: str) -> Environment:
    """Return the templates in one language."""
    language = _language(tag)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {"number": language.number, "percent": language.percent, "title_of": title_of}
    environment.globals |= _ROLES
    return environment
