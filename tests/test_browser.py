"""The explorer in a real browser: as a page by itself, and in JupyterLab beside a kernel.

Needs Debian's chromium and the package playwright, which drives it; skipped where one is missing.
Screenshots are kept in `build/browser/`.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import nbformat
import numpy as np
import pandas as pd
import pytest

from natlib.space import SearchSpace
from natlib.teach.explorer import METHODS, SCRIPT, ObjectiveExplorer, choose

pytestmark = pytest.mark.browser
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install 'natlib[browser]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).parents[1]
SCREENSHOTS = ROOT / "build" / "browser"
TOKEN = "natlib"
VIEW = "width=device-width"
LABELS = ["top-1 error (%)", "MAdds (M)", "parameters (M)"]
NAMES = ["top1_err", "madds", "params"]
SETTINGS = {
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    "apputils-extension/notification": '{"checkForUpdates": false, "fetchNews": "false"}',
}
DARK = {"apputils-extension/themes": '{"theme": "JupyterLab Dark"}'}
PAINTED = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"""
MOVE = """async (input) => {  // moves a slider by script; returns ms until the page is painted
  const begin = performance.now();
  input.value = input.value > 0.5 ? 0.1 : 0.9;
  input.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - begin;
}"""


def animals():
    return pd.read_csv(ROOT / "data" / "archives" / "pocket_animals.csv")


def eleven():
    table = pd.read_csv(ROOT / "data" / "archives" / "many.csv")
    return table[table.seed == table.seed.min()].drop(columns=["seed", "iteration"])


def tied(n=150):
    """Many equal values, rows that are equal in all, and some that are not finite."""
    rng, space = np.random.default_rng(1), SearchSpace.pocket()
    values = rng.integers(0, 4, (n, 3)).astype(float)
    values[::17, 1] = np.nan
    names = [str(space.decode(x)) for x in space.sample(n, rng)]
    return pd.DataFrame({"architecture": names}).join(pd.DataFrame(values, columns=NAMES))


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    """Returns a function that writes an explorer and opens it; nothing else may be loaded."""
    folder, problems = tmp_path_factory.mktemp("pages"), []

    def note(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            problems.append(request.url)

    def open_page(explorer, width=1280, **look):
        html = f'<!doctype html><meta charset="utf-8"><meta name="viewport" content="{VIEW}">'
        (folder / "page.html").write_text(html + explorer.html())
        page = browser.new_page(viewport={"width": width, "height": 1000}, **look)
        page.on("request", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"file://{folder}/page.html")
        page.locator(".say p").first.get_by_text("hosen by").wait_for()
        return page

    yield open_page
    assert not problems


@pytest.fixture(scope="module")
def page(opened):
    return opened(ObjectiveExplorer(animals(), objectives=NAMES, pictures=1456))


@pytest.fixture(autouse=True)
def start(request):
    """Tests of the static page begin where it began."""
    if "page" in request.fixturenames:
        request.getfixturevalue("page").get_by_role("button", name="Reset").click()


def settle(page):
    """Waits until the page has painted what it was told."""
    getattr(page, "page", page).evaluate(PAINTED)


def says(page):
    settle(page)
    return page.locator(".say p").first.inner_text()


def slider(page, name):
    return page.get_by_role("slider", name=name)


def within(page):
    settle(page)
    return int(page.locator(".count").inner_text().split()[0])


@pytest.mark.parametrize("make", [animals, eleven, tied])
def test_the_page_chooses_as_python_does(browser, make):
    page, explorer, rng = browser.new_page(), ObjectiveExplorer(make()), np.random.default_rng(0)
    D, (n, m) = explorer.D, explorer.D.shape
    states = []
    for i in range(500):
        weights = rng.random(m).round(2) * (rng.random(m) < 0.8)
        ends = np.nanquantile(D, np.sort(rng.random((2, m)) ** [[3], [0.2]], axis=0), axis=0)
        limits = np.stack([np.diagonal(ends[0]), np.diagonal(ends[1])], axis=1)
        method, wish = list(METHODS.values())[i % 4], D[rng.integers(n)] * rng.uniform(0.8, 1.1)
        states.append([weights, limits, method, np.nan_to_num(wish)])
    expected = [choose(D, *state) for state in states]
    names = ("weights", "limits", "method", "reference")
    data = json.dumps([dict(zip(names, state, strict=True)) for state in states], default=list)
    page.add_script_tag(content=SCRIPT)
    found = page.evaluate(
        "([d, states]) => states.map((s) => choose(d, s, within(d, s.limits)).chosen)",
        [json.loads(json.dumps(explorer._data())), json.loads(data)],
    )
    page.close()
    assert found == expected
    assert len(set(expected)) > 10


def test_every_control_has_a_name_and_is_reached_by_tab(page):
    labels = [f"{what} {label}" for label in ("top-1 error (%)", "MAdds (M)", "parameters (M)")
              for what in ("weight of", "lowest", "highest")]  # fmt: skip
    for name in labels:
        assert slider(page, name).count() == 1
    for name in ("method", "right", "up"):
        assert page.get_by_role("combobox", name=name).count() == 1
    page.get_by_role("combobox", name="method").focus()
    reached = set()
    for _ in range(40):
        focused = page.evaluate(
            "[...document.querySelectorAll('div')].find((e) => e.shadowRoot).shadowRoot"
            ".activeElement?.ariaLabel ?? document.activeElement.tagName"
        )
        reached.add(focused)
        page.keyboard.press("Tab")
    assert set(labels) <= reached


def test_a_slider_moves_the_choice_by_keyboard_and_reset_undoes_it(page):
    before = says(page)
    slider(page, "weight of top-1 error (%)").focus()
    page.keyboard.press("End")
    slider(page, "weight of MAdds (M)").press("Home")
    slider(page, "weight of parameters (M)").press("Home")
    best = animals().set_index("architecture").top1_err.idxmin()
    assert says(page) == f"Chosen by weighted Chebyshev: {best}" != before
    picture = page.get_by_role("img", name="Archive of 420 architectures, 420 within")
    assert best in picture.get_attribute("aria-label")
    page.get_by_role("button", name="Reset").click()
    assert says(page) == before
    page.locator(".say").get_by_text("draws in which every error varies").wait_for()


def test_a_limit_excludes_and_says_what_is_reachable(page):
    slider(page, "highest MAdds (M)").focus()
    for _ in range(3):
        page.keyboard.press("PageDown")
    left = within(page)
    high = float(slider(page, "highest MAdds (M)").input_value())
    assert left == (animals().madds <= high * 1e6).sum() < 420
    reachable = page.locator(".tile").nth(1).locator("small").inner_text()
    assert float(reachable.split(" to ")[1]) <= high
    slider(page, "highest MAdds (M)").press("Home")
    slider(page, "highest top-1 error (%)").press("Home")
    assert "The nearest, " in says(page) and "and MAdds (M) by " in says(page)


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def test_a_brush_on_an_upright_and_on_an_axis_is_a_limit(page):
    lines = page.get_by_role("img", name="parallel coordinates")
    lines.scroll_into_view_if_needed()
    box = lines.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    drag(page, middle, (middle[0], box["y"] + box["height"] - 5))
    half = within(page)
    assert 0 < half < 420
    assert float(slider(page, "highest MAdds (M)").input_value()) == pytest.approx(5, abs=1)
    page.screenshot(path=SCREENSHOTS / "brush.png")
    page.mouse.click(*middle)
    assert within(page) == 420, "a click takes the limit away"
    box = page.get_by_role("img", name="Archive of").bounding_box()
    at = box["y"] + box["height"] - 25
    drag(page, (box["x"] + 60, at), (box["x"] + box["width"] / 2, at))
    assert 0 < within(page) < 420


def test_hover_tells_click_chooses_and_shift_click_keeps(page):
    front = page.get_by_role("img", name="Archive of")
    front.scroll_into_view_if_needed()
    box, tip = front.bounding_box(), page.locator(".tip")
    for x in np.arange(70, box["width"] - 20, 9):
        page.mouse.move(box["x"] + x, box["y"] + box["height"] * 0.7)
        settle(page)
        if tip.is_visible():
            break
    told = tip.inner_text().split("\n")
    assert told[1].startswith("rank ") and told[2].startswith("top-1 error (%) ")
    page.mouse.down()
    page.mouse.up()
    assert says(page) == f"Chosen by hand: {told[0]}"
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.up()
    page.keyboard.up("Shift")
    settle(page)
    assert page.locator(".card").all_inner_texts()[1].startswith(f"■ A: {told[0]}")
    slider(page, "weight of MAdds (M)").press("ArrowRight")
    assert says(page).startswith("Chosen by weighted Chebyshev")


def test_the_table_is_sorted_walked_through_and_downloaded(page):
    page.get_by_role("button", name="MAdds (M)", exact=True).click()
    assert within(page) == 420
    first = page.locator("tbody tr").first
    first.focus()
    assert first.locator("td").nth(1).inner_text().strip() == animals().loc[
        animals().madds.idxmin(), "architecture"]  # fmt: skip
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    second = page.locator("tbody tr").nth(1).locator("td").nth(1).inner_text().strip(" ★")
    assert says(page) == f"Chosen by hand: {second}"
    page.keyboard.press("Shift+Enter")
    page.get_by_role("button", name="MAdds (M)", exact=True).click()
    settle(page)
    assert page.locator("th[aria-sort=descending]").inner_text() == "MAdds (M)"
    assert page.locator(".card").count() == 2
    page.get_by_label("front only").check()
    shown = within(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    saved = pd.read_csv(download.value.path(), dtype={"architecture": str})
    assert len(saved) == shown < 420 and saved["MAdds (M)"].is_monotonic_decreasing


def test_methods_menus_and_switches(page):
    before = page.get_by_role("img", name="Archive of").screenshot()
    page.get_by_label("log axis").check()
    settle(page)
    assert page.get_by_role("img", name="Archive of").screenshot() != before
    page.get_by_role("combobox", name="right").select_option("parameters (M)")
    settle(page)
    assert page.get_by_role("img", name="top-1 error (%) against parameters (M)").count() == 1
    page.get_by_role("combobox", name="method").select_option("knee")
    settle(page)
    assert slider(page, "weight of MAdds (M)").is_disabled()
    page.get_by_role("combobox", name="method").select_option("reference point")
    settle(page)
    slider(page, "wish for parameters (M)").press("End")
    slider(page, "wish for MAdds (M)").press("End")
    best = animals().set_index("architecture").top1_err.idxmin()
    assert says(page) == f"Chosen by reference point: {best}"


def test_up_to_three_are_compared_with_the_chosen(page):
    """Also makes the picture that README shows; see `make picture`."""
    slider(page, "highest parameters (M)").focus()
    for _ in range(3):
        page.keyboard.press("PageDown")
    for wish in ("0.95 0.1 0.1", "0.2 0.9 0.2", "0.7 0.4 0.4", "0.5 0.5 0.5"):
        for name, value in zip(LABELS, wish.split(), strict=True):
            slider(page, f"weight of {name}").fill(value)
        says(page)
        if value != "0.5":
            page.get_by_role("button", name="Keep").click()
    page.locator(".say").get_by_text("draws in which").wait_for()
    cards = page.locator(".card").all_inner_texts()
    assert [text.split(":")[0] for text in cards] == ["★ chosen", "■ A", "▲ B", "◆ C"]
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0); document.activeElement.blur()")
    page.locator(".app").screenshot(path=SCREENSHOTS / "explorer.png")


@pytest.mark.parametrize("width", [390, 640])  # 640 is 1280 px at 200% zoom
def test_it_fits_narrow_and_dark_screens(opened, width):
    page = opened(ObjectiveExplorer(eleven()), width, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=SCREENSHOTS / f"dark_{width}.png", full_page=True)
    color = page.locator(".app").evaluate("(app) => getComputedStyle(app).backgroundColor")
    assert max(map(int, color.removeprefix("rgb(").removesuffix(")").split(","))) < 60
    page.close()


def test_thousands_of_rows_stay_fluid(opened, record_property):
    """Reports milliseconds from a moved slider to a painted page; it asserts that it moved."""
    rng, space = np.random.default_rng(0), SearchSpace.pocket()
    names = [str(space.decode(x)) for x in space.sample(5000, rng)]
    columns = {"madds": rng.uniform(1e6, 9e6, 5000).round()}
    columns |= {f"top1_err_{i}": rng.uniform(5, 20, 5000).round(3) for i in range(11)}
    table = pd.DataFrame({"architecture": names} | columns)
    for name, data in {"400 rows": table[:400], "5,000 rows": table}.items():
        page = opened(ObjectiveExplorer(data))
        for control in ("weight of MAdds (M)", "highest MAdds (M)"):
            times = [slider(page, control).evaluate(MOVE) for _ in range(7)]
            record_property(f"{name}, {control}", round(float(np.median(times[1:]))))
            print(f"{name}, {control}: {np.median(times[1:]):.0f} ms")
        assert within(page) < len(data)
        page.close()


CELLS = [
    """import pandas as pd
from natlib.teach.explorer import ObjectiveExplorer
table = pd.read_csv("archive.csv", dtype={"architecture": str})
names = ["top1_err", "madds", "params"]
explorer = ObjectiveExplorer(table, objectives=names, on_export=lambda arch: f"{arch}.onnx")
explorer""",
    "explorer",
    "explorer.weights['top1_err'].value = 1.0\nexplorer.compare()",
    "print('chosen', explorer.architecture, explorer.limits['madds'].value[1] < 9)",
]


LEARN = [
    """from natlib.teach import learn
learn.predict("stale")""",
    'learn.outcome("stale", 2)\nlearn.quiz("00")',
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a folder with notebooks; yields its address and its settings."""
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("home")
    animals().to_csv(folder / "archive.csv", index=False)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}}
    for name, sources in {"explorer": CELLS, "learn": LEARN}.items():
        cells = list(map(nbformat.v4.new_code_cell, sources))
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    write_settings(home / "settings", SETTINGS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--ServerApp.root_dir={folder}", f"--ServerApp.port={port}", "--no-browser"]
    options += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.port_retries=0", "--allow-root"]
    environment = os.environ | {
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
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
        yield address, home / "settings"
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


def run(notebook, cell):
    notebook.locator(".jp-CodeCell .jp-InputArea-editor").nth(cell).click()
    notebook.keyboard.press("Control+Enter")


def test_page_and_kernel_follow_each_other_and_the_page_goes_on_without(browser, lab):
    address, settings = lab
    notebook = browser.new_page(viewport={"width": 1400, "height": 1100})
    notebook.set_default_timeout(60_000)
    notebook.goto(f"{address}/lab/tree/explorer.ipynb?reset&token={TOKEN}")
    notebook.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    for cell in range(3):
        run(notebook, cell)
    told = notebook.locator(".say p:first-child")
    row = choose(animals()[NAMES], [1, 0.5, 0.5])
    chosen = f"Chosen by weighted Chebyshev: {animals().architecture[row]}"
    notebook.locator(".card").nth(3).wait_for()  # code moved a slider, and kept: in both cells
    assert told.all_inner_texts() == [chosen, chosen]
    slider(notebook.locator(".jp-CodeCell").nth(1), "weight of top-1 error (%)").press("Home")
    slider(notebook.locator(".jp-CodeCell").nth(1), "highest MAdds (M)").press("PageDown")
    slider(notebook.locator(".jp-CodeCell").nth(1), "highest MAdds (M)").press("PageDown")
    moved = told.first.inner_text()
    assert moved != chosen and told.nth(1).inner_text() == moved
    run(notebook, 3)
    heard = moved.removeprefix("Chosen by weighted Chebyshev: ")
    notebook.get_by_text(f"chosen {heard} True").wait_for()
    notebook.get_by_role("button", name="Export").first.click()
    notebook.get_by_text(f"exported: {heard}.onnx").first.wait_for()
    first = notebook.locator(".jp-CodeCell").first
    first.locator(".jp-Cell-outputArea").screenshot(path=SCREENSHOTS / "lab.png")

    with notebook.expect_response(lambda r: r.request.method == "PUT" and "explorer" in r.url):
        notebook.keyboard.press("Control+s")
    for session in notebook.request.get(f"{address}/api/sessions?token={TOKEN}").json():
        notebook.request.delete(f"{address}/api/sessions/{session['id']}?token={TOKEN}")
    write_settings(settings, DARK)
    notebook.goto(f"{address}/lab/tree/explorer.ipynb?reset&token={TOKEN}")
    notebook.locator('[data-jp-theme-light="false"]').wait_for(state="attached")
    told.first.wait_for()
    before = says(first)
    slider(first, "weight of MAdds (M)").press("End")
    assert says(first) != before
    assert notebook.get_by_role("button", name="Export").count() == 0
    first.locator(".jp-Cell-outputArea").screenshot(path=SCREENSHOTS / "without_kernel.png")
    notebook.close()


def test_a_prediction_is_locked_and_the_quiz_answers_by_keyboard(browser, lab):
    notebook = browser.new_page(viewport={"width": 1400, "height": 1100})
    notebook.set_default_timeout(60_000)
    notebook.goto(f"{lab[0]}/lab/tree/learn.ipynb?reset&token={TOKEN}")
    notebook.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    run(notebook, 0)
    notebook.get_by_role("button", name="b", exact=True).click()
    notebook.get_by_text("Locked: b").wait_for()
    run(notebook, 1)
    notebook.get_by_text("You predicted b. It is c: ").wait_for()
    row = notebook.locator(".jp-CodeCell").nth(1).get_by_role("button", name="a", exact=True)
    row.nth(5).wait_for()
    row.first.focus()
    notebook.keyboard.press("Enter")
    notebook.get_by_text(re.compile("^a: (Right|No)\\. ")).wait_for()
    items = notebook.locator(".jp-CodeCell ol").first
    assert items.evaluate("list => getComputedStyle(list).listStyleType") == "lower-alpha"
    notebook.locator(".jp-Notebook").screenshot(path=SCREENSHOTS / "learn.png")
    notebook.close()
