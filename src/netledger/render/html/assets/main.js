// Puts the page together and listens.
"use strict";

function drawProblem() {
  const place = byId("problem");
  place.hidden = !now.error;
  if (!now.error) return place.replaceChildren();
  const { where, fact, hint } = now.error;
  place.replaceChildren(h("p", {}, h("b", {}, where || "This does not fit"), `: ${fact}`), hint && h("p", { class: "quiet" }, hint),
    h("div", { class: "buttons" },
      now.ledger.failed && h("button", { type: "button", onclick: () => select(now.ledger.failed, { scroll: true }) }, "Show the layer"),
      state.past.length ? h("button", { type: "button", onclick: undo }, "Undo") : null));
}

/** The causes of a difference; each with what it changes. */
function drawCauses() {
  const place = byId("causes");
  place.hidden = !data.causes;
  if (!data.causes) return;
  const [a, b] = data.graphs.map((g) => g.name);
  const heads = { params: "parameters", buffers: "buffers", macs: "MACs" };
  const given = Object.keys(heads).filter((what) => what !== "buffers" || [data, ...data.causes].some((c) => c.delta[what]));
  const columns = (cause) => given.map((what) => h("td", { class: "number" }, cause.delta[what]));
  place.replaceChildren(h("h2", {}, `What differs from ${a} to ${b}`), h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Causes" },
    h("table", { class: "facts causes" },
      h("thead", {}, h("tr", {}, ["cause", ...given.map((what) => heads[what])].map((t, i) => h("th", { scope: "col", class: i ? "number" : "" }, t)))),
      h("tbody", {}, ...data.causes.map((c) => h("tr", {},
        h("th", { scope: "row" }, c.text, c.consequence && h("span", { class: "quiet" }, ` ${c.consequence}`)),
        ...columns(c)))),
      h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "in all"), ...columns(data))))),
    ...data.notes.map((n) => h("p", { class: "quiet" }, n)));
}

/** Explanations of a claim; a click makes the network the one that would explain it. */
function drawClaims() {
  const place = byId("claims");
  place.hidden = !data.claims.length;
  place.replaceChildren(...data.claims.map((claim) => h("div", { class: "claim" },
    h("h2", {}, `Why is it not ${claim.text}?`),
    h("ol", {}, ...claim.explanations.map((e) => h("li", {},
      h("span", { class: "result" }, show(BigInt(e.result))), h("span", {}, e.text),
      e.edits.length ? h("button", { type: "button", onclick: () => change({ edits: [...state.edits, ...e.edits] }) }, "Try it") : null)))))); 
}

function draw() {
  plant();
  const problem = byId("problem");
  if (now.error && now.ledger.failed) reveal(now.ledger.failed);
  drawTotals();
  drawWhatIf();
  drawProblem();
  drawTable();
  drawBars();
  drawDetail();
  drawGraph();
  problem.classList.toggle("shown", Boolean(now.error));
  followSoon();
}

function chooseTab(name) {
  for (const tab of ["layer", "graph"]) {
    const chosen = tab === name;
    byId(`tab-${tab}`).setAttribute("aria-selected", String(chosen));
    byId(`tab-${tab}`).tabIndex = chosen ? 0 : -1;
    byId(tab).hidden = !chosen;
  }
  if (name === "graph") {
    drawGraph();
    markGraph(true);
  }
}

const THEMES = ["auto", "light", "dark"];
function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  byId("theme").textContent = { auto: "Auto", light: "Light", dark: "Dark" }[name];
  byId("theme").setAttribute("aria-label", `Colours: ${name}`);
}

function fillControls() {
  const kinds = [...new Set(graphs.flatMap((g) => [...g.nodes].map((n) => n.op.kind)))].sort();
  byId("kind").replaceChildren(h("option", { value: "" }, "all kinds"), ...kinds.map((k) => h("option", { value: k }, k)));
  byId("ops").checked = state.ops;
  byId("heat").replaceChildren(...QUANTITIES.map((q) => h("option", { value: q, selected: q === state.heat }, WORDS[q].toLowerCase())),
    h("option", { value: "" }, "nothing"));
}

function listen() {
  const on = (id, event, act) => byId(id).addEventListener(event, act);
  on("search", "input", (e) => { state.query = e.target.value; drawTable(); });
  on("kind", "change", (e) => { state.kind = e.target.value; drawTable(); });
  on("heat", "change", (e) => { state.heat = e.target.value; drawTable(); drawPart(); });
  on("ops", "change", (e) => { state.ops = e.target.checked; draw(); });
  const open = (groups) => () => { state.open = new Set(groups()); drawTable(); drawGraph(); markGraph(true); };
  on("openall", "click", open(() => groupsOf(tree)));
  on("shutall", "click", open(() => []));
  on("undo", "click", undo);
  on("redo", "click", redo);
  on("reset", "click", () => change({ edits: [], batch: data.batch }));
  on("copy", "click", async () => {
    remember();
    try {
      await navigator.clipboard.writeText(location.href);
      say("The address with all changes is on the clipboard.");
    } catch {
      say("The address above holds all changes.");
    }
  });
  on("theme", "click", () => {
    const known = document.documentElement.dataset.theme ?? "auto";
    setTheme(THEMES[(THEMES.indexOf(known) + 1) % THEMES.length]);
  });
  on("grid", "keydown", onKey);
  on("bars", "click", (e) => {
    const piece = e.target.closest("[data-row]");
    if (piece) select(piece.dataset.row, { scroll: true });
  });
  on("graph", "scroll", () => requestAnimationFrame(drawPart));
  for (const tab of ["layer", "graph"]) on(`tab-${tab}`, "click", () => chooseTab(tab));
  on("tabs", "keydown", (e) => {
    if (e.key !== "ArrowLeft" && e.key !== "ArrowRight") return;
    const next = byId("layer").hidden ? "layer" : "graph";
    chooseTab(next);
    byId(`tab-${next}`).focus();
  });
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawRows(); });
  }, { passive: true });
  addEventListener("pagehide", remember);
  addEventListener("resize", () => { drawTable(); drawPart(); });
  narrow.addEventListener("change", drawTable);
  addEventListener("hashchange", () => { Object.assign(state, EMPTY, { batch: data.batch, selected: null }); recall(); refresh(); });
  addEventListener("keydown", (e) => {
    const typing = e.target.closest?.("input, select, textarea");
    if (e.key === "/" && !typing) {
      e.preventDefault();
      byId("search").focus();
    } else if (e.key === "Escape" && e.target === byId("search")) {
      state.query = e.target.value = "";
      drawTable();
      byId("grid").focus();
    } else if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "z" && !typing) {
      e.preventDefault();
      (e.shiftKey ? redo : undo)();
    }
  });
  const printing = (on_) => () => { whole = on_; drawTable(); drawPart(); };
  addEventListener("beforeprint", printing(true));
  addEventListener("afterprint", printing(false));
}
const groupsOf = (group) => group.items.filter((i) => i.group).flatMap((i) => [i.id, ...groupsOf(i)]);

/** For scripts and tests: the numbers that the page shows, as text. */
function snapshot() {
  const totals = Object.fromEntries([...document.querySelectorAll("[data-total]")].map((e) => [e.dataset.total, e.textContent]));
  const rows = all.filter((i) => i.status !== "gone").map((i) => [i.name, i.size, ...QUANTITIES.map((q) => told(i, q))]);
  return { totals, rows, error: now.error ? now.error.__str__() : null };
}
/** What the rules gave, as plain data: whole numbers as text, so that none is rounded. */
const bare = (x) => {
  if (typeof x === "bigint") return `${x}`;
  if (Array.isArray(x)) return x.map(bare);
  return x instanceof $dict ? Object.fromEntries(x.items().map(([k, v]) => [k, bare(v)])) : x;
};
function books({ ledger, error }) {
  const rows = [...(ledger?.ops ?? [])];
  return {
    rows: bare(rows.map((r) => r.to_dict())),
    totals: ledger ? bare(ledger.totals.to_dict()) : null,
    error: error ? error.__str__() : null,
  };
}
globalThis.netledger = {
  snapshot, undo, redo, edit, select,
  derivations: (name) => [...explain(now.ledger, name)[0].derivations].map((d) => d.text()),
  set: (edits, batch = null) => change({ edits, batch }),
  findings: () => bare(findings().map((f) => [f.code, f.level, f.row, f.message, f.hint])),
  books: (edits = state.edits, batch = state.batch) =>
    books(derive(() => infer(changed(edits), batch === null ? null : BigInt(batch)))),
  derive: (graph) => {
    const found = derive(() => infer(makeGraph(graph)));
    const rows = found.error ? [] : [...found.ledger.ops];
    return { ...books(found), derivations: rows.map((r) => [...explain(found.ledger, r.name)[0].derivations].map((d) => [d.text(), d.mathml()])) };
  },
};

document.body.classList.add("live");
recall();
base = examine(graphs[BASE], data.batch === null ? null : BigInt(data.batch), memory[BASE]);
fillControls();
listen();
work();
plant();
openAtFirst();
if (state.selected) reveal(state.selected);
else if (all.length) state.selected = all.find((item) => item.row?.parameters.length)?.id ?? all[0].id;
drawCauses();
drawClaims();
chooseTab("layer");
draw();
// The first pass over the rules is slow, until the browser has translated them: done while nobody waits.
if (all.length < 2000) (globalThis.requestIdleCallback ?? setTimeout)(() => { for (let i = 0; i < 3; i++) infer(graphs[MAIN]); });
