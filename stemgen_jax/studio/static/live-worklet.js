/**
 * Plays the blocks of a live run, and asks for as many samples as it has played.
 * It counts no time: blocks state their samples, and the sound card the speed.
 */

class LivePlayer extends AudioWorkletProcessor {
  #blocks = []; // {start, samples}, interleaved
  #at = 0; // frames of the first block that were played
  #buffered = 0; // frames
  #played = 0; // frames since the last request
  #primed = false;
  #starved = false;
  #underruns = 0;
  #end = Infinity; // sample after the last one

  constructor({ processorOptions: given }) {
    super();
    Object.assign(this, given); // channels, block, ahead, line
    this.input = new Float32Array(this.block * this.channels);
    this.port.onmessage = ({ data }) => {
      if (data.end !== undefined) this.#end = data.end;
      else {
        this.#blocks.push(data);
        this.#buffered += data.samples.length / this.channels;
      }
    };
  }

  process([input], [output]) {
    const frames = output[0].length;
    this.#primed ||= this.#buffered >= this.ahead;
    if (!this.#primed) return true;
    const ending = this.#next() + this.#buffered >= this.#end;
    const starved = this.#buffered < frames && !ending;
    if (starved && !this.#starved) {
      this.#underruns++;
      this.#tell({});
    }
    this.#starved = starved;
    if (starved) return true; // silence, until the rest is there
    const count = Math.min(frames, this.#buffered);
    for (let frame = 0; frame < count; frame++) {
      this.#play(frame, output);
      this.#record(frame, input);
      this.#played++;
      if (this.#played === this.block) this.#request();
    }
    return true;
  }

  #play(frame, output) {
    const { samples } = this.#blocks[0];
    const from = this.#at * this.channels;
    output.forEach((channel, place) => {
      channel[frame] = samples[from + place];
    });
    this.#buffered--;
    this.#at++;
    if (this.#at * this.channels < samples.length) return;
    this.after = this.#blocks.shift().start + this.#at;
    this.#at = 0;
  }

  #record(frame, input) {
    if (!this.line) return;
    const from = this.#played * this.channels;
    for (let place = 0; place < this.channels; place++) {
      this.input[from + place] = input?.[place]?.[frame] ?? 0;
    }
  }

  #request() {
    this.#played = 0;
    this.#tell({ input: this.line ? this.input.slice() : null });
  }

  // The sample that is played next.
  #next() {
    return this.#blocks.length
      ? this.#blocks[0].start + this.#at
      : (this.after ?? -Infinity);
  }

  #tell(more) {
    const position = this.#next();
    this.port.postMessage({ position, underruns: this.#underruns, ...more });
  }
}

registerProcessor("live-player", LivePlayer);
