// What this browser keeps for one address of the study: token, outbox, counters. It outlives reloads and closed laptops.

/** A shelf of localStorage; where the browser has none (some private windows and frames), memory, and `lasting` is false. */
export class Store {
  constructor(name, storage = safeStorage()) {
    this.prefix = `foolscan|${name}|`;
    this.lasting = storage !== null;
    this.storage = storage || new Memory();
  }

  get(key) {
    const text = this.storage.getItem(this.prefix + key);
    if (text === null) return null;
    try {
      return JSON.parse(text);
    } catch {
      return null; // somebody else wrote here
    }
  }

  /** Whether it is kept beyond this page. Throws nothing: a full storage keeps it in memory. */
  set(key, value) {
    const text = JSON.stringify(value);
    try {
      this.storage.setItem(this.prefix + key, text);
      return this.lasting;
    } catch {
      this.lasting = false;
      this.storage = new Memory(this.storage);
      this.storage.setItem(this.prefix + key, text);
      return false;
    }
  }

  remove(key) {
    this.storage.removeItem(this.prefix + key);
  }

  /** Keys that begin so, in order. */
  keys(beginning) {
    const found = [];
    for (let place = 0; place < this.storage.length; place += 1) {
      const key = this.storage.key(place);
      if (key && key.startsWith(this.prefix + beginning)) found.push(key.slice(this.prefix.length));
    }
    return found.sort();
  }

  clear() {
    for (const key of this.keys("")) this.remove(key);
  }
}

function safeStorage() {
  try {
    const storage = window.localStorage;
    storage.setItem("foolscan|probe", "1");
    storage.removeItem("foolscan|probe");
    return storage;
  } catch {
    return null;
  }
}

/** As localStorage, for the life of the page; what another storage held is read through it. */
class Memory {
  constructor(before = null) {
    this.content = new Map();
    for (let place = 0; before && place < before.length; place += 1) {
      const key = before.key(place);
      this.content.set(key, before.getItem(key));
    }
  }

  get length() {
    return this.content.size;
  }

  key(place) {
    return [...this.content.keys()][place] ?? null;
  }

  getItem(key) {
    return this.content.has(key) ? this.content.get(key) : null;
  }

  setItem(key, text) {
    this.content.set(key, text);
  }

  removeItem(key) {
    this.content.delete(key);
  }
}
