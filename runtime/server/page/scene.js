// The picture with the gaze, scanpath and fixations that came in the same message.
const canvas = document.getElementById("scene");
const context = canvas.getContext("2d");
let heat = null;

export function setHeat(message) { heat = message; }

export async function draw(buffer, showsHeat) {
  const length = new DataView(buffer).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const picture = await createImageBitmap(new Blob([new Uint8Array(buffer, 4 + length)]));
  if (canvas.width !== picture.width) canvas.width = picture.width;
  if (canvas.height !== picture.height) canvas.height = picture.height;
  const [width, height] = [picture.width, picture.height];
  context.drawImage(picture, 0, 0);
  picture.close();
  if (showsHeat && heat) drawHeat(width, height);
  line(head.trail, width, height, "#ffffffb0", 1.5);
  line(head.fixations.map((f) => [f.x, f.y]), width, height, "#ffb000", 1.5);
  for (const fixation of head.fixations) {
    const radius = width * Math.min(0.012 + 0.02 * fixation.seconds, 0.05);
    circle(fixation.x * width, fixation.y * height, radius, "#ffb000", fixation.lasts ? 4 : 1.5);
  }
  if (head.gaze) {
    circle(head.gaze[0] * width, head.gaze[1] * height, width * 0.02, "#000", 4);
    circle(head.gaze[0] * width, head.gaze[1] * height, width * 0.02, "#ff3b6b", 2.5);
  }
  canvas.dataset.capturedAt = head.captured_at;
  canvas.dataset.gaze = head.gaze ? head.gaze.join(" ") : "";
  canvas.dataset.frame = head.index;
}

// A step of the past, with the centres of its fixations.
export function drawPast(image, fixations) {
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  context.drawImage(image, 0, 0);
  for (const [x, y] of fixations) circle(x * canvas.width, y * canvas.height, canvas.width * 0.03, "#ffb000", 2);
  canvas.dataset.frame = "past";
}

function drawHeat(width, height) {
  const high = Math.max(...heat.values);
  heat.values.forEach((value, index) => {
    const share = high > 0 ? value / high : 0;
    const [row, column] = [Math.floor(index / heat.columns), index % heat.columns];
    const [w, h] = [width / heat.columns, height / heat.rows];
    context.fillStyle = `rgba(255, 60, 0, ${0.6 * share})`;
    context.fillRect(column * w, row * h, w, h);
  });
}

function line(points, width, height, colour, thickness) {
  context.strokeStyle = colour;
  context.lineWidth = thickness;
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x * width, y * height);
  context.stroke();
}

function circle(x, y, radius, colour, thickness) {
  context.strokeStyle = colour;
  context.lineWidth = thickness;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
}
