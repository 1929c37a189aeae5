"""Guests in a real Chromium: the owner's link, an invitation, a guest who generates, is seen, and is cut off."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from studio.events import Cancelled
from studio.ports import Offer
from studio.weights import TABLE
from tests.browser.conftest import Open, eventually, ready
from tests.browser.test_control import drop
from tests.closed import Closed, closed_fake
from tests.served import PatientEngine, served_fake

pytestmark = pytest.mark.browser
Enter = Callable[..., Page]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    engine = partial(PatientEngine, hurry=Event())
    with closed_fake(tmp_path_factory.mktemp("closed"), step_seconds=0.15, engine=engine) as closed:
        yield closed


@pytest.fixture
def enter(browser: Browser) -> Iterator[Enter]:
    """Opens a link in a context of its own."""
    contexts: list[BrowserContext] = []

    def open_link(link: str, *, width: int = 1440, theme: str = "dark") -> Page:
        scheme = "light" if theme == "light" else "dark"
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        context.set_default_timeout(120_000)
        contexts.append(context)
        page = context.new_page()
        page.goto(link)
        return page

    yield open_link
    for context in contexts:
        context.close()


def owner(closed: Closed, enter: Enter) -> Page:
    page = enter(closed.server.links()[0])
    ready(page)
    page.wait_for_selector(".pill[data-part=open]:not([hidden])")
    return page


def invite(page: Page, name: str, *, role: str = "maker") -> str:
    """Make an invitation on the page and return its link."""
    page.click(".pill[data-part=open]")
    form = page.locator(".guests [data-part=invite]")
    form.locator("[name=name]").fill(name)
    form.locator("[name=role]").select_option(role)
    form.get_by_role("button", name="Make a link").click()
    page.wait_for_selector(".guests [data-part=made]:not([hidden])")
    return page.locator(".guests [data-part=secret]").input_value()


def test_invited_joined_generated_cut_off(closed: Closed, enter: Enter) -> None:
    mine = owner(closed, enter)
    # The secret is gone from the address, and scripts cannot read the cookie.
    assert mine.url == f"{closed.address}/"
    kept = mine.context.cookies()
    assert [each["httpOnly"] for each in kept if each["name"] == f"studio-{closed.address.rsplit(':', 1)[1]}"] == [True]
    assert "studio-1" not in mine.evaluate("document.cookie") and "studio-2" not in mine.evaluate("document.cookie")
    link = invite(mine, "Ann")
    assert link.startswith(f"{closed.address}/#join_")
    asked: list[str] = []
    guest = enter("about:blank")
    guest.on("request", lambda request: asked.append(f"{request.url} {request.headers.get('referer', '')}"))
    guest.goto(link)
    expect(guest.get_by_role("heading", name="You are invited")).to_be_visible()
    assert guest.url == f"{closed.address}/"
    guest.get_by_label("Your name").fill("Ann the guest")
    guest.get_by_role("button", name="Come in").click()
    ready(guest)
    assert not [each for each in asked if "join_" in each]
    guest.fill("#steps", "150")
    guest.click("#generate")
    guest.wait_for_selector('[data-phase="running"]')
    running = [job for job in closed.studio._jobs.values() if not job.state().terminal]
    mine.locator(".guests [data-part=close]").click()
    mine.click(".pill[data-part=open]")
    expect(mine.locator(".guests [data-part=guests]")).to_contain_text("Ann the guest")
    mine.get_by_role("button", name="Cut off Ann the guest").click()
    expect(mine.locator(".guests [data-part=guests]")).to_contain_text("Nobody")
    # The guest's page notices by itself, and the run has ended.
    expect(guest.get_by_role("heading", name="Your invitation has ended")).to_be_visible()
    eventually(guest, lambda: all(isinstance(job.state().terminal, Cancelled) for job in running))
    mine.locator(".guests [data-part=log-section] summary").click()
    expect(mine.locator(".guests [data-part=log]")).to_contain_text("cut off (Ann the guest)")


def test_a_guest_is_not_offered_weights_that_only_the_owner_may_fetch(
    closed: Closed, enter: Enter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [Offer(TABLE["none"], "ready", ""), Offer(TABLE["canny"], "download", "downloads 99 MB, MIT")]
    monkeypatch.setattr(closed.studio._annotator, "offers", lambda kind: away)
    guest = enter(f"{closed.address}/#{closed.access.invite('maker', name='Bob')[1]}")
    guest.get_by_role("button", name="Come in").click()
    ready(guest)
    Image.effect_noise((256, 256), 90).convert("RGB").save(tmp_path / "photo.png")
    drop(guest, tmp_path / "photo.png")
    expect(guest.locator("[data-part=map-error]")).to_contain_text("ask the owner to use it once")
    expect(guest.locator("[data-part=map-agree]")).to_be_hidden()
    guest.select_option("#control-preprocessor", "none")
    expect(guest.locator("[data-part=map-picture]")).to_be_visible()


def test_a_guest_makes_a_picture_and_signs_out(closed: Closed, enter: Enter) -> None:
    guest = enter(f"{closed.address}/#{closed.access.invite('maker', name='Bob')[1]}")
    guest.get_by_role("button", name="Come in").click()
    ready(guest)
    guest.fill("#steps", "2")
    guest.click("#generate")
    guest.wait_for_selector('[data-phase="done"]')
    guest.get_by_role("button", name="Bob").click()
    expect(guest.locator(".guests [data-part=used]")).to_contain_text("megapixel-steps an hour")
    expect(guest.locator(".guests [data-part=owner]")).to_be_hidden()
    guest.get_by_role("button", name="Sign out").click()
    expect(guest.get_by_role("heading", name="You need an invitation")).to_be_visible()
    guest.reload()
    expect(guest.get_by_role("heading", name="You need an invitation")).to_be_visible()


def looks_on(closed: Closed, enter: Enter, name: str) -> Page:
    viewer = enter(f"{closed.address}/#{closed.access.invite('viewer', name=name)[1]}")
    viewer.get_by_role("button", name="Come in").click()
    viewer.wait_for_selector(':root[data-role="viewer"]')
    return viewer


def shares(page: Page, wanted: bool) -> None:
    page.click(".pill[data-part=open]")
    page.locator(".guests [data-part=sharing]").set_checked(wanted)
    page.locator(".guests [data-part=close]").click()


def test_who_looks_on_sees_what_the_owner_shares(closed: Closed, enter: Enter) -> None:
    viewer = looks_on(closed, enter, "Eve")
    refused: list[str] = []
    viewer.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    # There is nothing to make, change or keep here, and nothing says so.
    expect(viewer.locator(".stage .empty")).to_have_text("What the owner shows you appears here.", use_inner_text=True)
    for part in ("#form", "#history-column", "#draft", "#model"):
        expect(viewer.locator(part)).to_be_hidden()
    mine = owner(closed, enter)
    shares(mine, True)
    mine.fill("#steps", "10")
    mine.fill("#seed", "11")
    mine.click("#generate")
    mine.wait_for_selector('[data-phase="done"]')
    viewer.wait_for_selector('[data-phase="done"] [data-part=final] img')
    tools = viewer.locator(".stage .tools button:visible")
    assert tools.all_inner_texts() == ["Download"]
    # While a further one is made the finished one does not come back, and neither the queue nor Stop is theirs.
    mine.fill("#steps", "150")
    mine.fill("#seed", "12")
    for _ in range(5):  # there is something running until the end, on a slow machine too
        mine.click("#generate")
    viewer.wait_for_selector('[data-phase="running"] [data-part=preview]:not([hidden])')
    viewer.evaluate(
        """() => {
          const final = document.querySelector("#stage [data-part=final]");
          window.came = [];
          const look = new MutationObserver(() => { if (!final.hidden) window.came.push(final.querySelector("img").alt); });
          look.observe(final, { attributes: true, attributeFilter: ["hidden"] });
        }"""
    )
    with viewer.expect_response(lambda answer: '"mine"' in (answer.request.post_data or "")):
        pass
    viewer.keyboard.press("Escape")
    with viewer.expect_response(lambda answer: '"mine"' in (answer.request.post_data or "")):
        pass
    expect(viewer.locator('.stage[data-phase="running"]')).to_be_visible()
    # A slow machine may have finished another one by now.
    assert not [alt for alt in viewer.evaluate("window.came") if alt.endswith("seed 11")]
    assert "yours" not in viewer.inner_text("body") and viewer.locator("#stage [data-part=error]").is_hidden()
    shares(mine, False)
    expect(viewer.locator("#stage [data-part=error]")).to_contain_text("The owner does not show this picture any more.")
    with viewer.expect_response(lambda answer: '"mine"' in (answer.request.post_data or "")):
        pass
    expect(viewer.locator("#stage [data-part=error]")).to_be_visible()
    for job in list(closed.studio._jobs.values()):
        closed.studio.stop(job)
    assert refused == []


def test_a_link_as_a_maker_is_taken_by_who_looks_on_in_every_tab(closed: Closed, enter: Enter) -> None:
    viewer = looks_on(closed, enter, "Flo")
    other = viewer.context.new_page()
    other.goto(f"{closed.address}/#{closed.access.invite('maker', name='Flo')[1]}")
    other.wait_for_selector(':root[data-role="maker"]')
    expect(other.get_by_role("button", name="Flo")).to_be_visible()
    # The first tab is refused what it asks for from now on, so it loads itself again.
    viewer.wait_for_selector(':root[data-role="maker"]')
    expect(viewer.locator("#generate")).to_be_enabled()


def test_a_wrong_link_says_so(closed: Closed, enter: Enter) -> None:
    page = enter(closed.address)
    page.get_by_label("Invitation link").fill("https://example.org/")
    page.get_by_role("button", name="Come in").click()
    expect(page.get_by_role("alert")).to_contain_text("That is no invitation link")
    page.get_by_label("Invitation link").fill(f"{closed.address}/#join_nothing")
    page.get_by_role("button", name="Come in").click()
    page.get_by_role("button", name="Come in").click()
    expect(page.get_by_role("alert")).to_contain_text("not, or no longer, an invitation")


def test_a_link_that_must_wait_can_be_used_again(closed: Closed, enter: Enter) -> None:
    page = enter("about:blank")
    busy = {"status": 429, "json": {"error": "Too many wrong links came from your address; wait 8 s."}}
    page.route(re.compile("/studio/enter"), lambda route: route.fulfill(**busy), times=1)
    page.goto(f"{closed.address}/#{closed.access.invite('maker', name='Ida')[1]}")
    page.get_by_role("button", name="Come in").click()
    expect(page.get_by_role("alert")).to_contain_text("wait 8 s")
    page.get_by_role("button", name="Come in").click()
    ready(page)
    page.get_by_role("button", name="Ida").click()
    expect(page.locator(".guests dialog")).to_be_visible()
    # Signing out that fails is told, and what opened the box has the keyboard again.
    page.route(re.compile("/studio/leave"), lambda route: route.abort(), times=1)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator(".guests [data-part=problem]")).to_have_text("The studio does not answer; try again.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Ida")).to_be_focused()
    page.get_by_role("button", name="Ida").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You need an invitation")).to_be_visible()


def test_dropping_everyone_takes_two_clicks(closed: Closed, enter: Enter) -> None:
    guest = enter(f"{closed.address}/#{closed.access.invite('maker', name='Zoe')[1]}")
    guest.get_by_role("button", name="Come in").click()
    ready(guest)
    mine = owner(closed, enter)
    mine.click(".pill[data-part=open]")
    # Both clicks at once, as the page takes the first one back after a while.
    said = mine.get_by_role("button", name="Drop everyone").evaluate(
        "(button) => { button.click(); const said = button.textContent; button.click(); return said; }"
    )
    assert said == "Press again to drop everyone"
    expect(mine.locator(".guests [data-part=guests]")).to_contain_text("Nobody")
    expect(guest.get_by_role("heading", name="Your invitation has ended")).to_be_visible()
    mine.reload()
    ready(mine)


def test_a_list_of_guests_that_cannot_be_opened_is_told(visit: Open, tmp_path: Path) -> None:
    (tmp_path / "access").write_text("in the way")
    told = "The folder of the list of guests cannot be written: File exists; free some space or choose another folder."
    with served_fake(tmp_path, step_seconds=0.01) as open_page:
        page = visit(open_page.address).page
        page.click(".pill[data-part=open]")
        expect(page.locator(".guests [data-part=problem]")).to_have_text(told)
        expect(page.locator(".guests [data-part=owner]")).to_be_visible()
        # A guest is told the same, and not how much is left of what nobody knows.
        me = {"role": "maker", "name": "Bob", "signed": True, "quota": None, "spent": 0, "error": told}

        def answer(route: Route) -> None:
            asked = json.loads(route.request.post_data or "{}").get("fn_name")
            route.fulfill(json=me) if asked == "me" else route.fallback()

        page.route(re.compile("/component_server"), answer)
        page.reload()
        page.get_by_role("button", name="Bob").click()
        expect(page.locator(".guests [data-part=problem]")).to_have_text(told)
        expect(page.locator(".guests [data-part=used]")).to_be_empty()
