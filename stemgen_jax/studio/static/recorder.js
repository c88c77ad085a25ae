/** Record from the microphone, as a wav file. */

import { clock, h, icon } from "./dom.js";
import { attempt, tell } from "./store.js";

const LONGEST = 600; // s

class Recording {
  #chunks = [];

  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("The browser gives no access to a microphone here.");
    }
    // The browser's own processing is for speech.
    const raw = { echoCancellation: false, noiseSuppression: false };
    const audio = { ...raw, autoGainControl: false };
    this.stream = await navigator.mediaDevices
      .getUserMedia({ audio })
      .catch((error) => {
        throw new Error(`The microphone cannot be used: ${error.message}`);
      });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/static/recorder-worklet.js");
    const node = new AudioWorkletNode(this.context, "recorder");
    node.port.onmessage = ({ data }) => this.#chunks.push(data);
    this.context.createMediaStreamSource(this.stream).connect(node);
    node.connect(this.context.destination); // silent; keeps it running
    this.began = performance.now();
  }

  get seconds() {
    return (performance.now() - this.began) / 1000;
  }

  stop() {
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
    const file = wav(this.#chunks, this.context.sampleRate);
    return new File([file], "recording.wav", { type: "audio/wav" });
  }
}

/** Write chunks of mono samples as a 16-bit wav file. */
export function wav(chunks, rate) {
  const size = 2 * chunks.reduce((total, chunk) => total + chunk.length, 0);
  const view = new DataView(new ArrayBuffer(44 + size));
  const text = (at, letters) =>
    [...letters].forEach((x, i) => view.setUint8(at + i, x.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // size of the format
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true); // bytes per second
  view.setUint16(32, 2, true); // bytes per frame
  view.setUint16(34, 16, true); // bits
  text(36, "data");
  view.setUint32(40, size, true);
  let at = 44;
  for (const chunk of chunks) {
    for (const sample of chunk) {
      const level = Math.max(-1, Math.min(1, sample));
      view.setInt16(at, Math.round(32767 * level), true);
      at += 2;
    }
  }
  return view.buffer;
}

/** A button that records, and stops; the file goes to `onfile`. */
export function recordButton(onfile) {
  let recording = null;
  let timer = 0;
  const text = h("span", {}, "Record");
  const button = h(
    "button",
    { type: "button", class: "record" },
    icon("mic"),
    text,
  );
  const stop = () => {
    clearInterval(timer);
    const file = recording.stop();
    recording = null;
    draw();
    onfile(file);
  };
  const draw = () => {
    const time = recording && clock(recording.seconds).slice(0, -3);
    text.textContent = recording ? `Stop (${time})` : "Record";
    button.classList.toggle("on", recording !== null);
    button.firstChild.replaceWith(icon(recording ? "stop" : "mic"));
  };
  button.addEventListener("click", () => {
    if (recording) {
      stop();
      return;
    }
    attempt(async () => {
      const begun = new Recording();
      await begun.start();
      recording = begun;
      tell("");
      draw();
      timer = setInterval(() => {
        draw();
        if (recording.seconds > LONGEST) stop();
      }, 250);
    });
  });
  return button;
}
