// Answers and alerts. Text is only ever set as text.
const LETTERS = "ABCDEFGH";
const list = document.getElementById("history");
const MOST = 200;

export function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function add(record) {
  const item = element("li");
  const chosen = record.options[LETTERS.indexOf(record.answer)];
  const asked = record.heard ? `${record.question} (spoken)` : record.question;
  const title = record.kind === "alert" ? `Alert: ${record.alert}` : asked;
  item.append(element("strong", title));
  item.append(element("p", chosen ?? record.answer ?? record.note ?? "no answer"));
  if (record.kind === "answer") item.append(...bars(record));
  const age = (value, name) => (value === null ? `no ${name}` : `${name} ${value.toFixed(0)} ms old`);
  const stages = Object.entries(record.stages_ms).map(([name, ms]) => `${name} ${ms.toFixed(0)} ms`);
  const facts = [age(record.frame_age_ms, "frame"), age(record.gaze_age_ms, "gaze"), ...stages];
  item.append(element("p", facts.join(", "), "facts"));
  item.append(thumbnails(record));
  list.prepend(item);
  while (list.children.length > MOST) list.lastChild.remove();
}

function bars(record) {
  return Object.entries(record.probabilities ?? {}).map(([letter, chance]) => {
    const option = record.options[LETTERS.indexOf(letter)] ?? letter;
    const before = record.without_gaze?.probabilities?.[letter];
    const change = before === undefined ? "" : ` (without gaze ${(100 * before).toFixed(0)} %)`;
    const label = element("label", `${option}: ${(100 * chance).toFixed(0)} %${change} `);
    const meter = element("meter");
    meter.value = chance;
    label.append(meter);
    const line = element("p");
    line.append(label);
    return line;
  });
}

// The steps that an answer rests on, each with the fixations used of it.
function thumbnails(record) {
  const strip = element("div", "", "thumbnails");
  record.steps.slice(-8).forEach((at, index, kept) => {
    const step = record.steps.length - kept.length + index;
    const looked = record.fixations.filter((fixation) => fixation.step === step);
    const [frame, image] = [element("span"), element("img")];
    image.src = `/steps/${BigInt(at)}.jpg`;
    image.alt = `a step with ${looked.length} fixations`;
    image.loading = "lazy";
    image.addEventListener("error", () => frame.remove());
    frame.append(image, marks(looked));
    strip.append(frame);
  });
  return strip;
}

function marks(fixations) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 1 1");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", true);
  for (const { x, y } of fixations) {
    const mark = document.createElementNS(svg.namespaceURI, "circle");
    Object.entries({ cx: x, cy: y, r: 0.07 }).forEach(([name, value]) => mark.setAttribute(name, value));
    svg.append(mark);
  }
  return svg;
}
