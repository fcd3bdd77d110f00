// One fixation after the other. Text is only ever set as text; what is said is sent at once, and
// the page goes on to the next fixation when the server has written it.
const byId = (name) => document.getElementById(name);
const AHEAD = 3; // pictures fetched before they are wanted
const QUIET = 400; // milliseconds without a correction before agreement is asked for
let told = null, at = 0, waiting = null, doing = Promise.resolve(), refusals = 0;

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

async function open() {
  const answer = await fetch("/fixations");
  told = await answer.json();
  if (told.fixations.length === 0) {
    byId("about").textContent = "there is no fixation to check";
    return;
  }
  at = Math.max(told.fixations.findIndex((each) => !each.checked), 0);
  show();
  compare();
}

function show() {
  const now = told.fixations[at];
  const checked = told.fixations.filter((each) => each.checked).length;
  byId("about").textContent = `${now.recording}: ${checked} of ${told.fixations.length} checked`;
  byId("fixation").textContent = `${at + 1}: fixation ${now.name}`;
  byId("state").textContent = now.trouble ??
    `${now.at.toFixed(2)} s, ${now.milliseconds.toFixed(0)} ms`;
  const sure = now.confidence === null ? "" : ` (${(100 * now.confidence).toFixed(0)} %)`;
  const said = now.checked ? `, you: ${now.thing || "unsure"}` : "";
  byId("proposal").textContent = `proposed: ${now.proposal || "unsure"}${sure}${said}`;
  picture(byId("picture"), `/fixations/${at}.jpg`);
  picture(byId("frame"), `/frames/${at}.jpg`);
  byId("gaze").style.left = `${100 * now.x}%`;
  byId("gaze").style.top = `${100 * now.y}%`;
  choices(now);
  document.body.dataset.at = at;
  for (let next = at + 1; next <= at + AHEAD && next < told.fixations.length; next++) {
    new Image().src = `/fixations/${next}.jpg`;
  }
}

function picture(image, address) {
  image.classList.add("missing");
  image.onload = () => image.classList.remove("missing");
  image.src = address;
}

function choices(now) {
  const chosen = now.checked ? now.thing : now.proposal;
  byId("things").replaceChildren(...told.things.map((thing, place) => {
    const item = element("li"), button = element("button");
    if (place < 9) button.append(element("kbd", `${place + 1}`), " ");
    const chance = now.chances[thing];
    button.append(thing + (chance === undefined ? "" : ` ${(100 * chance).toFixed(0)} %`));
    button.setAttribute("aria-pressed", thing === chosen);
    button.onclick = () => say(thing);
    item.append(button);
    return item;
  }));
  byId("names").replaceChildren(...told.things.map((thing) => {
    const option = element("option");
    option.value = thing;
    return option;
  }));
}

// Keys that come faster than the disk are heard in their order; those behind one that was refused
// meant other fixations than they would meet now.
function queue(work) {
  const before = refusals;
  doing = doing.then(() => (before === refusals ? work() : undefined));
}

function refuse(reason) {
  refusals += 1;
  byId("said").textContent = `not written: ${reason}`;
}

const say = (thing) => queue(() => send(at, thing));

async function send(number, thing) {
  let answer = null;
  try {
    answer = await fetch("/corrections", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ number, thing }),
    });
  } catch {
    return refuse("the server is out of reach");
  }
  if (!answer.ok) return refuse(await answer.text());
  const item = await answer.json();
  told.fixations[number] = item;
  if (item.thing && item.thing !== told.none && !told.things.includes(item.thing)) told.things.push(item.thing);
  byId("said").textContent = `${number + 1}: ${item.thing || "unsure"}`;
  go(number + 1);
  clearTimeout(waiting);
  waiting = setTimeout(compare, QUIET);
}

async function compare() {
  let found = { trouble: "the server is out of reach" };
  try {
    found = await (await fetch("/agreement")).json();
  } catch {
    // Said where agreement stands.
  }
  const shown = (value) => (value === null ? "not defined" : value.toFixed(3));
  byId("agreement").textContent = found.trouble ?? `${found.fixations} checked, ${found.same} as ` +
    `proposed; Cohen's kappa ${shown(found.kappa)}, Krippendorff's alpha ${shown(found.alpha)}`;
  byId("each").tBodies[0].replaceChildren(...(found.things ?? []).map((each) => {
    const row = element("tr");
    row.append(...[each.thing, each.one, each.other, each.both, shown(each.kappa)].map((cell) => element("td", cell)));
    return row;
  }));
}

function go(place) {
  at = Math.min(Math.max(place, 0), told.fixations.length - 1);
  show();
}

function unchecked() {
  const isOpen = (each, place) => place !== at && !each.checked;
  const later = told.fixations.findIndex((each, place) => place > at && isOpen(each, place));
  const any = later < 0 ? told.fixations.findIndex(isOpen) : later;
  if (any < 0) byId("said").textContent = "all others are checked";
  else go(any);
}

const does = {
  accept: () => queue(() => send(at, told.fixations[at].proposal)),
  none: () => say(told.none),
  unsure: () => say(""),
  back: () => queue(() => go(at - 1)),
  on: () => queue(() => go(at + 1)),
  unchecked: () => queue(unchecked),
  name: () => byId("name").focus(),
};
const KEYS = { Enter: "accept", n: "none", u: "unsure", ArrowLeft: "back", ArrowRight: "on", g: "unchecked", "/": "name" };

document.onkeydown = (event) => {
  if (!told?.fixations.length || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.activeElement === byId("name")) {
    if (event.key === "Escape") byId("name").blur();
    return;
  }
  // A button that has the focus is pressed by Enter, as everywhere.
  if (event.key === "Enter" && document.activeElement instanceof HTMLButtonElement) return;
  const thing = /^[1-9]$/.test(event.key) ? told.things[+event.key - 1] : undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (thing !== undefined) say(thing);
  else if (KEYS[key]) does[KEYS[key]]();
  else return;
  event.preventDefault();
};
byId("other").onsubmit = (event) => {
  event.preventDefault();
  const name = byId("name").value.trim();
  if (name) say(name);
  byId("name").value = "";
  byId("name").blur();
};
for (const button of document.querySelectorAll("[data-does]")) button.onclick = () => does[button.dataset.does]();
open();
