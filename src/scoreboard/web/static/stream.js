// The connection: the board comes over an EventSource; while that is away, it is polled.

import { board, latest, refresh, show } from "./board.js";
import { API, POLL_MS } from "./calls.js";
import { byId } from "./dom.js";

const LONGEST_BACKOFF_MS = 30_000;
const CONNECTION = { live: "Live", reconnecting: "Reconnecting…", offline: "Offline" };

let source = null;
let connection = "connecting";
let telling = 0; // timers
let reopening = 0;
let failures = 0;

export function start() {
  for (const change of ["online", "offline"]) addEventListener(change, connect);
  addEventListener("pageshow", ({ persisted }) => persisted && connect());
  setInterval(() => connection !== "live" && refresh(), POLL_MS);
}

export function connect() {
  clearTimeout(reopening);
  source?.close();
  const stream = new EventSource(`${API}/leaderboard/stream?board=${board}`);
  source = stream;
  stream.addEventListener("leaderboard_update", (event) => show(JSON.parse(event.data)));
  stream.addEventListener("open", () => {
    failures = 0;
    // A reconnecting browser names the last event it saw, not what was polled since: ask in full.
    if (connection !== "live" && latest) refresh();
    tell("live");
  });
  stream.addEventListener("bye", () => tell("reconnecting"));
  stream.addEventListener("busy", () => {
    tell("reconnecting");
    refresh();
  });
  stream.addEventListener("error", () => {
    tell(navigator.onLine ? "reconnecting" : "offline");
    if (!latest) refresh();
    if (stream.readyState === EventSource.CLOSED) reconnectLater();
  });
}

// A browser gives an EventSource up for good at an error status, such as a proxy's 502.
function reconnectLater() {
  failures += 1;
  const longest = Math.min(LONGEST_BACKOFF_MS, 1000 * 2 ** failures);
  reopening = setTimeout(connect, 1000 + Math.random() * (longest - 1000));
}

function tell(state) {
  connection = state;
  clearTimeout(telling);
  // A full house opens the stream too, only to say so: what opens has to last before it is news.
  telling = setTimeout(
    () => {
      byId("connection").dataset.state = state;
      byId("connection").textContent = CONNECTION[state];
    },
    state === "live" ? 200 : 0,
  );
}
