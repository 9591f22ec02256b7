// What `check` says of the network as it is now: followed when nobody waits for anything else.
"use strict";

let followed = { view: null, all: [], byRow: new Map() };
const everyCode = () => true;
/** Of a network with a layer that does not fit, there is nothing to say beside that. */
const rulesFor = (view) => (view.error ? [] : Rules.follow(view.ledger, everyCode));

function learn(view, parts) {
  const all = Rules.in_order(view.ledger, parts);
  const byRow = new Map();
  for (const finding of all) byRow.set(finding.row, [...(byRow.get(finding.row) ?? []), finding]);
  followed = { view, all, byRow };
}
/** All findings, at once. */
function findings() {
  if (!fresh()) learn(now, [...rulesFor(now)]);
  return followed.all;
}
/** The findings of a row that were followed last; see `fresh`. */
function findingsOf(item) {
  if (item.group) return [];
  return [item.name, ...item.folded.map((row) => row.name)].flatMap((name) => followed.byRow.get(name) ?? []);
}
/** Whether they are those of the network as it is now, or of the one before the last change. */
const fresh = () => followed.view === now;

let following = 0;
/** Follows the rules one after another, and lets the page breathe in between. */
function followSoon() {
  clearTimeout(following);
  if (fresh()) return;
  const [view, parts] = [now, []];
  let rules = null;
  const next = () => {
    if (view !== now) return;
    rules ??= rulesFor(view)[Symbol.iterator]();
    const { value, done } = rules.next();
    if (!done) {
      parts.push(value);
      following = setTimeout(next);
      return;
    }
    learn(view, parts);
    drawRows();
    drawDetail();
  };
  following = setTimeout(next, 120);
}
