"""The portal over a running platform."""

import os

from customers.rights.requests import Kind, RequestStore
from schema.service import GraphQLService
from server.console.forms import FormReader, Site
from server.mail import mailer_of
from server.platform import Platform
from server.portal.app import Parts, Portal
from server.portal.choice_pages import ChoicePages
from server.portal.copy_counts import CopyCounts
from server.portal.copy_pages import CopyPages
from server.portal.correct_pages import CorrectPages
from server.portal.delete_pages import DeletePages
from server.portal.door import Door
from server.portal.entry import Entry
from server.portal.frame import Frame
from server.portal.home_pages import HomePages
from server.portal.languages import Languages
from server.portal.looked_pages import LookedPages
from server.portal.pages import Pages
from server.portal.proving import Proving
from server.portal.reading import Reader
from server.portal.request_pages import RequestPages
from server.portal.session_pages import SessionPages

BASE = "/portal"


def portal_of(platform: Platform, service: GraphQLService, *, door: Door | None = None) -> Portal:
    """The portal of a platform, to mount at `/portal`.

    Args:
        platform: What is served.
        service: What answers its GraphQL.
        door: Who lets customers in; by links and codes that are sent to them where nothing is given.
    """
    settings, now, vault = platform.settings, platform.now, platform.vault
    site = Site(settings.portal_origin)
    pages = Pages(BASE, os.urandom, Languages(), settings.controller)
    frame = Frame(
        pages=pages,
        reader=Reader(service),
        door=door or Entry(platform, site, BASE),
        site=site,
        forms=FormReader(settings.body_seconds),
        policies=lambda: platform.policies.current,
    )
    mailer = mailer_of(settings, now=now, random=os.urandom)
    proving = None
    if mailer is not None:
        # Never where a request says that it went.
        origin = settings.portal_origin or f"http://localhost:{settings.port}"
        proving = Proving(vault, platform.services.writer, mailer, pages, origin=origin, now=now)
    requests = RequestPages(frame, platform.requests, RequestStore(platform.main), vault, now)
    parts = Parts(
        home=HomePages(frame),
        correct=CorrectPages(frame, proving),
        looked=LookedPages(frame, platform.log, platform.signed.checkpointer, vault, now),
        choices=ChoicePages(frame, now),
        requests=requests,
        copies=CopyPages(frame, platform.copies, CopyCounts(platform.main, platform.services.gateway, vault, now)),
        delete=DeletePages(
            frame,
            platform.services.eraser,
            requests,
            now,
            proving=proving,
            two=Kind.ERASURE in settings.four_eyes,
        ),
        sessions=SessionPages(frame),
    )
    return Portal(frame, parts)


__all__ = ["BASE", "portal_of"]
