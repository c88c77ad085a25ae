/** A live run: its websocket, and the sound of the page. */

import { Fault } from "./api.js";
import { limiter } from "./transport.js";

const BLOCK = 1024; // samples that are asked for at once
const MOST_AHEAD = 48 * BLOCK;
const HEADER = 12; // bytes before the samples
const FADE = 0.015; // s; time constant of the end
const LOST = "The connection to the studio was lost: the live run has ended.";

export class LiveClient {
  #context = null;
  #socket = null;
  #stream = null;
  #node = null;
  #output = null;
  #next = 0; // first sample of the next request
  #states = []; // that are not heard yet
  #done = false;
  #end = Infinity;

  /** @param {object} on functions: stage, started, news, heard, fault, ended */
  constructor(on) {
    this.on = on;
  }

  /**
   * Start a run. Call it from a click, or browsers play nothing.
   * @param {object} message of the protocol, see `GET /live`
   * @param {{rate: ?number, ahead: number, latency: ?number}} sound rate of the
   *   song, seconds that are asked for ahead, and of the way of the input
   */
  async start(message, { rate, ahead, latency }) {
    const line = message.input === "line";
    this.#context = new AudioContext(rate ? { sampleRate: rate } : {});
    try {
      await this.#context.resume();
      await this.#context.audioWorklet.addModule("/static/live-worklet.js");
      if (line) await this.#listen();
      const blocks = Math.ceil((ahead * this.#context.sampleRate) / BLOCK);
      this.ahead = blocks * BLOCK;
      const given = { ...message };
      if (line) Object.assign(given, this.#format(latency));
      await this.#connect(given);
    } catch (error) {
      this.#close();
      throw error;
    }
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  stop() {
    this.#fade();
    this.send({ kind: "stop" });
  }

  async #listen() {
    if (!navigator.mediaDevices) {
      throw new Fault("The browser gives no access to a microphone here.");
    }
    // The browser's own processing is for speech.
    const raw = { echoCancellation: false, noiseSuppression: false };
    const audio = { ...raw, autoGainControl: false };
    this.#stream = await navigator.mediaDevices
      .getUserMedia({ audio })
      .catch((error) => {
        throw new Fault(`The input cannot be used: ${error.message}`);
      });
  }

  /** Rate of the input, and how late it is: its way, and what is ahead. */
  #format(latency) {
    const { sampleRate, outputLatency, baseLatency } = this.#context;
    const [track] = this.#stream.getAudioTracks();
    const measured =
      (outputLatency || baseLatency || 0) + (track.getSettings().latency || 0);
    const lag = this.ahead + Math.round((latency ?? measured) * sampleRate);
    return { sample_rate: sampleRate, channels: 2, lag };
  }

  #connect(message) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://${location.host}/live`);
      this.#socket = socket;
      socket.binaryType = "arraybuffer";
      // It may be stopped while the browser asks for the microphone.
      socket.onopen = () =>
        this.stopped ? socket.close() : this.send(message);
      socket.onmessage = ({ data }) => {
        if (data instanceof ArrayBuffer) this.#play(data);
        else this.#take(JSON.parse(data), resolve, reject);
      };
      socket.onclose = () => {
        if (this.#done) return;
        if (!this.stopped) this.#fail(new Fault(LOST), reject);
        else {
          this.#done = true; // before it had started
          this.#close();
          this.on.ended(null, null);
          resolve();
        }
      };
    });
  }

  #take(message, resolve, reject) {
    const { kind } = message;
    if (kind === "stage") this.on.stage(message.stage);
    else if (kind === "error") this.on.fault(new Fault(message.error));
    else if (kind === "refused") this.#fail(new Fault(message.error), reject);
    else if (kind === "ended") this.#ended(message.state);
    else if (kind === "state") {
      this.#states.push(message);
      this.on.news(message);
    } else if (kind === "started") {
      if (message.sample_rate !== this.#context.sampleRate) {
        const text = `This browser cannot play ${message.sample_rate} Hz.`;
        this.#fail(new Fault(text), reject);
        return;
      }
      this.#open(message);
      this.on.started(message);
      resolve();
    }
  }

  #open({ channels, next }) {
    const line = this.#stream !== null;
    const { ahead } = this;
    this.channels = channels;
    this.#node = new AudioWorkletNode(this.#context, "live-player", {
      numberOfInputs: Number(line),
      outputChannelCount: [channels],
      channelCount: channels,
      channelCountMode: "explicit",
      processorOptions: { channels, block: BLOCK, ahead, line },
    });
    this.#output = limiter(this.#context);
    this.#node.connect(this.#output);
    if (line) {
      this.#context.createMediaStreamSource(this.#stream).connect(this.#node);
    }
    this.#node.port.onmessage = ({ data }) => this.#heard(data);
    this.#next = next;
    const silence = line ? new Float32Array(BLOCK * channels) : null;
    for (let count = 0; count < ahead; count += BLOCK) this.#ask(silence);
  }

  #ask(input) {
    if (this.#socket.readyState !== WebSocket.OPEN || this.#done) return;
    const message = new ArrayBuffer(HEADER + (input?.byteLength ?? 0));
    const view = new DataView(message);
    view.setBigInt64(0, BigInt(this.#next), true);
    view.setUint32(8, BLOCK, true);
    if (input) new Float32Array(message, HEADER).set(input);
    this.#socket.send(message);
    this.#next += BLOCK;
  }

  #play(data) {
    const start = Number(new DataView(data).getBigInt64(0, true));
    const samples = new Float32Array(data.slice(HEADER));
    this.#node?.port.postMessage({ start, samples }, [samples.buffer]);
  }

  /** Take what the sound card has played so far; ask for as much. */
  #heard({ position, underruns, input }) {
    if (input !== undefined) this.#ask(input);
    else if (!this.#stream && this.ahead < MOST_AHEAD) {
      this.ahead += BLOCK; // a gap: this computer needs more time
      this.#ask(null);
    }
    let now = null;
    while (this.#states.length && this.#states[0].sample <= position) {
      now = this.#states.shift();
    }
    this.on.heard(now, underruns, position);
    if (position >= this.#end) this.#close();
  }

  #ended(state) {
    this.#done = true;
    this.#end = state.sample;
    this.#node?.port.postMessage({ end: state.sample });
    this.on.ended(state);
    if (this.stopped || !this.#node) setTimeout(() => this.#close(), 100);
    // What is buffered of the end of a song is still played.
    else setTimeout(() => this.#close(), 1000 + (1000 * this.ahead) / 8000);
  }

  #fail(fault, reject) {
    if (this.#done) return;
    this.#done = true;
    this.#fade();
    this.#close();
    reject(fault);
    this.on.ended(null, fault);
  }

  #fade() {
    this.stopped = true;
    const { currentTime } = this.#context;
    this.#output?.gain.setTargetAtTime(0, currentTime, FADE);
  }

  #close() {
    this.#socket?.close();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    if (this.#context?.state !== "closed") this.#context?.close();
  }
}
