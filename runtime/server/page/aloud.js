// Answers and alerts, spoken by this browser's own voice, which is chosen here.
const [box, choice] = ["aloud", "voice"].map((name) => document.getElementById(name));
const synthesis = window.speechSynthesis;
let say = () => {}, present = null; // the utterance: nobody else would hold on to it

export function speakFor(given) {
  say = given;
  if (box.checked) say({ do: "aloud", held: true });
}

export function speak({ id, text }) {
  present = new SpeechSynthesisUtterance(text);
  present.voice = synthesis.getVoices().find(({ voiceURI }) => voiceURI === choice.value) ?? null;
  present.onend = () => say({ do: "spoken", id, whole: true });
  present.onerror = () => say({ do: "spoken", id, whole: false });
  synthesis.speak(present);
}

export function hush() { synthesis?.cancel(); }

function list() {
  const before = choice.value;
  const voices = synthesis.getVoices().map(({ name, lang, voiceURI }) => new Option(`${name} (${lang})`, voiceURI));
  choice.replaceChildren(new Option("as the browser has it", ""), ...voices);
  choice.value = voices.some(({ value }) => value === before) ? before : "";
}

box.disabled = choice.disabled = !synthesis;
if (synthesis) {
  list();
  synthesis.addEventListener?.("voiceschanged", list);
}
// A browser speaks only where a person allowed it; so its first words are the ones of this box.
box.onchange = () => {
  hush();
  if (box.checked) synthesis.speak(new SpeechSynthesisUtterance("Answers are spoken here."));
  say({ do: "aloud", held: box.checked });
};
