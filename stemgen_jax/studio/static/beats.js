/** Beats and bars of a song: marks of the ruler, snapping, names of parts. */

const CLOSE = 0.02; // s; a selection this close to a bar line is on it
const STEPS = [0.1, 0.5, 1, 5, 10, 30, 60, 120]; // s between marks

/** Number of beats of a bar. */
export function beatsPerBar({ tempo }) {
  return Math.max(1, Math.round((tempo.bar_seconds * tempo.bpm) / 60));
}

/** Beats of a song in seconds, [] without a tempo. */
export function beats(song) {
  return song.tempo?.beats ?? [];
}

/** First beats of the bars. */
export function bars(song) {
  if (!beats(song).length) return [];
  const step = beatsPerBar(song);
  return beats(song).filter((_, index) => index % step === 0);
}

/** Move a time to the nearest beat, or to an end of the song. */
export function snapped(song, time) {
  const marks = [0, ...beats(song), song.seconds];
  return marks.reduce((near, mark) =>
    Math.abs(mark - time) < Math.abs(near - time) ? mark : near,
  );
}

/** Marks of the ruler: {time, label, strong}, at least `gap` seconds apart. */
export function marks(song, unit, gap) {
  if (unit === "bars" && bars(song).length) return barMarks(song, gap);
  const step = STEPS.find((one) => one >= gap) ?? STEPS.at(-1);
  const number = Math.floor(song.seconds / step + 1e-6) + 1;
  return Array.from({ length: number }, (_, index) => {
    const time = index * step;
    return { time, label: `${+time.toFixed(1)} s`, strong: true };
  });
}

function barMarks(song, gap) {
  const step = beatsPerBar(song);
  const length = song.tempo.bar_seconds;
  // Every bar, or every second, fourth, ... one.
  const every = 2 ** Math.max(0, Math.ceil(Math.log2(gap / length)));
  const weak = gap < length / 2; // room for beats
  return beats(song).flatMap((time, index) => {
    const bar = index / step;
    const strong = index % step === 0 && bar % every === 0;
    if (!strong && !(weak && every === 1)) return [];
    const wide = gap < length / step / 1.5; // room for names of beats
    const name = index % step && wide ? place(song, time) : "";
    return [{ time, label: strong ? String(bar + 1) : name, strong }];
  });
}

/** Name a part of the song: "bars 3-4", "bar 2", "1.5-2.5 s". */
export function partName(song, unit, start, end) {
  const lines = bars(song);
  if (unit === "bars" && lines.length) {
    const on = (time) => lines.findIndex((bar) => Math.abs(bar - time) < CLOSE);
    const first = on(start);
    const last = end > song.seconds - CLOSE ? lines.length : on(end);
    if (first >= 0 && last > first) {
      return last === first + 1
        ? `bar ${first + 1}`
        : `bars ${first + 1}\u2013${last}`;
    }
    return `${place(song, start)} to ${place(song, end)}`;
  }
  return `${start.toFixed(2)}\u2013${end.toFixed(2)} s`;
}

// Bar and beat of a time: "3.2" is the second beat of bar 3.
function place(song, time) {
  const step = beatsPerBar(song);
  const after = beats(song).findIndex((beat) => beat > time + CLOSE);
  const index = Math.max(0, (after < 0 ? beats(song).length : after) - 1);
  return `${Math.floor(index / step) + 1}.${(index % step) + 1}`;
}
