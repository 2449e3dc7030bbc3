"""What a reader does with the page."""

ROWS = "#episode-table tbody tr"
SHOWN = f"{ROWS}:not([hidden])"


def shown(page):
    """How many rows are shown."""
    return page.locator(SHOWN).count()


def cells(page, column):
    """The words of a column, of the rows that are shown."""
    return page.eval_on_selector_all(SHOWN, "(rows, at) => rows.map(row => row.cells[at].textContent)", column)


def values(page, column):
    """The numbers that a column is sorted by."""
    return page.eval_on_selector_all(SHOWN, "(rows, at) => rows.map(row => Number(row.cells[at].dataset.v))", column)


def head(page, name):
    """The head of a column, and its button."""
    cell = page.locator("#episode-table thead th", has_text=name)
    return cell, cell.get_by_role("button")


def filtered(page, by):
    """Filters, and waits for the answer."""
    before = page.locator("#f-status").inner_text()
    by()
    page.wait_for_function("was => document.getElementById('f-status').innerText !== was", arg=before)
    return shown(page)


def without_script(pages):
    """without its script, everything can be read"""
    page = pages.open("clinic", java_script_enabled=False)
    pages.check("all rows are there", page.locator(ROWS).count() == 154)
    pages.check("what only the script can do is not offered", not page.locator("#filters").is_visible())
    pages.check("a head is a word, no button", page.locator("thead button").count() == 0)
    page.locator(f"{ROWS} td a").first.click()
    pages.check("a link leads to its record", page.locator("article:target h3").is_visible())
    page.locator("summary").first.click()
    pages.check("a chart's figures unfold", page.locator("#data-open").is_visible())
    page.context.close()


def sorts(pages):
    """sorting"""
    page = pages.open("clinic")
    for name, column in [("Open for", 5), ("Began", 1), ("No.", 0)]:
        cell, button = head(page, name)
        button.click()
        rising = values(page, column)
        pages.check(f"by {name}", rising == sorted(rising) and cell.get_attribute("aria-sort") == "ascending")
        button.click()
        falling = values(page, column)
        pages.check(f"by {name}, the other way", falling == sorted(falling, reverse=True) and cell.get_attribute("aria-sort") == "descending")
    cell, button = head(page, "Control")
    button.click()
    controls = cells(page, 2)
    pages.check("by control", controls == sorted(controls) and len(set(controls)) == 12)
    pages.check("one column at a time says that it is sorted", page.locator("th[aria-sort]").count() == 1)
    page.context.close()
    page = pages.open("crowd")
    took = page.evaluate(
        "() => { const at = performance.now(); document.querySelectorAll('#episode-table thead button')[5].click();"
        "document.body.offsetHeight; return performance.now() - at; }"
    )
    print(f"      {page.locator(ROWS).count()} rows sorted in {took:.0f} ms")
    pages.check("ten thousand rows sort within five seconds", took < 5000, f"{took:.0f} ms")
    page.context.close()


def filters(pages):
    """filtering"""
    page = pages.open("clinic")
    pages.check("all are shown at first", shown(page) == 154)
    some = filtered(page, lambda: page.select_option("#f-control", "s3-public-bucket"))
    pages.check("by control", 0 < some < 154 and set(cells(page, 2)) == {"s3-public-bucket"})
    fewer = filtered(page, lambda: page.select_option("#f-end", "refused"))
    pages.check("by control and end", 0 < fewer < some and all("refused" in said for said in cells(page, 6)))
    pages.check("it says how many", page.locator("#f-status").inner_text().startswith(f"{fewer} of 154"))
    pages.check("all again", filtered(page, lambda: page.click("#f-reset")) == 154)
    opened = filtered(page, lambda: page.check("#f-open"))
    pages.check("only open ones", 0 < opened < 154 and all(", open" in said for said in cells(page, 6)))
    unanswered = filtered(page, lambda: page.check("#f-unanswered"))
    figure = page.locator(".figures dd b").first.inner_text()
    pages.check("unanswered ones are as many as the head says", str(unanswered) == figure, f"{unanswered}, not {figure}")
    page.click("#f-reset")
    found = filtered(page, lambda: page.fill("#f-text", "<SCRIPT>alert"))
    pages.check("by text, hostile names too", found >= 1 and any("<script>alert(1)</script>" in said for said in cells(page, 3)))
    none = filtered(page, lambda: page.fill("#f-text", "nothing has this name"))
    pages.check("nothing found is said", none == 0 and page.locator("#f-status").inner_text().startswith("0 of 154"))
    page.click("#f-reset")
    record = page.locator(f"{ROWS} td a").first.get_attribute("href").removeprefix("#record-")
    pages.check("by a record's id", filtered(page, lambda: page.fill("#f-text", record)) == 1)
    page.context.close()


def keyboard(pages):
    """by keyboard alone"""
    page = pages.open("clinic")
    page.keyboard.press("Tab")
    pages.check("the first stop skips to the report", page.evaluate("document.activeElement.className") == "skip")
    pages.check("and is seen", page.evaluate("document.activeElement.getBoundingClientRect().top >= 0"))
    page.keyboard.press("Enter")
    pages.check("it leads there", page.evaluate("location.hash") == "#main")
    stops, seen = [], 0
    for _ in range(400):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            "() => { const it = document.activeElement; const style = getComputedStyle(it);"
            "return [it.id || it.innerText.slice(0, 20), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2]; }"
        )
        stops.append(stop[0])
        seen += stop[1]
        if "f-reset" in stops and stop[0] == "Records":
            break
    pages.check("each stop shows that it has the focus", seen == len(stops), f"{seen} of {len(stops)}")
    wanted = ["f-text", "f-control", "f-end", "f-open", "f-unanswered", "f-reset"]
    pages.check("the filters are reached in order", [stop for stop in stops if stop in wanted] == wanted, str(stops))
    page.focus("#f-open")
    pages.check("space ticks a box", filtered(page, lambda: page.keyboard.press("Space")) < 154)
    cell, button = head(page, "Began")
    button.focus()
    page.keyboard.press("Enter")
    pages.check("enter sorts", cell.get_attribute("aria-sort") == "ascending")
    page.context.close()


def links(pages):
    """links within the page"""
    page = pages.open("clinic")
    page.click("#by-control a[data-control=s3-public-policy]")
    pages.check("a control leads to its episodes", set(cells(page, 2)) == {"s3-public-policy"})
    page.click(".attention a[data-stand=open]")
    pages.check("what is open leads to what is open", 0 < shown(page) < 154 and "refused, open" in " ".join(cells(page, 6)))
    hidden = page.eval_on_selector(f"{ROWS}[hidden]", "row => row.id")
    page.evaluate("id => { location.hash = id; }", hidden)
    page.wait_for_function("id => !document.getElementById(id).hidden", arg=hidden)
    pages.check("a link to a row that was filtered out shows it", page.locator(f"#{hidden}").is_visible())
    page.context.close()
