// The page: one WebSocket, and what its messages do.
import { draw, setHeat } from "./scene.js";
import { add, element } from "./records.js";

const byId = (name) => document.getElementById(name);
const plots = new Map();
let socket, asked = 0, before = null;

function connect() {
  socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/live`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") draw(data, byId("heat").checked);
    else hear(JSON.parse(data));
  };
  socket.onclose = () => {
    byId("about").textContent = "the run is over or out of reach";
    setTimeout(connect, 2000);
  };
}

function hear(message) {
  const does = {
    about: () => {
      byId("about").textContent = `${message.bundle}, ${message.device}, ${message.engine}`;
      byId("talk").hidden = !message.listens;
    },
    history: () => { byId("history").replaceChildren(); message.records.forEach(add); },
    record: () => record(message.record),
    piece: () => (byId("said").textContent += message.text),
    answered: () => (byId("said").textContent = "answered"),
    refused: () => (byId("said").textContent = message.reason),
    notice: () => (byId("said").textContent = message.line),
    heat: () => setHeat(message),
    alerts: () => showAlerts(message.alerts),
    judgement: () => plot(message),
  };
  does[message.type]?.();
}

function record(told) {
  if (told.kind === "second") showSecond(told);
  else if (told.kind === "answer" || told.kind === "alert") add(told);
  else if (told.kind === "heard") byId("said").textContent = `heard: ${told.text} (${told.taken_as}) `;
  if (told.kind === "alert") navigator.vibrate?.(200);
}

function showSecond(now) {
  const rate = (stream) => (before && now.at > before.at
    ? Math.round((now[stream].received - before[stream].received) * 1e9 / (now.at - before.at)) : 0);
  const lost = ["frames", "gaze"].flatMap((stream) =>
    Object.entries(now[stream].dropped).map(([cause, count]) => `${count} ${stream} ${cause}`));
  const age = (name) => (now[`${name}_age_ms`] ?? NaN).toFixed(0);
  byId("state").textContent = `${rate("frames")} frames/s, ${rate("gaze")} gaze/s, frame ${age("frame")} ms old, ` +
    `gaze ${age("gaze")} ms old, ${now.steps} steps; dropped: ${lost.join(", ") || "nothing"}`;
  before = now;
}

function showAlerts(alerts) {
  byId("alerts").replaceChildren(...alerts.map(({ text, threshold }) => {
    const item = element("li", `${text} (from ${threshold}) `);
    const button = element("button", "Remove");
    button.setAttribute("aria-label", `Remove the alert: ${text}`);
    button.onclick = () => socket.send(JSON.stringify({ do: "silence", text }));
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 100 20");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("class", "plot");
    svg.setAttribute("aria-hidden", "true");
    const limit = document.createElementNS(svg.namespaceURI, "line");
    Object.entries({ x1: 0, x2: 100, y1: 20 - 20 * threshold, y2: 20 - 20 * threshold })
      .forEach(([name, value]) => limit.setAttribute(name, value));
    const curve = document.createElementNS(svg.namespaceURI, "polyline");
    svg.append(limit, curve);
    plots.set(text, { curve, values: plots.get(text)?.values ?? [] });
    item.append(button, svg);
    return item;
  }));
}

function plot({ alert, probability }) {
  const known = plots.get(alert);
  if (!known) return;
  known.values = [...known.values, probability].slice(-100);
  known.curve.setAttribute("points", known.values.map((p, x) => `${x},${20 - 20 * p}`).join(" "));
}

byId("ask").onsubmit = (event) => {
  event.preventDefault();
  byId("said").textContent = "";
  const options = byId("options").value.split(",").map((text) => text.trim()).filter(Boolean);
  socket.send(JSON.stringify({ do: "ask", id: ++asked, text: byId("question").value, options,
    compares: byId("compares").checked }));
};
byId("alert").onsubmit = (event) => {
  event.preventDefault();
  socket.send(JSON.stringify({ do: "alert", text: byId("watch").value, threshold: +byId("threshold").value }));
};
const talk = (held) => socket.send(JSON.stringify({ do: "talk", held }));
byId("talk").onpointerdown = ({ pointerId }) => { byId("talk").setPointerCapture(pointerId); talk(true); };
byId("talk").onlostpointercapture = () => talk(false);
byId("talk").onkeydown = ({ key, repeat }) => { if (key === " " && !repeat) talk(true); };
byId("talk").onkeyup = ({ key }) => { if (key === " ") talk(false); };
byId("talk").onblur = () => talk(false);
connect();
