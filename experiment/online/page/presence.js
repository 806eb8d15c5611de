// Whether somebody is there: when the page was hidden, left or covered by a question, and during which trial.

export class Presence {
  /** tell(kind, trial, content): tells the server; say(word): tells the person; signal: ends it. */
  constructor({ tell, say, signal }) {
    this.trial = null;
    this.away = false;
    this.isAway = false;
    const on = (target, kind, doing) => target.addEventListener(kind, doing, { signal });
    const gone = (kind) => {
      tell(kind, this.trial);
      if (this.trial !== null) {
        this.away = true;
        say("away");
      }
    };
    on(document, "visibilitychange", () => (document.hidden ? gone("hidden") : tell("shown", this.trial)));
    on(window, "blur", () => {
      if (this.isAway) return;
      this.isAway = true;
      gone("left");
    });
    on(window, "focus", () => {
      if (!this.isAway) return;
      this.isAway = false;
      tell("came_back", this.trial);
    });
    on(window, "offline", () => tell("offline", this.trial));
    on(window, "online", () => tell("online", this.trial));
    on(document, "fullscreenchange", () => tell("fullscreen", this.trial, document.fullscreenElement ? "on" : "off"));
    on(window, "resize", () => {
      clearTimeout(this.resizing);
      this.resizing = setTimeout(() => tell("resized", this.trial, `${innerWidth}x${innerHeight}`), 500);
    });
  }

  begin(trial) {
    this.trial = trial;
    this.away = document.hidden;
  }

  /** Something else was in front of the trial: the question whether to stop. */
  interrupted() {
    if (this.trial !== null) this.away = true;
  }

  /** Whether the page was hidden, left or covered since `begin`. */
  end() {
    this.trial = null;
    return this.away;
  }
}
