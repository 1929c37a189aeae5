"""Calls of the page that wait on their way to the server, so that answers come in the order that a test wants."""

import json
import re
import time
from dataclasses import dataclass, field

from playwright.sync_api import APIResponse, Page, Route


@dataclass
class Held:
    """Calls of one server function, oldest first; `let_go` sends one of them on and waits until the page has its answer.

    Once `answering`, the server answers a call at once and the answer waits, instead of the call.
    """

    page: Page
    name: str
    routes: list[Route] = field(default_factory=list)
    holding: bool = True
    answering: bool = False
    answers: dict[int, APIResponse] = field(default_factory=dict)

    def takes(self, route: Route) -> bool:
        return self.holding and json.loads(route.request.post_data or "{}").get("fn_name") == self.name

    def take(self, route: Route) -> None:
        if self.takes(route):
            if self.answering:
                self.answers[len(self.routes)] = route.fetch()
            self.routes.append(route)
        else:
            route.fallback()

    def wait_for(self, count: int) -> None:
        """Wait until so many calls are held."""
        until = time.monotonic() + 90
        while len(self.routes) < count:
            assert time.monotonic() < until, f"{self.name} was called {len(self.routes)} times"
            self.page.wait_for_timeout(20)

    def let_go(self, index: int) -> None:
        if index in self.answers:
            self.routes[index].fulfill(response=self.answers[index])
        else:
            with self.page.expect_event("requestfinished", lambda request: request == self.routes[index].request):
                self.routes[index].continue_()
        # The page has read it and drawn what came of it.
        self.page.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 50))")


def fail(page: Page, name: str) -> Held:
    """Lose all calls of a server function from now on, as a bad network does; until it is no more `holding`."""
    lost = Held(page, name)
    page.route(re.compile("/component_server"), lambda route: route.abort() if lost.takes(route) else route.fallback())
    return lost


def hold(page: Page, name: str) -> Held:
    """Hold back all calls of a server function from now on."""
    held = Held(page, name)
    page.route(re.compile("/component_server"), held.take)
    return held
