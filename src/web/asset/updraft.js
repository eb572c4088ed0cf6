// Makes the pages live and quick under the fingers. Everything here is an addition: without it
// every link and form does the same. It keeps no state of its own; the server draws, this swaps.
(() => {
  "use strict";
  const root = document.documentElement;
  const find = (what, within = document) => within.querySelector(what);
  const all = (what, within = document) => [...within.querySelectorAll(what)];
  root.classList.add("scripted");

  // ---- Theme: by the system, or as chosen; the cookie lets the server draw it without a flash.
  const remember = (name, value) => {
    document.cookie = `${name}=${encodeURIComponent(value)}; Path=/; Max-Age=31536000; SameSite=Lax`;
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[data-theme-switch]")) {
      event.preventDefault();
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      remember("theme", root.dataset.theme);
    } else if (form.dataset.confirm && !confirm(form.dataset.confirm)) {
      event.preventDefault();
    }
  });

  // ---- Times: relative ones go on by themselves; the exact one is shown in the viewer's zone.
  const exact = new Intl.DateTimeFormat([], { dateStyle: "full", timeStyle: "medium" });
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  const apart = (seconds) => {
    const size = Math.abs(seconds);
    if (size < 1) return "now";
    const [unit, name] = units.find(([unit]) => size >= unit) ?? [1, "s"];
    const count = `${Math.floor(size / unit)} ${name}`;
    return seconds < 0 ? `${count} ago` : `in ${count}`;
  };
  const tell = (now) => {
    for (const time of all("time[data-relative]")) {
      const at = new Date(time.dateTime);
      const text = apart((at - now) / 1000);
      if (time.textContent !== text) time.textContent = text;
      if (!time.dataset.zoned) {
        time.title = `${exact.format(at)}\n${time.title}`;
        time.dataset.zoned = "yes";
      }
    }
    for (const time of all("time[data-since]")) {
      const seconds = Math.max(0, (now - new Date(time.dateTime)) / 1000);
      const text = spoken(seconds);
      if (time.textContent !== text) time.textContent = text;
    }
  };
  const spoken = (seconds) => {
    if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
    const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
    const two = (number) => String(number).padStart(2, "0");
    if (hours < 1) return `${minutes} m ${two(Math.floor(seconds % 60))} s`;
    return days < 1 ? `${hours} h ${two(minutes % 60)} m` : `${days} d ${two(hours % 24)} h`;
  };
  const tick = () => document.hidden || tell(Date.now());
  tick();
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);

  // ---- Live: an event of the server says that something changed; the parts marked data-live are drawn anew.
  // Text and attributes change in place, so that focus, selection and scrolling stay where they are.
  const keep = new Set(["data-zoned", "open"]);
  const morph = (old, now) => {
    if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName || (old.id || "") !== (now.id || "")) {
      const fresh = document.importNode(now, true);
      old.replaceWith(fresh);
      if (fresh.nodeType === 1) fresh.classList.add("changed");
      return;
    }
    if (old.nodeType === 3) {
      if (old.data !== now.data) {
        old.data = now.data;
        const cell = old.parentElement?.closest("td, [data-cell]");
        if (cell && !old.parentElement.matches("time")) flash(cell);
      }
      return;
    }
    if (old.nodeType !== 1 || old === document.activeElement && old.matches("input, textarea, select")) return;
    if (old.matches("time") && old.dateTime === now.dateTime) return;
    for (const { name } of [...old.attributes]) if (!now.hasAttribute(name) && !keep.has(name)) old.removeAttribute(name);
    for (const { name, value } of [...now.attributes]) {
      if (!keep.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const before = [...old.childNodes], after = [...now.childNodes];
    const keyed = new Map(before.filter((node) => node.nodeType === 1 && node.id).map((node) => [node.id, node]));
    let place = old.firstChild;
    for (const child of after) {
      const same = child.nodeType === 1 && child.id ? keyed.get(child.id) : null;
      if (same && same !== place) old.insertBefore(same, place), place = same;
      if (!place) {
        const fresh = document.importNode(child, true);
        old.appendChild(fresh);
        if (fresh.nodeType === 1) fresh.classList.add("changed");
        continue;
      }
      const next = place.nextSibling;
      morph(place, child);
      place = next;
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  };
  const flash = (cell) => {
    cell.classList.remove("changed");
    requestAnimationFrame(() => cell.classList.add("changed"));
  };
  let drawing = false, again = false, timer = null, drawnAt = 0;
  const redraw = async () => {
    timer = null;
    if (document.hidden) { again = true; return; }
    if (drawing) { again = true; return; }
    drawing = true;
    again = false;
    drawnAt = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { "X-Updraft-Live": "1" }, credentials: "same-origin" });
      if (answer.ok && !answer.redirected) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of all("[data-live]")) {
          const now = fresh.getElementById(part.id);
          if (now) morph(part, now);
        }
        tick();
        document.dispatchEvent(new CustomEvent("updraft:drawn"));
      }
    } catch { /* The stream notices too, and shows it. */ }
    drawing = false;
    if (again) soon();
  };
  // At once when it is calm, once a second when much happens.
  const soon = () => { timer ??= setTimeout(redraw, performance.now() - drawnAt > 1000 ? 20 : 1000); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden && again) soon(); });
  window.updraft = { redraw: soon };
  const source = document.body.dataset.stream;
  if (source && all("[data-live]").length) {
    let stream = null, wait = 500, lost = !source.includes("since=");
    const open = () => {
      stream = new EventSource(source);
      stream.onopen = () => {
        root.classList.remove("offline");
        wait = 500;
        if (lost) soon();
        lost = false;
      };
      const happened = (event) => {
        document.dispatchEvent(new CustomEvent("updraft:event", { detail: event.data }));
        soon();
      };
      stream.onmessage = happened;
      for (const kind of ["change", "reload"]) stream.addEventListener(kind, happened);
      stream.onerror = () => {
        root.classList.add("offline");
        lost = true;
        if (stream.readyState !== EventSource.CLOSED) return;
        setTimeout(open, wait);
        wait = Math.min(wait * 2, 15000);
      };
    };
    open();
    addEventListener("pagehide", () => stream.close());
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  // ---- Menus close at Escape and at a click elsewhere.
  const close = (except) => { for (const menu of all("details.menu[open]")) if (!menu.contains(except)) menu.open = false; };
  document.addEventListener("click", (event) => close(event.target));

  // ---- Search as one types.
  const search = find(".search input"), found = find(".found");
  let asked = 0;
  const choices = () => all("[role=option]", found);
  const choose = (index) => {
    const list = choices();
    list.forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    const chosen = list[index];
    if (chosen) { chosen.scrollIntoView({ block: "nearest" }); search.setAttribute("aria-activedescendant", chosen.id); }
    else search.removeAttribute("aria-activedescendant");
  };
  const chosen = () => choices().findIndex((option) => option.getAttribute("aria-selected") === "true");
  const shut = () => { found.replaceChildren(); search.setAttribute("aria-expanded", "false"); };
  search?.addEventListener("input", async () => {
    const mine = ++asked, words = search.value.trim();
    if (!words) return shut();
    const answer = await fetch(`/search?part=1&q=${encodeURIComponent(words)}`, { credentials: "same-origin" });
    if (mine !== asked || !answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    found.replaceChildren(...fresh.body.childNodes);
    search.setAttribute("aria-expanded", String(choices().length > 0));
    choose(0);
  });
  search?.addEventListener("keydown", (event) => {
    const count = choices().length;
    if (event.key === "ArrowDown" && count) choose((chosen() + 1) % count);
    else if (event.key === "ArrowUp" && count) choose((chosen() + count - 1) % count);
    else if (event.key === "Enter" && chosen() >= 0) find("a", choices()[chosen()]).click();
    else if (event.key === "Escape") { shut(); search.blur(); }
    else return;
    event.preventDefault();
  });
  search?.addEventListener("blur", () => setTimeout(shut, 150));

  // ---- Keys. `g` and a letter goes to a page; j and k walk the rows.
  const rows = () => all("table.list tbody tr").filter((row) => find("a", row));
  let prefix = false;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close(null);
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (prefix) {
      prefix = false;
      const link = find(`a[data-key="g ${event.key}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    const help = find("#shortcuts");
    if (event.key === "/" && search) { event.preventDefault(); search.focus(); search.select(); }
    else if (event.key === "?" && help) help.open ? help.close() : help.showModal();
    else if (event.key === "g") prefix = true;
    else if (event.key === "j" || event.key === "k") {
      const list = rows(), at = list.findIndex((row) => row.contains(document.activeElement));
      const next = list[Math.max(0, Math.min(list.length - 1, at + (event.key === "j" ? 1 : -1)))];
      if (next) { find("a.title, a", next).focus(); next.scrollIntoView({ block: "nearest" }); }
    } else if (event.key === "x") {
      const box = document.activeElement.closest?.("tr")?.querySelector("input[type=checkbox]");
      if (box) box.click();
    }
  });
  find("#shortcuts [data-close]")?.addEventListener("click", () => find("#shortcuts").close());

  // ---- Rows that are chosen open the bar of bulk actions.
  const recount = () => {
    const bar = find(".bulk[data-bulk]");
    if (!bar) return;
    const boxes = all("tbody input[type=checkbox][name=chosen]"), on = boxes.filter((box) => box.checked);
    boxes.forEach((box) => box.closest("tr").classList.toggle("chosen", box.checked));
    bar.hidden = on.length === 0;
    const count = find("[data-count]", bar);
    if (count) count.textContent = `${on.length} selected`;
    const every = find("input[data-choose-all]");
    if (every) { every.checked = on.length > 0 && on.length === boxes.length; every.indeterminate = on.length > 0 && on.length < boxes.length; }
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("input[data-choose-all]")) {
      all("tbody input[type=checkbox][name=chosen]").forEach((box) => { box.checked = event.target.checked; });
    }
    if (event.target.matches("input[data-choose-all], input[name=chosen]")) recount();
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });
  document.addEventListener("updraft:drawn", recount);
  recount();

  // ---- A form of params and its JSON are kept in step.
  const json = find("textarea[data-conf]");
  if (json) {
    const fields = all("[data-param]");
    const value = (field) => {
      const text = field.value;
      switch (field.dataset.type) {
        case "boolean": return field.checked;
        case "integer": case "number": return text === "" ? null : Number(text);
        case "array": case "object": case "json": return text.trim() === "" ? null : JSON.parse(text);
        case "datetime": return text === "" ? null : text.replace(/^(\S{10}T\d\d:\d\d)$/, "$1:00") + (/[zZ]|[+-]\d\d:\d\d$/.test(text) ? "" : "+00:00");
        case "lines": return text.split("\n").filter((line) => line !== "");
        default: return text === "" && field.dataset.nullable ? null : text;
      }
    };
    const write = () => {
      let conf;
      try { conf = JSON.parse(json.value || "{}"); } catch { return; }
      for (const field of fields) {
        try { conf[field.dataset.param] = value(field); field.setCustomValidity(""); }
        catch { field.setCustomValidity("expected JSON"); }
      }
      json.value = JSON.stringify(conf, null, 2);
    };
    const read = () => {
      let conf;
      try { conf = JSON.parse(json.value || "{}"); json.setCustomValidity(""); }
      catch (error) { json.setCustomValidity(String(error.message)); return; }
      for (const field of fields) {
        const now = conf[field.dataset.param];
        if (now === undefined) continue;
        if (field.dataset.type === "boolean") field.checked = Boolean(now);
        else if (field.dataset.type === "datetime" && typeof now === "string") field.value = now.slice(0, 19);
        else if (field.dataset.type === "lines" && Array.isArray(now)) field.value = now.join("\n");
        else if (typeof now === "string" && field.dataset.type !== "json") field.value = now;
        else field.value = now === null ? "" : typeof now === "object" || field.dataset.type === "json" ? JSON.stringify(now) : String(now);
      }
    };
    fields.forEach((field) => field.addEventListener("input", write));
    json.addEventListener("input", read);
  }

  // ---- Toasts go after a while, unless somebody is about to use one.
  for (const toast of all(".toast")) {
    const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : toast.remove());
    if (!toast.classList.contains("bad")) setTimeout(leave, 8000);
  }
})();
