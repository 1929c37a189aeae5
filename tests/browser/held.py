"""Calls of the page that wait on their way to the server, so that answers come in the order that a test wants."""

import json
import re
import time
from dataclasses import dataclass, field

from playwright.sync_api import Page, Route


@dataclass
class Held:
    """Calls of one server function, oldest first; `let_go` sends one of them on and waits until the page has its answer."""

    page: Page
    name: str
    routes: list[Route] = field(default_factory=list)
    holding: bool = True

    def take(self, route: Route) -> None:
        if self.holding and json.loads(route.request.post_data or "{}").get("fn_name") == self.name:
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
        with self.page.expect_event("requestfinished", lambda request: request == self.routes[index].request):
            self.routes[index].continue_()
        # The page has read it and drawn what came of it.
        self.page.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 50))")


def hold(page: Page, name: str) -> Held:
    """Hold back all calls of a server function from now on."""
    held = Held(page, name)
    page.route(re.compile("/component_server"), held.take)
    return held
