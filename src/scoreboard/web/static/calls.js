// Calls to the API, as nobody in particular, and what they are made with: keys drawn at random and
// the pace of asking again.

export const API = "/api/v1";
export const POLL_MS = 5_000;
const ANSWER_WITHIN_MS = 10_000;

// Never throws: a call without an answer has status 0.
export async function call(method, path, { headers = {}, body } = {}) {
  try {
    const response = await fetch(API + path, {
      method,
      headers: body ? { ...headers, "Content-Type": "application/json" } : headers,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    const isJson = /\bjson\b/.test(response.headers.get("Content-Type"));
    const data = isJson ? await response.json() : {};
    const retryAfter = Number(response.headers.get("Retry-After")) || 1;
    return { status: response.status, ok: response.ok, data, retryAfter };
  } catch {
    return { status: 0, ok: false, data: {}, retryAfter: 1 };
  }
}

// Runs `work` one at a time; what is asked meanwhile is answered by one more run.
export function coalesced(work) {
  let isRunning = false;
  let isWanted = false;
  return async () => {
    isWanted = true;
    if (isRunning) return;
    isRunning = true;
    while (isWanted) {
      isWanted = false;
      await work();
    }
    isRunning = false;
  };
}

export function randomHex(bytes) {
  const drawn = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(drawn, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Over plain http from another host a browser has no randomUUID.
export const freshKey = () => crypto.randomUUID?.() ?? randomHex(16);
