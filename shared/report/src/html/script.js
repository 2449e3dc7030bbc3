"use strict";
// Sorts and filters the table of episodes. Nothing else needs it.
(() => {
  // Paper shows what is folded on the screen, also in browsers whose style sheets cannot unfold it.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((it) => { it.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((it) => { it.open = false; }));

  const table = document.getElementById("episode-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const at = (id) => document.getElementById(id);
  const [bar, text, control, end, open, unanswered, status] =
    ["filters", "f-text", "f-control", "f-end", "f-open", "f-unanswered", "f-status"].map(at);
  const count = new Intl.NumberFormat("en");
  // What a row is found by: its words, and the ids of its records, which are in its links. Read when it is first asked for.
  const found = new Map();
  const words = (row) => {
    let said = found.get(row);
    if (said === undefined) {
      said = (row.textContent + " " + [...row.querySelectorAll("a")].map((a) => a.hash).join(" ")).toLowerCase();
      found.set(row, said);
    }
    return said;
  };

  const filter = () => {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const stand = row.dataset.s;
      const fits = (!control.value || row.cells[2].textContent === control.value)
        && (!end.value || row.dataset.e === end.value)
        && (!open.checked || stand === "open" || stand === "answered")
        && (!unanswered.checked || stand === "open")
        && wanted.every((word) => words(row).includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      if (fits) shown += 1;
    }
    const all = shown === rows.length;
    bar.classList.toggle("active", !all);
    status.textContent = all
      ? `All ${count.format(rows.length)} are shown.`
      : `${count.format(shown)} of ${count.format(rows.length)} are shown; the others are filtered out.`;
  };
  let soon = 0;
  text.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(filter, 120); });
  [control, end, open, unanswered].forEach((it) => it.addEventListener("change", filter));
  const reset = () => {
    text.value = control.value = end.value = "";
    open.checked = unanswered.checked = false;
  };
  at("f-reset").addEventListener("click", () => { reset(); filter(); });

  const key = (row, place, numbers) => {
    const cell = row.cells[place];
    return numbers || cell.dataset.v !== undefined ? Number(cell.dataset.v) : cell.textContent.trim().toLowerCase();
  };
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const numbers = head.dataset.sort === "n";
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = rows.map((row) => [key(row, place, numbers), row]);
      const order = numbers ? (a, b) => a[0] - b[0] : ((c) => (a, b) => c.compare(a[0], b[0]))(new Intl.Collator("en", { numeric: true }));
      keyed.sort(down ? (a, b) => order(b, a) : order);
      rows.splice(0, rows.length, ...keyed.map(([, row]) => row));
      body.append(...rows);
    });
  });

  // A link into the table that says which of its rows it means; and one to a row that is filtered out shows it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    if (!link) return;
    if (link.dataset.control !== undefined || link.dataset.stand !== undefined) {
      reset();
      control.value = link.dataset.control ?? "";
      unanswered.checked = link.dataset.stand === "open";
      filter();
    } else if (at(link.hash.slice(1))?.hidden) {
      reset();
      filter();
    }
  });
  addEventListener("hashchange", () => {
    const row = at(location.hash.slice(1));
    if (row?.hidden) { reset(); filter(); row.scrollIntoView(); }
  });

  bar.hidden = false;
  filter();
})();
