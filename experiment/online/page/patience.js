// How long to wait before trying again, and trying again until it succeeds.

export const FIRST_MS = 500;
export const LONGEST_MS = 30000;

/**
 * The wait before the next try: doubled each time, and drawn from its upper half so that a thousand pages do not come back at once.
 * failures: tries that failed, from 1; asked: what Retry-After asked for, or null; random: in [0, 1).
 */
export function waitMs(failures, asked, random) {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
  const drawn = longest * (0.5 + 0.5 * random);
  return asked === null ? drawn : Math.max(asked * (1 + 0.1 * random), drawn);
}

/** A wait that ends early when the network or the person comes back (unless the server asked for the time). */
export function pause(ms, mayEndEarly = true) {
  return new Promise((resolve) => {
    const wakers = mayEndEarly
      ? [[window, "online"], [document, "visibilitychange"], [window, "foolscan-wake"], [window, "pageshow"]]
      : [];
    const end = () => {
      clearTimeout(timer);
      for (const [target, kind] of wakers) target.removeEventListener(kind, wake);
      resolve();
    };
    const wake = () => {
      if (!document.hidden) end();
    };
    const timer = setTimeout(end, ms);
    for (const [target, kind] of wakers) target.addEventListener(kind, wake);
  });
}

/** Does something until it succeeds, for as long as the page lives. Errors that do not pass are thrown. */
export async function persist(doing, onFailure = () => {}) {
  for (let failures = 1; ; failures += 1) {
    try {
      return await doing();
    } catch (error) {
      if (!error.passing) throw error;
      onFailure(error, failures);
      await pause(waitMs(failures, error.retryAfterMs, Math.random()), error.retryAfterMs === null);
    }
  }
}
