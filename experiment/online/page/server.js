// Requests to the study's server, and what may come back instead of an answer.

/** Base address of the study: the folder in which the page's own address lies. */
export const BASE = new URL("../", import.meta.url);
const TIMEOUT_MS = 20000;
/** Bodies up to this size are still delivered when the page is closed meanwhile (browsers allow 64 kB in all). */
const OUTLIVES_PAGE_BYTES = 30000;

/** The server said no. `status`: HTTP; `kind`: the error's name; `body`: all that it said; `retryAfterMs`: null or what it asked for. */
export class Refusal extends Error {
  constructor(status, body, retryAfterMs) {
    super(body.said || body.error || `HTTP ${status}`);
    this.status = status;
    this.kind = body.error || "";
    this.body = body;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may succeed later. */
  get passing() {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

/** No answer came: no network, no server, or too late. The same request may succeed later. */
export class NoAnswer extends Error {
  get passing() {
    return true;
  }

  get retryAfterMs() {
    return null;
  }
}

/** What a Retry-After header asks for, in milliseconds; null where it says nothing that can be read. */
export function retryAfter(header, now) {
  if (!header) return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const until = Date.parse(header);
  return Number.isNaN(until) ? null : Math.max(0, until - now);
}

async function request(method, path, token, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  const content = body === undefined ? undefined : JSON.stringify(body);
  if (content !== undefined) headers["Content-Type"] = "application/json";
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(new URL(path, BASE), {
      method,
      headers,
      body: content,
      signal: giveUp.signal,
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      keepalive: content !== undefined && content.length < OUTLIVES_PAGE_BYTES,
    });
    if (response.ok) return { response, content: await (path.startsWith("api/asset/") ? response.blob() : response.json()) };
    const said = await response.json().catch(() => ({}));
    throw new Refusal(response.status, said, retryAfter(response.headers.get("Retry-After"), Date.now()));
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new NoAnswer(String(error));
  } finally {
    clearTimeout(timer);
  }
}

/** GET and return the JSON. */
export async function get(path, token) {
  return (await request("GET", path, token)).content;
}

/** POST JSON and return the JSON. */
export async function post(path, body, token) {
  return (await request("POST", path, token, body)).content;
}

/** GET the image of a trial. */
export async function image(asset, token) {
  return (await request("GET", `api/asset/${encodeURIComponent(asset)}`, token)).content;
}
