"""The sample pages in a browser: main.py BROWSER FOLDER. Ends with 1 if something is not as it ought to be."""

import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

import access
import paper
import use

SIZES = {"laptop": (1366, 900), "phone": (360, 740)}


class Pages:
    """Opens pages as a reader would: from a file, with no network. Whatever a page asks for or complains of is kept."""

    def __init__(self, browser, folder):
        self.browser, self.folder, self.wrong = browser, folder, []

    def open(self, name, size="laptop", scheme="light", **options):
        width, height = SIZES[size]
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True, **options
        )
        page = context.new_page()
        url = (self.folder / f"{name}.html").as_uri()

        def asked(request):
            if request.url.split("#")[0] != url:
                self.wrong.append(f"{name}: it asks for {request.url}")

        page.on("request", asked)
        page.on("console", lambda said: self.wrong.append(f"{name}: the console says {said.text}"))
        page.on("pageerror", lambda error: self.wrong.append(f"{name}: the script fails: {error}"))
        page.on("dialog", lambda dialog: (self.wrong.append(f"{name}: a dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(url)
        return page

    def check(self, what, holds, details=""):
        print(f"{'ok   ' if holds else 'WRONG'} {what}" + (f": {details}" if details and not holds else ""))
        if not holds:
            self.wrong.append(what)

    def picture(self, page, name):
        page.screenshot(path=self.folder / f"{name}.png")


def opens(pages):
    """Every page, at every width, in both schemes: it is asked for nothing, and nothing is wider than the screen."""
    for name in ["clinic", "empty", "one", "broken", "crowd"]:
        for size in SIZES:
            for scheme in ["light", "dark"] if name in ["clinic", "broken"] else ["light"]:
                started = time.monotonic()
                page = pages.open(name, size, scheme)
                took = time.monotonic() - started
                wide = page.evaluate("document.documentElement.scrollWidth")
                pages.check(f"{name}, {size}, {scheme}: no wider than the screen", wide <= SIZES[size][0], f"{wide} pixels")
                pages.picture(page, f"{name}-{size}-{scheme}")
                if name == "clinic":
                    for at in ["charts", "chart-mending", "citations", "controls", "exemptions", "episodes", "records"]:
                        page.evaluate("id => document.getElementById(id).scrollIntoView()", at)
                        pages.picture(page, f"{name}-{size}-{scheme}-{at}")
                if name == "crowd":
                    kilobytes = (pages.folder / "crowd.html").stat().st_size // 1024
                    print(f"      20,000 records: {kilobytes} kB, loaded in {took:.2f} s, {size}")
                    # Generous: a machine that builds something else beside is no reason to fail.
                    pages.check(f"20,000 records open within ten seconds, {size}", took < 10, f"{took:.1f} s")
                    pages.check("20,000 records fit in 16 MB", kilobytes < 16 * 1024, f"{kilobytes} kB")
                page.context.close()


def main():
    browser_path, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    with sync_playwright() as playwright:
        # No sandbox: root has none, and the pages are ours.
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        pages = Pages(browser, folder)
        for part in [opens, use.without_script, use.sorts, use.filters, use.keyboard, use.links, access.axe, access.zoom, paper.prints]:
            print(f"\n-- {part.__doc__.splitlines()[0]}")
            started = time.monotonic()
            part(pages)
            print(f"      in {time.monotonic() - started:.1f} s")
        browser.close()
    if pages.wrong:
        print("\nreport: not as it ought to be:\n  " + "\n  ".join(pages.wrong), file=sys.stderr)
        sys.exit(1)
    print(f"\n-- the page is as it ought to be; pictures of it are in {folder}")


main()
