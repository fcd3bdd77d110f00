// Keeps the screen on, where the browser can: on secure pages only. A page that was hidden asks anew.
const box = document.getElementById("awake");
let lock = null;

async function ask() {
  try {
    lock = await navigator.wakeLock.request("screen");
  } catch {
    box.checked = false; // it says no, as with a battery that is low
  }
}

box.onchange = () => {
  if (box.checked) ask();
  else lock?.release();
};
document.addEventListener("visibilitychange", () => {
  if (box.checked && document.visibilityState === "visible") ask();
});
box.disabled = !("wakeLock" in navigator);
