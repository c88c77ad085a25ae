/**
 * Plays tracks in sync. All sources of all tracks start by one
 * `start(when, offset)` with the same two numbers, so they cannot drift; to
 * seek, or to change a track, stop all of them and start all of them.
 *
 * Times are seconds. They are rounded to whole samples of the context, because
 * a source that starts between two samples is interpolated.
 */

const LEAD = 0.05; // from a call to the sound; the audio thread runs ahead
const GLIDE = 0.01; // time constant of a level that changes
const LINEAR = 0.85; // the limiter leaves samples up to here unchanged
const REACH = 4; // largest sample that the limiter distinguishes

export class Transport {
  #context;
  #output;
  #tracks = new Map(); // id -> {buffer, gain, sides, source}
  #playing = false;
  #began = 0; // time of the context at which the sources start ...
  #from = 0; // ... at this position
  #loop = null; // [start, end] or null

  /**
   * @param {BaseAudioContext} context live or offline
   * @param {number} seconds length of the song
   */
  constructor(context, seconds) {
    this.#context = context;
    this.seconds = seconds;
    this.#output = limiter(context);
  }

  get context() {
    return this.#context;
  }

  /** Whether it plays; false after the end of a song that does not loop. */
  get playing() {
    if (this.#playing && !this.#loop && this.#now() >= this.seconds) {
      this.pause();
      this.#from = 0;
    }
    return this.#playing;
  }

  /** Position in the song. */
  get position() {
    return this.playing ? this.#wrapped(this.#now()) : this.#from;
  }

  play() {
    if (this.playing) return;
    this.#start(this.#from, this.#soon());
  }

  pause() {
    if (!this.#playing) return;
    this.#from = Math.min(this.#wrapped(this.#now()), this.seconds);
    this.#stop(0);
    this.#playing = false;
  }

  /** Continue from another position, or from the present one. */
  seek(position) {
    const target = Math.min(Math.max(0, position), this.seconds);
    if (!this.playing) {
      this.#from = target;
      return;
    }
    const when = this.#soon();
    this.#stop(when);
    this.#start(target, when);
  }

  /** Repeat from `start` to `end`; `null` for neither. */
  setLoop(start, end) {
    const loop = start === null ? null : [this.#grid(start), this.#grid(end)];
    if (String(loop) === String(this.#loop)) return;
    this.#switch(() => {
      this.#loop = loop;
    });
  }

  /**
   * Set what is played; a change of a buffer is heard without a gap.
   * @param {Array<{id: string, buffer: AudioBuffer}>} wanted
   */
  setTracks(wanted) {
    const ids = new Set(wanted.map((track) => track.id));
    const same = ({ id, buffer }) => this.#tracks.get(id)?.buffer === buffer;
    if (wanted.length === this.#tracks.size && wanted.every(same)) return;
    this.#switch(() => {
      for (const id of [...this.#tracks.keys()]) {
        if (!ids.has(id)) this.#drop(id);
      }
      for (const { id, buffer } of wanted) {
        (this.#tracks.get(id) ?? this.#add(id)).buffer = buffer;
      }
    });
  }

  /**
   * Set the level of a track, live.
   * @param {string} id of a track
   * @param {number} gain factor, 0 for a muted one
   * @param {number} pan -1 to 1, lowers the opposite side
   */
  setLevel(id, gain, pan = 0) {
    const track = this.#tracks.get(id);
    if (!track) return;
    const levels = [gain * Math.min(1, 1 - pan), gain * Math.min(1, 1 + pan)];
    levels.forEach((level, side) => {
      const { gain: parameter } = track.sides[side];
      if (!track.leveled)
        parameter.value = level; // nothing to glide from
      else parameter.setTargetAtTime(level, this.#context.currentTime, GLIDE);
    });
    track.leveled = true;
  }

  #now() {
    return this.#from + Math.max(0, this.#context.currentTime - this.#began);
  }

  #soon() {
    return this.#grid(this.#context.currentTime + LEAD);
  }

  #grid(seconds) {
    const rate = this.#context.sampleRate;
    return Math.round(seconds * rate) / rate;
  }

  #wrapped(position) {
    if (!this.#loop) return position;
    const [start, end] = this.#loop;
    return position < end
      ? position
      : start + ((position - end) % (end - start));
  }

  /** Make a change; the sources before it end where those after it start. */
  #switch(change) {
    if (!this.playing) {
      change();
      return;
    }
    const when = this.#soon();
    const position = this.#wrapped(this.#from + when - this.#began);
    this.#stop(when);
    change();
    this.#start(position, when);
  }

  #add(id) {
    // A mono sound is on both sides.
    const input = this.#context.createGain();
    input.channelCount = 2;
    input.channelCountMode = "explicit";
    const split = this.#context.createChannelSplitter(2);
    const join = this.#context.createChannelMerger(2);
    const sides = [0, 1].map((side) => {
      const gain = this.#context.createGain();
      split.connect(gain, side).connect(join, 0, side);
      return gain;
    });
    input.connect(split);
    join.connect(this.#output);
    const track = { buffer: null, input, join, sides, source: null };
    this.#tracks.set(id, track);
    return track;
  }

  #drop(id) {
    this.#tracks.get(id).join.disconnect();
    this.#tracks.delete(id);
  }

  #start(position, when) {
    const past = this.#loop && position >= this.#loop[1];
    const offset = this.#grid(past ? this.#loop[0] : position);
    for (const track of this.#tracks.values()) {
      const source = this.#context.createBufferSource();
      source.buffer = track.buffer;
      source.loop = this.#loop !== null;
      if (source.loop) [source.loopStart, source.loopEnd] = this.#loop;
      source.connect(track.input);
      source.start(when, offset);
      track.source = source;
    }
    this.#began = when;
    this.#from = offset;
    this.#playing = true;
  }

  #stop(when) {
    for (const track of this.#tracks.values()) {
      track.source?.stop(when);
      track.source = null;
    }
  }
}

/** Connect a node to the output that rounds off peaks above full scale. */
export function limiter(context) {
  const input = context.createGain();
  const shaper = context.createWaveShaper();
  input.gain.value = 1 / REACH;
  const room = 1 - LINEAR;
  shaper.curve = Float32Array.from({ length: 8193 }, (_, index) => {
    const sample = (index / 4096 - 1) * REACH;
    const over = Math.max(0, Math.abs(sample) - LINEAR);
    const size = Math.min(Math.abs(sample), LINEAR);
    return Math.sign(sample) * (size + room * Math.tanh(over / room));
  });
  input.connect(shaper).connect(context.destination);
  return input;
}
