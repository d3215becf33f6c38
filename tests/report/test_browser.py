"""The one-file report in a real browser: offline, by keyboard, light and dark, on a phone, printed, without scripts."""

import pytest

from doubleread import report
from tests.browsing import PHONE, opened, scroll_through, serious_findings


@pytest.fixture(scope="module")
def address(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    report.write_page([result], path)
    return path.as_uri()


def test_offline_every_chart_is_drawn_and_nothing_is_logged(chromium, address):
    with opened(chromium, address, offline=True) as (page, requests, said):
        scroll_through(page)
        kinds = set(page.eval_on_selector_all("figure.live", "(all) => all.map((one) => one.dataset.chart)"))
        assert kinds == {"arms", "curves", "roc", "thresholds"}
        assert requests == [address]
        assert said == []


def test_it_opens_with_the_question_and_the_verdicts(chromium, address):
    with opened(chromium, address) as (page, _, _):
        heads = page.eval_on_selector_all("h2, h3", "(all) => all.map((one) => one.textContent)")
        order = ["Verdicts", "Arms", "Curves", "The gap", "The worst", "Data", "Methods", "Checklist", "Environment"]
        places = [next(i for i, head in enumerate(heads) if head.startswith(name)) for name in [*order, "Assumptions"]]
        assert places == sorted(places)


def test_the_threshold_moves_the_confusion_matrix(chromium, address, result):
    with opened(chromium, address) as (page, _, _):
        figure = page.locator("figure[data-chart=thresholds]")
        figure.scroll_into_view_if_needed()
        figure.locator("select").select_option(label="batch/4")
        cells = figure.locator("table").nth(1).locator("td:not(:empty)")
        runs = result.of("batch/4").scores
        wanted = sum(int((run.test[1][run.test[0].labels_N == 1] > 0).sum()) for run in runs) / len(runs)
        assert float(cells.nth(3).inner_text().split()[0]) == pytest.approx(wanted, abs=0.06)
        slider = figure.locator("input[type=range]")
        slider.focus()
        page.keyboard.press("Home")
        assert "above a probability of 0.0003" in figure.locator("output").inner_text()
        assert [cells.nth(i).inner_text() for i in (2, 3)] == ["0", "10"]
        page.keyboard.press("End")
        assert [cells.nth(i).inner_text() for i in (2, 3)] == ["10", "0"]
        figure.get_by_role("button").click()
        assert "0.500" in figure.locator("output").inner_text()


def test_curves_change_view_seeds_arms_and_scale(chromium, address):
    with opened(chromium, address) as (page, _, said):
        figure = page.locator("figure[data-chart=curves][data-key=batch]")
        figure.scroll_into_view_if_needed()
        figure.locator(".js-plotly-plot").wait_for()

        def traces(what):
            return page.evaluate(
                f"document.querySelector('figure[data-key=batch][data-chart=curves] .plot').data.map((t) => {what})"
            )

        assert len(traces("t.x")) == 3 * 2 * 2 * 2
        figure.get_by_label("seeds").select_option("all")
        assert len(traces("t.x")) == 3 * 2 * 2 * 3
        figure.get_by_label("seeds").select_option("1")
        assert len(traces("t.x")) == 3 * 2 * 2
        figure.locator("fieldset").get_by_label("8", exact=True).uncheck()
        assert len(traces("t.x")) == 2 * 2 * 2
        figure.get_by_label("view").select_option("report")
        assert traces("t.line.color")[:2] == ["#0072b2", "#d55e00"]
        figure.get_by_label("loss on a log scale").check()
        assert (
            page.evaluate(
                "document.querySelector('figure[data-key=batch][data-chart=curves] .plot').layout.yaxis2.type"
            )
            == "log"
        )
        assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(chromium, address, scheme):
    with opened(chromium, address, color_scheme=scheme, bypass_csp=True) as (page, _, _):
        scroll_through(page)
        assert serious_findings(page) == []


def test_on_a_phone_nothing_is_wider_than_the_screen(chromium, address):
    with opened(chromium, address, viewport=PHONE) as (page, _, _):
        scroll_through(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_without_scripts_the_figures_stand_still(chromium, address):
    with opened(chromium, address, java_script_enabled=False) as (page, _, said):
        images = page.locator("figure.plotted > img")
        assert images.count() >= 6
        assert all(images.nth(i).is_visible() for i in range(images.count()))
        assert said == []


def test_printed_the_figures_are_the_static_ones(chromium, address):
    with opened(chromium, address) as (page, _, _):
        page.wait_for_selector("figure[data-chart=arms].live")
        page.emulate_media(media="print")
        assert page.locator("figure[data-chart=arms] > img").is_visible()
        assert not page.locator("figure[data-chart=arms] > .plot").is_visible()


def test_names_that_are_scripts_stay_names(chromium, address):
    with opened(chromium, address) as (page, _, said):
        scroll_through(page)
        assert "=<script>alert(1)<" in page.locator("#data").inner_text()
        assert said == []
