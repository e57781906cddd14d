"""Notebook 06 in JupyterLab, in a real browser: run, moved by keyboard and mouse, exported, saved.

Needs Debian's chromium and the package playwright, which drives it; skipped where one is missing.
Screenshots are kept in `build/browser/`.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import jupytext
import pytest

pytestmark = pytest.mark.browser
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install 'natlib[browser]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).parents[1]
SCREENSHOTS = ROOT / "build" / "browser"
NAME = "06_many_objectives"
TOKEN = "natlib"
MINUTE = 60_000  # ms
EXPLORER = 'img[alt^="Archive of"]'  # an explorer's picture
PICTURES = 7
SETTINGS = {
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    "apputils-extension/notification": '{"checkForUpdates": false, "fetchNews": "false"}',
}
DARK = {"apputils-extension/themes": '{"theme": "JupyterLab Dark"}'}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a folder with notebook 06; yields its address, the folder, and its settings."""
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("home")
    jupytext.write(jupytext.read(ROOT / "notebooks" / f"{NAME}.py"), folder / f"{NAME}.ipynb")
    write_settings(home / "settings", SETTINGS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--ServerApp.root_dir={folder}", f"--ServerApp.port={port}", "--no-browser"]
    options += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.port_retries=0", "--allow-root"]
    environment = os.environ | {
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    log = (home / "log").open("w", encoding="utf-8")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=log, stderr=log
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api/status?token={TOKEN}", server, home / "log")
        yield address, folder, home / "settings"
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def write_settings(folder, settings):
    for name, text in settings.items():
        path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def wait_for(address, server, log):
    for _ in range(240):
        assert server.poll() is None, log.read_text("utf-8")
        try:
            with urlopen(address):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(log.read_text("utf-8"))


@pytest.fixture(scope="module")
def page(lab):
    """The notebook in the browser, all cells run."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    address, _, _ = lab
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1100})
        page.set_default_timeout(MINUTE)
        page.goto(f"{address}/lab/tree/{NAME}.ipynb?reset&token={TOKEN}")
        page.locator(".jp-NotebookPanel").wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator(EXPLORER).nth(1).wait_for(timeout=20 * MINUTE)  # the last cell's
        yield page
        browser.close()


def picture(page):
    """The first explorer's; the second comes last in the notebook."""
    return page.locator(EXPLORER).first


def alt(page):
    return picture(page).get_attribute("alt")


def status(page):
    return page.locator("[role=status]").first


def source(page):
    return picture(page).get_attribute("src")


def handle(page, i):
    """A handle of a slider: for each objective one of its weight, then two of its limits."""
    return page.locator(".jupyter-widgets [role=slider]").nth(i)


def wait_for_change(page, before):
    changed = "([picture, old]) => document.querySelector(picture).alt != old"
    page.wait_for_function(changed, arg=[EXPLORER, before])


def screenshot(page, name):
    page.locator(".jupyter-widgets.widget-vbox").first.scroll_into_view_if_needed()
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_every_cell_runs_and_every_picture_has_alt_text(page):
    assert not page.locator('[data-mime-type="application/vnd.jupyter.error"]').count()
    assert not page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count()
    pictures = page.locator(".jp-OutputArea img")
    assert pictures.count() == PICTURES
    for i in range(PICTURES):
        assert len(pictures.nth(i).get_attribute("alt") or "") > 40
    explorer = page.locator(".jp-Cell", has=picture(page)).locator(".jp-Cell-outputArea")
    explorer.first.screenshot(path=SCREENSHOTS / "explorer.png")  # `make picture` takes it


def test_the_keyboard_moves_the_choice(page):
    before, shown = alt(page), source(page)
    handle(page, 0).focus()
    page.keyboard.press("Home")
    wait_for_change(page, before)
    chosen = alt(page).split("Chosen by ")[1].split(".")[0]
    assert chosen not in before and source(page) != shown
    assert status(page).inner_text().split(":")[0] in alt(page)
    screenshot(page, "keyboard")


def test_the_mouse_moves_a_limit(page):
    before, shown = alt(page), source(page)
    box = handle(page, 2).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y, steps=5)
    page.mouse.up()
    wait_for_change(page, before)
    assert before.split(" within")[0] != alt(page).split(" within")[0]
    assert source(page) != shown
    screenshot(page, "mouse")


def test_every_control_is_reached_by_tab(page):
    handle(page, 0).focus()
    reached = set()
    for _ in range(45):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"reset", "compare", "export"} <= reached


def test_export_writes_the_file(page, lab):
    _, folder, _ = lab
    page.get_by_role("button", name="export", exact=True).first.click()
    message = status(page).get_by_text("exported: ")
    message.wait_for()
    path = folder / message.inner_text().split("exported: ")[1]
    assert path.suffix == ".onnx" and path.stat().st_size > 100_000
    architecture = path.stem.split("_")[1]
    assert architecture in alt(page).replace(" ", "")
    screenshot(page, "export")


def test_the_saved_notebook_shows_the_last_picture_without_a_kernel_and_in_the_dark(page, lab):
    address, _, settings = lab
    last = alt(page)
    with page.expect_response(lambda r: r.request.method == "PUT" and NAME in r.url):
        page.keyboard.press("Control+s")
    for session in page.request.get(f"{address}/api/sessions?token={TOKEN}").json():
        page.request.delete(f"{address}/api/sessions/{session['id']}?token={TOKEN}")
    write_settings(settings, DARK)
    page.goto(f"{address}/lab/tree/{NAME}.ipynb?reset&token={TOKEN}")
    picture(page).wait_for()
    page.locator('[data-jp-theme-light="false"]').wait_for(state="attached")
    assert alt(page) == last
    picture(page).scroll_into_view_if_needed()
    page.screenshot(path=SCREENSHOTS / "without_kernel.png")
