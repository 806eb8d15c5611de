// Times of frames: what is shown, and for how long, is decided on the timestamps of requestAnimationFrame.

const MOST_FRAMES = 1000;
const REMEMBERED = 240;
/** A time between frames that is longer than so many usual ones means that a frame came late. */
const LATE = 1.5;

/** To a hundredth of a millisecond: browsers say no more. */
export const tidy = (ms) => Math.round(ms * 100) / 100;

/** The middle of some numbers; NaN where there are none. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Whether this frame is the one nearest to a time: the next would be farther from it. All in ms. */
export function isNearest(timestamp, time, frame) {
  return timestamp >= time - frame / 2;
}

/** The usual time between frames of this screen, measured for as long as somebody watches. */
export class FrameTime {
  constructor() {
    this.intervals = [];
  }

  add(interval) {
    if (interval > 0 && interval < 250) this.intervals.push(interval);
    if (this.intervals.length > REMEMBERED) this.intervals.shift();
  }

  get ms() {
    return this.intervals.length >= 5 ? median(this.intervals) : 1000 / 60;
  }

  /** Watches so many frames, in the background. Resolves to the median, in ms. */
  measure(n) {
    return new Promise((resolve) => {
      let before = null;
      const watch = (timestamp) => {
        if (before !== null) this.add(timestamp - before);
        before = timestamp;
        if (n > 0) requestAnimationFrame(watch);
        else resolve(this.ms);
        n -= 1;
      };
      requestAnimationFrame(watch);
    });
  }
}

/** Calls on every frame until `step(timestamp)` returns true; resolves to that frame's timestamp. Rejects when aborted. */
export function eachFrame(step, signal) {
  return new Promise((resolve, reject) => {
    const frame = (timestamp) => {
      if (signal && signal.aborted) return reject(signal.reason);
      if (step(timestamp)) return resolve(timestamp);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

/**
 * Waits from the first frame on, and does something on the frame nearest to the time asked for.
 * Resolves to that frame's timestamp; 0 ms: the very next frame.
 */
export function after(ms, frameTime, then, signal, from = null) {
  let begin = from;
  return eachFrame((timestamp) => {
    if (begin === null) begin = timestamp;
    if (!isNearest(timestamp, begin + ms, frameTime.ms)) return false;
    then(timestamp);
    return true;
  }, signal);
}

/**
 * Shows something on one frame and takes it away on another. Both happen within the frames' callbacks.
 *
 * show(timestamp), hide(timestamp): make it visible and invisible.
 * fixationMs: it is shown on the frame nearest to so long after the first one.
 * askedMs: for how long, or null: until `answered()` is true.
 * Resolves to what is stored (see `Shown` in the server's messages): onset, offset, every frame's time from the first
 * frame with it to the first without it.
 */
export async function expose({ show, hide, askedMs, answered, frameTime, signal, fixationMs = 0 }) {
  let first = null;
  let before = null;
  let nFrames = 0;
  let late = 0;
  const frames = [];
  let onset = null;
  let usual = frameTime.ms;
  const offset = await eachFrame((timestamp) => {
    if (first === null) first = timestamp;
    if (onset === null) {
      if (before !== null) frameTime.add(timestamp - before);
      usual = frameTime.ms;
      before = timestamp;
      if (!isNearest(timestamp, first + fixationMs, usual)) return false;
      onset = timestamp;
      frames.push(tidy(timestamp));
      nFrames = 1;
      show(timestamp);
      return false;
    }
    const interval = timestamp - before;
    before = timestamp;
    if (interval > LATE * usual) late += 1;
    const over = askedMs === null ? answered() : isNearest(timestamp, onset + askedMs, usual);
    if (over) hide(timestamp);
    else nFrames += 1;
    if (frames.length < MOST_FRAMES - 1 || (over && frames.length < MOST_FRAMES)) frames.push(tidy(timestamp));
    return over;
  }, signal);
  return {
    onset_ms: tidy(onset),
    offset_ms: tidy(offset),
    asked_ms: askedMs,
    n_frames: nFrames,
    late_frames: late,
    frame_ms: tidy(usual),
    frames_ms: frames,
  };
}
