// In the browser's thread for sound: pieces of what the microphone hears, as the server takes them.
const SIZE = 2048; // samples of a piece

registerProcessor("microphone", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.begin();
    // Whoever lets go of the button wants what was heard until then, and to know that it was all.
    this.port.onmessage = () => { this.send(); this.port.postMessage(null); };
  }

  begin() {
    this.piece = new DataView(new ArrayBuffer(8 + 2 * SIZE));
    this.filled = 0;
  }

  send() {
    if (this.filled) this.port.postMessage(this.piece.buffer.slice(0, 8 + 2 * this.filled));
    this.begin();
  }

  process([[channel]]) {
    channel?.forEach((value, index) => {
      if (!this.filled) this.piece.setFloat64(0, currentFrame + index, true);
      const loud = Math.max(-1, Math.min(1, value));
      this.piece.setInt16(8 + 2 * this.filled, Math.round(32767 * loud), true);
      this.filled += 1;
      if (this.filled === SIZE) this.send();
    });
    return true;
  }
});
