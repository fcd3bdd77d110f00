// Alerts: those that stand, how probable each is, and what is heard and felt when one is raised.
import { element } from "./records.js";

const byId = (name) => document.getElementById(name);
const SVG = "http://www.w3.org/2000/svg";
const PATTERN = [200, 100, 200]; // milliseconds
const KEPT = 100; // judgements in a plot
const plots = new Map();
let audio = null;

export function showAlerts(alerts, remove) {
  byId("alerts").replaceChildren(...alerts.map(({ text, threshold }) => {
    const item = element("li", `${text} (from ${threshold}) `);
    const button = element("button", "Remove");
    button.setAttribute("aria-label", `Remove the alert: ${text}`);
    button.onclick = () => remove(text);
    const drawn = drawing("svg", { viewBox: "0 0 100 20", preserveAspectRatio: "none", class: "plot", "aria-hidden": true });
    const height = 20 - 20 * threshold;
    const curve = drawing("polyline", {});
    drawn.append(drawing("line", { x1: 0, x2: 100, y1: height, y2: height }), curve);
    plots.set(text, { curve, values: plots.get(text)?.values ?? [] });
    item.append(button, drawn);
    return item;
  }));
}

function drawing(name, attributes) {
  const made = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
}

export function plot({ alert, probability }) {
  const known = plots.get(alert);
  if (!known) return;
  known.values = [...known.values, probability].slice(-KEPT);
  known.curve.setAttribute("points", known.values.map((p, x) => `${x},${20 - 20 * p}`).join(" "));
}

export function alarm(record) {
  byId("raised").textContent = `Alert: ${record.alert}`;
  if (!byId("loud").checked) return;
  navigator.vibrate?.(PATTERN);
  sound();
}

function sound() {
  [0, 0.25].forEach((delay) => {
    const [tone, volume] = [audio.createOscillator(), audio.createGain()];
    const at = audio.currentTime + delay;
    tone.frequency.value = 880;
    volume.gain.setValueAtTime(0.25, at);
    volume.gain.exponentialRampToValueAtTime(0.001, at + 0.2);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.2);
  });
}

// A browser is loud only where a person allowed it; so the first sound is the one of this box.
byId("loud").onchange = ({ target }) => {
  if (!target.checked) return;
  audio ??= new AudioContext();
  audio.resume();
  sound();
};
