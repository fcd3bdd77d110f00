// The diary as a time line: a lane for each thing, a mark for each answer and alert, and pictures.
import { element } from "./records.js";

const byId = (name) => document.getElementById(name);
const EVERY = 2000, MOST = 300, WIDTH = 1000, LANE = 14, LEAST = 3, PICTURES = 24;
const COLOURS = ["#0b8f83", "#d97706", "#4f6bed", "#c2346b", "#6b8e23", "#8d5fd3", "#b8860b", "#2f7fb5"];
const entries = new Map(), sayings = new Map();
let after = 0, timer = null;

export async function follow() {
  clearTimeout(timer);
  try {
    const answer = await fetch(`/diary?after=${after}`);
    if (answer.ok) take(await answer.json());
  } catch {
    // The run is over or out of reach, which the page says already.
  }
  timer = setTimeout(follow, EVERY);
}

function take(told) {
  byId("diary").hidden = false;
  const before = JSON.stringify([...entries.values()].slice(-1));
  told.entries.forEach((each) => entries.set(each.number, each));
  told.sayings.forEach((each) => sayings.set(`${each.at} ${each.text}`, each));
  const newest = told.entries.at(-1);
  if (!newest) return;
  after = newest.number; // told once more: its end may not be known yet
  while (entries.size > MOST) entries.delete(entries.keys().next().value);
  if (before === JSON.stringify([...entries.values()].slice(-1)) && told.sayings.length === 0) return;
  draw([...entries.values()]);
}

function shape(name, attributes, title) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  const said = document.createElementNS(made.namespaceURI, "title");
  said.textContent = title;
  made.append(said);
  return made;
}

const clock = (at) => new Date(at).toLocaleTimeString();

function draw(shown) {
  const things = [...new Set(shown.map((each) => each.thing))];
  const start = shown[0].at;
  const end = Math.max(...shown.map((each) => each.ended_at ?? each.at)) + 1;
  const x = (at) => (WIDTH * (at - start)) / (end - start);
  const svg = byId("lanes");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${LANE * things.length}`);
  const bars = shown.map((each) => {
    const lane = things.indexOf(each.thing), left = x(each.at);
    const width = Math.max(x(each.ended_at ?? each.at) - left, LEAST);
    const place = { x: left, y: lane * LANE + 1, width, height: LANE - 2 };
    return shape("rect", { ...place, fill: COLOURS[lane % COLOURS.length] }, `${clock(each.at)} ${each.thing || "unsure"}`);
  });
  const marks = [...sayings.values()].filter((each) => each.at >= start).map((each) =>
    shape("line", { x1: x(each.at), x2: x(each.at), y1: 0, y2: LANE * things.length, class: each.kind },
      `${clock(each.at)} ${each.kind}: ${each.text} ${each.answer ?? ""}`));
  svg.replaceChildren(...bars, ...marks);
  byId("lane-names").replaceChildren(...things.map((thing, lane) => {
    const name = element("li", thing || "unsure");
    const dot = shape("svg", { viewBox: "0 0 1 1", class: "dot" }, "");
    dot.append(shape("rect", { width: 1, height: 1, fill: COLOURS[lane % COLOURS.length] }, ""));
    name.prepend(dot);
    return name;
  }));
  byId("span").textContent = `${clock(start)} to ${clock(end)}, ${shown.length} entries`;
  pictures(shown.slice(-PICTURES).reverse());
}

function pictures(shown) {
  const list = byId("looks"), known = new Map([...list.children].map((item) => [item.dataset.number, item]));
  list.replaceChildren(...shown.map((each) => {
    const there = known.get(String(each.number));
    if (there) return there;
    const item = element("li");
    item.dataset.number = each.number;
    const image = element("img");
    image.alt = "";
    image.src = `/diary/${each.number}.jpg`;
    image.addEventListener("error", () => image.remove());
    item.append(image, element("strong", each.thing || "unsure"), element("span", clock(each.at), "facts"));
    return item;
  }));
}
