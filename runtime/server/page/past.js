// Looking back along the steps that are kept.
import { drawPast } from "./scene.js";

const byId = (name) => document.getElementById(name);
const [range, moment, now] = [byId("past"), byId("moment"), byId("now")];
let steps = [], span = null, live = true;

export const isLive = () => live;

// A recording has a start and an end (ms of Unix time), a live stream has not.
export function setSpan({ starts_at, ends_at }) {
  span = starts_at !== null && ends_at !== null ? [starts_at, ends_at] : null;
  refresh();
}

async function refresh() {
  const reply = await fetch("/steps");
  if (!reply.ok) return;
  steps = await reply.json();
  range.max = Math.max(steps.length - 1, 0);
  if (live) range.value = range.max;
}

const clock = (ms) => `${Math.floor(ms / 60000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;

function named(at) {
  if (span) return `${clock(at - span[0])} of ${clock(span[1] - span[0])}`;
  return `${Math.max(0, (steps.at(-1).frame_at - at) / 1000).toFixed(0)} s before the newest step`;
}

range.oninput = async () => {
  const step = steps[range.value];
  if (!step) return;
  live = false;
  now.disabled = false;
  moment.textContent = named(step.frame_at);
  range.setAttribute("aria-valuetext", moment.textContent);
  const image = new Image();
  image.src = `/steps/${BigInt(Math.round(step.frame_at)) * 1000000n + fraction(step.frame_at)}.jpg`;
  await image.decode().catch(() => null);
  if (!live && steps[range.value] === step) drawPast(image, step.fixations);
};

// Nanoseconds beyond the whole milliseconds, without losing what a number can still tell.
function fraction(ms) { return BigInt(Math.round((ms - Math.round(ms)) * 1e6)); }

now.onclick = () => {
  live = true;
  moment.textContent = "now";
  range.removeAttribute("aria-valuetext");
  range.focus();
  now.disabled = true;
  refresh();
};
range.onpointerdown = range.onfocus = refresh;
range.disabled = false;
setInterval(() => live && refresh(), 10000);
