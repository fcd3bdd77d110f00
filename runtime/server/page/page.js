// The page: one WebSocket, and what its messages do.
import "./awake.js";
import { alarm, plot, showAlerts } from "./alerts.js";
import { isLive, setSpan } from "./past.js";
import { add } from "./records.js";
import { draw, setHeat } from "./scene.js";
import { follow } from "./diary.js";
import { hush, speak, speakFor } from "./aloud.js";
import { listen } from "./talk.js";

const byId = (name) => document.getElementById(name);
let socket, asked = 0, before = null;

function connect() {
  socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/live`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") hear(JSON.parse(data));
    else if (isLive()) draw(data, byId("heat").checked);
  };
  socket.onclose = () => {
    byId("about").textContent = "the run is over or out of reach";
    setTimeout(connect, 2000);
  };
}

function say(message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  else tell("the run is over or out of reach");
}

function send(sound) { if (socket.readyState === WebSocket.OPEN) socket.send(sound); }

function tell(line) { byId("said").textContent = line; }

function hear(message) {
  const does = {
    about: () => {
      byId("about").textContent = `${message.bundle}, ${message.device}, ${message.engine}`;
      setSpan(message);
      if (message.has_diary) follow();
      listen({ listens: message.listens, isOwn: message.microphone, say, send, tell });
      speakFor(say);
    },
    history: () => { byId("history").replaceChildren(); message.records.forEach(add); },
    record: () => record(message.record),
    piece: () => (byId("said").textContent += message.text),
    answered: () => tell("answered"),
    refused: () => tell(message.reason),
    notice: () => tell(message.line),
    condition: () => showCondition(message),
    heat: () => setHeat(message),
    alerts: () => showAlerts(message.alerts, (text) => say({ do: "silence", text })),
    judgement: () => plot(message),
    speak: () => speak(message),
    hush,
  };
  does[message.type]?.();
}

function record(told) {
  if (told.kind === "second") showSecond(told);
  else if (told.kind === "heard") tell(`heard: ${told.text} (${told.why ?? told.taken_as}) `);
  else if (told.kind === "answer" || told.kind === "alert") add(told);
  if (told.kind === "alert") alarm(told);
}

function showSecond(now) {
  const rate = (stream) => (before && now.at > before.at
    ? Math.round((now[stream].received - before[stream].received) * 1e9 / (now.at - before.at)) : 0);
  const lost = ["frames", "gaze"].flatMap((stream) =>
    Object.entries(now[stream].dropped).map(([cause, count]) => `${count} ${stream} ${cause}`));
  const age = (name) => {
    const told = now[`${name}_age_ms`];
    return told === null ? `no ${name}` : `${name} ${told.toFixed(0)} ms old`;
  };
  byId("state").textContent = `${rate("frames")} frames/s, ${rate("gaze")} gaze/s, ${age("frame")}, ${age("gaze")}, ` +
    `${now.steps} steps; dropped: ${lost.join(", ") || "nothing"}`;
  before = now;
}

function showCondition({ battery_level, worn, transport, loss }) {
  const told = [
    battery_level !== null && `battery ${battery_level} %`,
    worn !== null && (worn ? "worn" : "not worn"),
    transport !== null && `over ${transport.toUpperCase()}`,
    loss !== null && `${(100 * loss).toFixed(1)} % of packets lost`,
  ];
  byId("condition").textContent = told.filter(Boolean).join(", ");
}

byId("ask").onsubmit = (event) => {
  event.preventDefault();
  byId("said").textContent = "";
  const options = byId("options").value.split(",").map((text) => text.trim()).filter(Boolean);
  say({ do: "ask", id: ++asked, text: byId("question").value, options, compares: byId("compares").checked });
};
byId("alert").onsubmit = (event) => {
  event.preventDefault();
  say({ do: "alert", text: byId("watch").value, threshold: +byId("threshold").value });
};
connect();
