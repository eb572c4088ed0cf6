// Makes the pages of a DAG quick: cells that change with the events, keys and a pointer in the grid, a graph that
// zooms, lines of a Gantt chart, a log that grows. The server draws; without this every view is there all the same.
(() => {
  "use strict";
  const find = (what, within = document) => within.querySelector(what);
  const all = (what, within = document) => [...within.querySelectorAll(what)];
  const SVG = "http://www.w3.org/2000/svg";
  const COLUMN = 18, ROW = 22;
  const LETTERS = { n: "none", c: "scheduled", q: "queued", r: "running", s: "success", f: "failed", k: "skipped", u: "upstream_failed", t: "up_for_retry", h: "up_for_reschedule", d: "deferred", g: "restarting", m: "removed", a: "awaiting_input" };
  const LETTER_OF = Object.fromEntries(Object.entries(LETTERS).map(([letter, word]) => [word, letter]));
  const typing = (event) => event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, [contenteditable]");

  // ---- A word beside the pointer.
  let tip = null;
  const say = (text, x, y) => {
    if (!text) { tip?.remove(); tip = null; return; }
    if (!tip) { tip = document.createElement("div"); tip.className = "tip"; tip.setAttribute("role", "status"); document.body.append(tip); }
    tip.textContent = text;
    const { offsetWidth: width, offsetHeight: height } = tip;
    // Geometry set by script is no inline style of the page.
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? y - height - 10 : y + 18}px`;
  };

  // ---- Grid
  const grid = () => find("#grid");
  const rowsOf = (sheet) => all(".grid-names li", sheet);
  const runsOf = (sheet) => (sheet.dataset.runs || "").split(" ").filter(Boolean);
  let cursor = null;
  const details = new Map();
  const detail = (run) => {
    if (!details.has(run)) {
      const ask = new URL(location.href);
      ask.pathname = ask.pathname.replace(/\/$/, "") + "/column";
      ask.search = `?run=${encodeURIComponent(run)}`;
      details.set(run, fetch(ask, { credentials: "same-origin" }).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null));
    }
    return details.get(run);
  };
  const stateAt = (row, column) => LETTERS[row.dataset.cells[column]];
  const nameOf = (row) => row.dataset.task ?? row.dataset.group;
  const describe = async (row, column, x, y, mine) => {
    const run = runsOf(grid())[column], state = stateAt(row, column);
    const plain = `${nameOf(row)}\n${run}\n${state ?? "not there"}`;
    say(plain, x, y);
    if (!row.dataset.task || !state) return;
    const found = await detail(run);
    if (found?.cells[row.dataset.task] && pointed === mine) say(`${nameOf(row)}\n${run}\n${found.cells[row.dataset.task]}`, x, y);
  };
  let pointed = 0;
  const placeOf = (event, cells) => {
    const box = cells.getBoundingClientRect();
    return { column: Math.floor((event.clientX - box.left) / COLUMN), row: Math.floor((event.clientY - box.top) / ROW) };
  };
  document.addEventListener("pointermove", (event) => {
    const cells = event.target.closest?.(".grid-cells");
    if (!cells) { if (tip && !event.target.closest?.("[data-tip]")) say(null); mark(null); return; }
    const { row, column } = placeOf(event, cells), rows = rowsOf(grid());
    mark(rows[row]);
    if (rows[row]) describe(rows[row], column, event.clientX, event.clientY, ++pointed);
  });
  let under = null;
  const mark = (row) => {
    if (under === row) return;
    under?.classList.remove("under");
    under = row ?? null;
    under?.classList.add("under");
  };
  const open = (row, column) => {
    const address = new URL(location.href);
    if (row.dataset.group) { find("a", row).click(); return; }
    address.searchParams.set("task", row.dataset.task);
    address.searchParams.set("run", runsOf(grid())[column]);
    location.assign(address);
  };
  document.addEventListener("click", (event) => {
    const cells = event.target.closest?.(".grid-cells");
    if (!cells) return;
    const { row, column } = placeOf(event, cells), target = rowsOf(grid())[row];
    if (target) open(target, column);
  });
  const show = () => {
    const sheet = grid(), rect = sheet && find(".grid-cursor", sheet);
    if (!rect || !cursor) return;
    rect.setAttribute("x", cursor.column * COLUMN);
    rect.setAttribute("y", cursor.row * ROW);
    rect.setAttribute("visibility", "visible");
    const box = find(".grid-cells", sheet).getBoundingClientRect();
    const x = box.left + cursor.column * COLUMN, y = box.top + cursor.row * ROW;
    const scroller = find(".grid-runs", sheet), edges = scroller.getBoundingClientRect();
    if (x < edges.left) scroller.scrollLeft -= edges.left - x + COLUMN;
    if (x + COLUMN > edges.right) scroller.scrollLeft += x + COLUMN - edges.right + COLUMN;
    if (y < 60 || y > innerHeight - 40) scrollBy(0, y < 60 ? y - 100 : y - innerHeight + 80);
    const row = rowsOf(sheet)[cursor.row];
    mark(row);
    const after = find(".grid-cells", sheet).getBoundingClientRect();
    describe(row, cursor.column, after.left + (cursor.column + 1) * COLUMN, after.top + cursor.row * ROW, ++pointed);
  };
  document.addEventListener("focusin", (event) => {
    if (!event.target.matches?.(".grid-cells")) return;
    const chosen = new URLSearchParams(location.search), rows = rowsOf(grid()), runs = runsOf(grid());
    const row = rows.findIndex((row) => row.dataset.task === chosen.get("task")), column = runs.indexOf(chosen.get("run"));
    cursor ??= { row: Math.max(row, 0), column: column < 0 ? runs.length - 1 : column };
    show();
  });
  document.addEventListener("focusout", (event) => {
    if (!event.target.matches?.(".grid-cells")) return;
    find(".grid-cursor")?.setAttribute("visibility", "hidden");
    say(null);
    mark(null);
  });
  document.addEventListener("keydown", (event) => {
    if (typing(event) || !event.target.matches?.(".grid-cells") || !cursor) return;
    const rows = rowsOf(grid()).length, columns = runsOf(grid()).length;
    const move = (row, column) => {
      cursor = { row: Math.max(0, Math.min(rows - 1, row)), column: Math.max(0, Math.min(columns - 1, column)) };
      show();
    };
    switch (event.key) {
      case "ArrowUp": move(cursor.row - 1, cursor.column); break;
      case "ArrowDown": move(cursor.row + 1, cursor.column); break;
      case "ArrowLeft": move(cursor.row, cursor.column - 1); break;
      case "ArrowRight": move(cursor.row, cursor.column + 1); break;
      case "Home": move(cursor.row, 0); break;
      case "End": move(cursor.row, columns - 1); break;
      case "PageUp": move(cursor.row - 20, cursor.column); break;
      case "PageDown": move(cursor.row + 20, cursor.column); break;
      case "Enter": case " ": open(rowsOf(grid())[cursor.row], cursor.column); break;
      default: return;
    }
    event.preventDefault();
  });

  // ---- Events: what changed is painted over its place at once; the part is drawn anew a moment later.
  const paint = (sheet, row, column, state) => {
    const live = find(".grid-live", sheet), x = column * COLUMN, y = row * ROW;
    const id = `${row}-${column}`;
    live.querySelector(`[data-at="${id}"]`)?.remove();
    const cell = document.createElementNS(SVG, "g");
    cell.dataset.at = id;
    for (const [name, fill] of [["blank", null], [`fresh ${state}`, `url(#cell-${state})`]]) {
      const rect = document.createElementNS(SVG, "rect");
      for (const [key, value] of Object.entries({ x, y, width: COLUMN, height: ROW, class: name })) rect.setAttribute(key, value);
      if (fill) rect.setAttribute("fill", fill);
      cell.append(rect);
    }
    live.append(cell);
  };
  const taskChanged = ({ key, state }) => {
    const sheet = grid();
    if (sheet) {
      const column = runsOf(sheet).indexOf(key.run), rows = rowsOf(sheet);
      const row = rows.findIndex((row) => row.dataset.task === key.task);
      // A mapped task is many: only the server knows how they stand together.
      if (column >= 0 && row >= 0 && key.map_index < 0) {
        const letters = rows[row].dataset.cells;
        rows[row].dataset.cells = letters.slice(0, column) + LETTER_OF[state] + letters.slice(column + 1);
        paint(sheet, row, column, state);
        details.delete(key.run);
      }
    }
    const node = find(`.graph .node[data-task="${CSS.escape(key.task)}"]`);
    const shown = new URLSearchParams(location.search).get("run");
    if (node && (!shown || shown === key.run) && key.map_index < 0) {
      node.setAttribute("class", node.getAttribute("class").replace(/\bs-\w+/, `s-${state}`));
    }
  };
  const happened = (change) => {
    const kind = change?.change;
    if (kind === "task" && location.pathname.startsWith(`/dags/${encodeURIComponent(change.key.dag)}`)) taskChanged(change);
  };
  document.addEventListener("updraft:event", ({ detail: text }) => {
    let said;
    try { said = JSON.parse(text); } catch { return; }
    for (const one of [said].flat()) happened(one.change?.change ? one.change : one);
  });

  // ---- Graph: wheel and buttons zoom, dragging moves, arrow keys walk along the edges.
  let view = null, whole = null;
  const graph = () => find("#graph svg.graph");
  const setView = (next) => {
    view = next;
    graph()?.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  };
  const fit = () => setView({ ...whole });
  const zoom = (factor, x, y) => {
    const box = graph().getBoundingClientRect();
    const width = Math.min(Math.max(view.width * factor, 120), whole.width * 4);
    const scale = width / view.width;
    const share = { x: x === undefined ? 0.5 : (x - box.left) / box.width, y: y === undefined ? 0.5 : (y - box.top) / box.height };
    setView({ x: view.x + view.width * (1 - scale) * share.x, y: view.y + view.height * (1 - scale) * share.y, width, height: view.height * scale });
  };
  let original = null;
  const ready = () => {
    const svg = graph(), sheet = find("#graph");
    if (!svg) return;
    // A picture that was drawn anew has its own view again; the one that was chosen stays.
    if (!sheet.classList.contains("zooms")) original = svg.getAttribute("viewBox").split(" ").map(Number);
    const [x, y, width, height] = original;
    sheet.classList.add("zooms");
    sheet.style.setProperty("--graph-high", `${Math.max(260, Math.min(height * 1.25, 900))}px`);
    const box = svg.getBoundingClientRect();
    // A small graph is not blown up: its boxes keep their size.
    const scale = Math.max(width / box.width, height / box.height, 1);
    const before = whole;
    whole = { x: x - (scale === 1 ? 0 : (box.width * scale - width) / 2), y: y - (box.height * scale - height) / 2, width: box.width * scale, height: box.height * scale };
    if (!view || !before || before.width !== whole.width || before.height !== whole.height) fit();
    else setView(view);
  };
  document.addEventListener("wheel", (event) => {
    if (!event.target.closest?.("#graph.zooms")) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.12 : 1 / 1.12, event.clientX, event.clientY);
  }, { passive: false });
  let drag = null, dragged = false;
  document.addEventListener("pointerdown", (event) => {
    if (event.button || !event.target.closest?.("#graph.zooms")) return;
    drag = { x: event.clientX, y: event.clientY, view };
    dragged = false;
  });
  addEventListener("pointermove", (event) => {
    if (!drag) return;
    const box = graph().getBoundingClientRect(), scale = drag.view.width / box.width;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!dragged && Math.hypot(x, y) < 4) return;
    dragged = true;
    find("#graph").classList.add("drags");
    setView({ ...drag.view, x: drag.view.x - x * scale, y: drag.view.y - y * scale });
  });
  addEventListener("pointerup", () => { drag = null; find("#graph")?.classList.remove("drags"); });
  document.addEventListener("dragstart", (event) => { if (event.target.closest?.("#graph")) event.preventDefault(); });
  document.addEventListener("click", (event) => {
    if (dragged && event.target.closest?.("#graph")) { event.preventDefault(); dragged = false; return; }
    const button = event.target.closest?.("[data-zoom]");
    if (!button || !view) return;
    if (button.dataset.zoom === "fit") fit();
    else zoom(button.dataset.zoom === "in" ? 0.8 : 1.25);
  });
  const near = (node) => {
    const number = node?.dataset.n;
    for (const edge of all("#graph .edge")) edge.classList.toggle("near", number !== undefined && (edge.dataset.from === number || edge.dataset.to === number));
  };
  const inSight = (node) => {
    const box = node.getBoundingClientRect(), sheet = find("#graph").getBoundingClientRect();
    if (box.left >= sheet.left && box.right <= sheet.right && box.top >= sheet.top && box.bottom <= sheet.bottom) return;
    const scale = view.width / graph().getBoundingClientRect().width;
    setView({ ...view, x: view.x + (box.left + box.width / 2 - sheet.left - sheet.width / 2) * scale, y: view.y + (box.top + box.height / 2 - sheet.top - sheet.height / 2) * scale });
  };
  document.addEventListener("keydown", (event) => {
    const node = event.target.closest?.("#graph .node");
    if (!node || typing(event)) return;
    const at = (number) => find(`#graph .node[data-n="${number}"]`);
    const high = (one) => one.getBoundingClientRect().top;
    const ends = (here, there) => all(`#graph .edge[data-${here}="${node.dataset.n}"]`).map((edge) => at(edge.dataset[there])).filter(Boolean).sort((one, other) => high(one) - high(other));
    let next;
    if (event.key === "ArrowRight") next = ends("from", "to")[0];
    else if (event.key === "ArrowLeft") next = ends("to", "from")[0];
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const column = Math.round(node.getBoundingClientRect().left);
      const same = all("#graph .node").filter((one) => Math.abs(one.getBoundingClientRect().left - column) < 2).sort((one, other) => high(one) - high(other));
      next = same[same.indexOf(node) + (event.key === "ArrowDown" ? 1 : -1)];
    } else return;
    event.preventDefault();
    if (next) { next.focus({ preventScroll: true }); inSight(next); }
  });
  for (const name of ["focusin", "pointerover"]) {
    document.addEventListener(name, (event) => { if (find("#graph")) near(event.target.closest?.("#graph .node")); });
  }

  // ---- Gantt: whoever waited for whom.
  document.addEventListener("pointerover", (event) => {
    const bar = event.target.closest?.(".gantt .try"), row = bar?.dataset.row;
    const lines = all(".gantt .dependency");
    for (const line of lines) line.classList.toggle("near", row !== undefined && (line.dataset.from === row || line.dataset.to === row));
  });

  // ---- Log
  document.addEventListener("keydown", (event) => {
    if (event.key !== "e" || typing(event)) return;
    const shown = find("#lines .line.error"), link = find("[data-jump-error]");
    if (!link) return;
    event.preventDefault();
    // The first of all is in sight only where the log is shown from its beginning.
    if (shown && find("#lines .line .number")?.textContent === "1") {
      location.hash = shown.id;
      shown.scrollIntoView({ block: "center" });
    } else link.click();
  });
  document.addEventListener("click", (event) => {
    const head = event.target.closest?.(".log .opens");
    if (head && !event.target.closest("a")) {
      const shut = head.classList.toggle("shut"), deep = Number(head.dataset.deep || 0);
      for (let line = head.nextElementSibling; line && Number(line.dataset.deep || 0) > deep; line = line.nextElementSibling) line.hidden = shut;
    }
  });
  document.addEventListener("click", async (event) => {
    const more = event.target.closest?.("[data-more]");
    if (!more || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const answer = await fetch(more.href, { credentials: "same-origin" });
    if (!answer.ok) { location.assign(more.href); return; }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const log = find("#lines"), added = all("#lines .line", fresh).filter((line) => !document.getElementById(line.id)).map((line) => document.importNode(line, true));
    const before = more.dataset.more === "before", first = log.firstElementChild;
    const height = document.documentElement.scrollHeight;
    if (before) first.before(...added); else log.append(...added);
    if (before) scrollBy(0, document.documentElement.scrollHeight - height);
    const next = find(`[data-more="${more.dataset.more}"]`, fresh);
    if (next && added.length) more.href = next.href; else more.closest("p").remove();
  });
  const follow = () => {
    const place = find("#follow:not([data-heard])"), log = find("#lines");
    if (!place || !log) return;
    place.dataset.heard = "yes";
    const box = find("input", place);
    const toEnd = () => { if (box.checked) place.scrollIntoView({ block: "end" }); };
    let from = new URL(place.dataset.follow, location.href), stream = null;
    const listen = () => {
      stream = new EventSource(from);
      stream.addEventListener("lines", (event) => {
        const said = JSON.parse(event.data);
        log.insertAdjacentHTML("beforeend", said.html);
        from.searchParams.set("from", said.from);
        from.searchParams.set("line", said.line);
        document.getElementById("nothing-yet")?.remove();
        toEnd();
      });
      stream.addEventListener("end", () => { stream.close(); place.classList.add("over"); box.closest("label").lastChild.data = " the try has ended"; box.remove(); });
      // A browser would ask for the same again: it goes on where it has come to.
      stream.onerror = () => { stream.close(); setTimeout(listen, 1000); };
    };
    listen();
    toEnd();
    box.addEventListener("change", toEnd);
    addEventListener("pagehide", () => stream.close());
  };

  const start = () => { ready(); follow(); };
  document.addEventListener("updraft:drawn", () => { ready(); if (document.activeElement?.matches(".grid-cells")) show(); });
  addEventListener("resize", ready);
  start();
})();
