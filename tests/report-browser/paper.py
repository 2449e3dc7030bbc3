"""The page as a PDF."""

import re
import unicodedata

from pypdf import PdfReader


def words(text):
    """Text without what lines, columns and ligatures do to it."""
    return re.sub(r"[\s\u00ad-]+", "", unicodedata.normalize("NFKC", text))


def prints(pages):
    """on paper, A4 and Letter, from a browser in dark mode"""
    for name, paper, most in [("clinic", "A4", 140), ("empty", "A4", 7), ("one", "A4", 9), ("broken", "Letter", 60)]:
        page = pages.open(name, scheme="dark")
        path = pages.folder / f"{name}-{paper}.pdf"
        page.pdf(path=path, format=paper, print_background=False)
        page.context.close()
        pdf = PdfReader(path)
        sheets = [sheet.extract_text() for sheet in pdf.pages]
        text = words("".join(sheets))
        print(f"      {name}, {paper}: {len(sheets)} sheets, {path.stat().st_size // 1024} kB")
        pages.check(f"{name}, {paper}: no more than {most} sheets", len(sheets) <= most, f"{len(sheets)}")
        pages.check(f"{name}, {paper}: sheets are numbered", f"1 / {len(sheets)}" in sheets[0], sheets[0][-120:])
        wanted = ["1 July", "By section of the HIPAA Security Rule", "By control", "Integrity of the evidence", "How to read this"]
        wanted += ["https://www.ecfr.gov/current/title-45/section-164.312"]
        if name == "clinic":
            wanted += ["The evidence is sound", "164.312(a)(1)", "New episodes by week", "Takes it back", "8c9e1f6a-0000-4000"]
        if name == "broken":
            wanted += ["The evidence is not sound, and this report is not whole", "account 444455556666: not allowed to read"]
        for say in wanted:
            pages.check(f"{name}, {paper}: it says “{say}”", words(say) in text)
        pressed = [say for say in ["Show all", "The figures as a table", "Print them"] if words(say) in text]
        pages.check(f"{name}, {paper}: nothing to press or to unfold", not pressed, str(pressed))
        if name == "clinic":
            heads = sum("Caused by" in sheet and "Open for" in sheet for sheet in sheets)
            pages.check(f"{name}, {paper}: the table's head is on each of its sheets", heads >= 8, f"{heads}")
            links = sum(len(sheet.get("/Annots") or []) for sheet in pdf.pages)
            pages.check(f"{name}, {paper}: links are links", links > 300, f"{links}")
    # Without the records, where somebody wants paper for the first part only; and a filtered table says that it is one.
    page = pages.open("clinic")
    page.uncheck("#print-records")
    page.select_option("#f-end", "refused")
    page.pdf(path=pages.folder / "clinic-short-Letter.pdf", format="Letter")
    page.context.close()
    pdf = PdfReader(pages.folder / "clinic-short-Letter.pdf")
    wide, high = (round(float(side)) for side in pdf.pages[0].mediabox[2:])
    pages.check("Letter is Letter", (wide, high) == (612, 792), f"{wide} x {high}")
    sheets = [sheet.extract_text() for sheet in pdf.pages]
    text = words("".join(sheets))
    pages.check("without the records it is short, and says so", len(sheets) < 16 and words("The records are not printed") in text, f"{len(sheets)} sheets")
    pages.check("a filtered table says so on paper", words("of 154 are shown; the others are filtered out") in text)
