// Hold to talk: into the glasses' microphone, or this device's where the run listens to that.
const button = document.getElementById("talk");
const NEEDS = "A browser opens the microphone on secure pages only: start the run with --tls auto, or open the page on the computer that runs it.";
let link = null, opening = null, held = false, sending = false;

// `link`: say (an object), send (sound), tell (a person), isOwn (whether this microphone is heard).
export function listen(given) {
  link = given;
  button.hidden = !given.listens;
}

async function open() {
  const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const context = new AudioContext();
  await context.audioWorklet.addModule("/page/microphone.js");
  const [node, [track]] = [new AudioWorkletNode(context, "microphone"), stream.getAudioTracks()];
  node.port.onmessage = ({ data }) => (data ? sending && link.send(data) : ended(track));
  context.createMediaStreamSource(stream).connect(node).connect(context.destination);
  return { context, node, track };
}

async function press() {
  if (held) return;
  held = true;
  if (!link.isOwn) return link.say({ do: "talk", held: true });
  if (!window.isSecureContext || !navigator.mediaDevices) return link.tell(NEEDS);
  try {
    const { context, track } = await (opening ??= open());
    if (!held) return link.tell("The microphone is open: hold the button to talk.");
    track.enabled = true;
    await context.resume();
    link.say({ do: "talk", held: true, rate: context.sampleRate });
    sending = true;
    if (!held) release();
  } catch (error) {
    opening = null;
    link.tell(`There is no microphone (${error.message}).`);
  }
}

async function release() {
  held = false;
  if (!link.isOwn) link.say({ do: "talk", held: false });
  else if (sending) (await opening).node.port.postMessage("all");
}

// All that was heard is on its way. Between two holds the microphone hears nothing.
function ended(track) {
  sending = false;
  track.enabled = false;
  link.say({ do: "talk", held: false });
}

button.onpointerdown = ({ pointerId }) => { button.setPointerCapture(pointerId); press(); };
button.onlostpointercapture = () => release();
button.onkeydown = ({ key, repeat }) => { if (key === " " && !repeat) press(); };
button.onkeyup = ({ key }) => { if (key === " ") release(); };
button.onblur = () => { if (held) release(); };
button.oncontextmenu = (event) => event.preventDefault();
