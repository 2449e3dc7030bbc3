"""Whether anybody is kept out."""

from importlib.resources import files

# The rules of WCAG 2.2 up to AA, and those that axe calls good practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

DRAWN = """
.record, #episode-table tbody tr { content-visibility: visible !important; }
.record:nth-child(n+12), #episode-table tbody tr:nth-child(n+30) { display: none !important; }
"""


def axe(pages):
    """axe-core, by the rules of WCAG 2.2 AA"""
    script = (files("axe_playwright_python") / "axe.min.js").read_text()
    every = [("laptop", "light"), ("laptop", "dark"), ("phone", "light")]
    for name, looks in [("clinic", every), ("empty", every[:1]), ("broken", every[1:])]:
        for size, scheme in looks:
            # The page's policy forbids a script that is not its own, as it should.
            page = pages.open(name, size, scheme, bypass_csp=True)
            page.evaluate(script)
            # What is not on the screen has no colours until it is drawn; rows and records are all alike, so some will do.
            page.add_style_tag(content=DRAWN)
            found = page.evaluate("rules => axe.run(document, { runOnly: rules, resultTypes: ['violations'] })", RULES)
            pages.check(f"{name}, {size}, {scheme}: {len(found['passes'])} rules hold", not found["violations"])
            for wrong in found["violations"]:
                print(f"      {wrong['id']}: {wrong['help']}")
                for node in wrong["nodes"][:3]:
                    print(f"        {node['html'][:200]}\n        {node['failureSummary']}")
            page.context.close()


def zoom(pages):
    """zoomed to twice and four times, and with forced colours"""
    # Zooming a laptop's window is making it narrower: https://www.w3.org/WAI/WCAG22/Understanding/reflow.html
    for width in [683, 320]:
        page = pages.open("clinic")
        page.set_viewport_size({"width": width, "height": 512})
        wide = page.evaluate("document.documentElement.scrollWidth")
        pages.check(f"at {width} pixels nothing is wider than the screen", wide <= width, f"{wide} pixels")
        page.context.close()
    page = pages.open("clinic", forced_colors="active")
    page.evaluate("document.getElementById('charts').scrollIntoView()")
    bar = page.eval_on_selector(".s-bar", "bar => getComputedStyle(bar).fill")
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    pages.check("with forced colours, bars are not the colour of the paper", bar != back, f"{bar} on {back}")
    pages.picture(page, "clinic-forced-colors")
    page.context.close()
