// The live page: the top 10 as it moves and, in the demo, an account that can score.
//
// The board comes over an EventSource; while that is away, it is polled. Names are strangers' text
// and only ever become text: nothing here builds markup.

const API = "/api/v1";
const POLL_MS = 5_000;
const LONGEST_BACKOFF_MS = 30_000;
const ANSWER_WITHIN_MS = 10_000;
const DAY_MS = 86_400_000;
const ATTEMPTS = 4; // of a completion, all under one Idempotency-Key
const LONGEST_RETRY_AFTER = 30; // seconds that a click waits by itself; beyond, the person decides
const SESSION_KEY = "scoreboard.session";

const BOARDS = {
  "all-time": { empty: "No points yet.", period: () => "since the first point" },
  daily: { empty: "No points today yet.", period: (name) => `today, ${name} UTC` },
  weekly: { empty: "No points this week yet.", period: weekInWords },
};
const CONNECTION = { live: "Live", reconnecting: "Reconnecting…", offline: "Offline" };
const SESSION_ENDED = "Your session has ended. Join again to go on.";
const REPEATS = { once: "Once", daily: "Once a day", unlimited: "Any time" };

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const isDemo = document.body.dataset.demo === "yes";
const motion = matchMedia("(prefers-reduced-motion: no-preference)");

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function weekInWords(name) {
  const [year, week] = name.split("-W");
  return `week ${Number(week)} of ${year}, UTC`;
}

// Runs `work` one at a time; what is asked meanwhile is answered by one more run.
function coalesced(work) {
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

function randomHex(bytes) {
  const drawn = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(drawn, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Over plain http from another host a browser has no randomUUID.
const freshKey = () => crypto.randomUUID?.() ?? randomHex(16);

// --- The board ---------------------------------------------------------------

let board = "all-time";
let latest = null; // the newest snapshot of the chosen board
let arrivals = 0; // counts snapshots and choices, so that an answer overtaken by either is dropped
const rows = new Map(); // userId -> <li>

function choose(name) {
  board = name;
  latest = null;
  arrivals += 1;
  own = nothingYet();
  const choice = choiceOf(name);
  choice.checked = true;
  byId("rows").ariaBusy = "true";
  const url = new URL(location.href);
  if (name === "all-time") url.searchParams.delete("board");
  else url.searchParams.set("board", name);
  history.replaceState(null, "", url);
  document.title = `${choice.parentElement.textContent} · Scoreboard`;
  connect();
  loadOwn();
}

function choiceOf(name) {
  return byId("boards").querySelector(`[value="${name}"]`);
}

async function refresh() {
  const asked = { board, arrivals };
  const headers = latest ? { "If-None-Match": `W/"${latest.version}"` } : {};
  const answer = await call("GET", `/leaderboard?board=${board}`, { headers });
  if (answer.status === 404) retire(asked.board);
  if (answer.ok && asked.arrivals === arrivals) show(answer.data);
}

function retire(name) {
  const choice = choiceOf(name);
  choice.parentElement.hidden = true;
  choice.disabled = true;
  byId("boards").hidden = !byId("boards").querySelector("input:enabled:not([value=all-time])");
  if (board === name) choose("all-time");
}

async function retireSwitchedOff() {
  for (const name of Object.keys(BOARDS).filter((each) => each !== "all-time")) {
    const answer = await call("GET", `/leaderboard?board=${name}&limit=1`);
    if (answer.status === 404) retire(name);
  }
}

function show(snapshot) {
  const isSequel = latest?.period === snapshot.period;
  latest = snapshot;
  arrivals += 1;
  byId("period").textContent = BOARDS[board].period(snapshot.period);
  byId("empty").hidden = snapshot.users.length > 0;
  byId("empty").firstChild.textContent = BOARDS[board].empty;
  byId("rows").ariaBusy = "false";
  place(snapshot.users);
  for (const user of snapshot.users) fill(rows.get(user.userId), user, isSequel);
  loadOwn();
  showOwn();
}

// FLIP: note where each row is seen, put all in their new order, and glide from there to here.
function place(users) {
  const list = byId("rows");
  const before = new Map();
  for (const [id, row] of rows) {
    before.set(id, { slot: row.offsetTop, seen: row.getBoundingClientRect().top });
  }
  const staying = new Set(users.map((user) => user.userId));
  for (const [id, row] of rows) if (!staying.has(id)) leave(id, row);
  users.forEach((user, index) => {
    const row = rows.get(user.userId) ?? makeRow(user);
    if (list.children[index] !== row) list.insertBefore(row, list.children[index]);
  });
  const top = list.getBoundingClientRect().top;
  for (const { userId } of users) glide(rows.get(userId), before.get(userId), top);
}

function glide(row, from, top) {
  if (!from) {
    animate(row, [{ opacity: 0, transform: "translateX(-1.5rem)" }, {}], 400);
  } else if (from.slot !== row.offsetTop) {
    const way = from.seen - (top + row.offsetTop);
    row.style.zIndex = way > 0 ? 2 : 1; // who climbs passes in front
    row.gliding?.cancel();
    row.gliding = animate(row, [{ transform: `translateY(${way}px)` }, {}], 650);
  }
}

function leave(id, row) {
  rows.delete(id);
  row.style.top = `${row.offsetTop}px`;
  row.className = "row leaving";
  row.ariaHidden = "true";
  byId("rows").append(row);
  const leaving = animate(row, [{}, { opacity: 0, transform: "translateX(1.5rem)" }], 400);
  if (leaving) leaving.onfinish = () => row.remove();
  else row.remove();
}

function animate(element, frames, duration) {
  if (!motion.matches) return null;
  return element.animate(frames, { duration, easing: "cubic-bezier(.2, .8, .2, 1)" });
}

function makeRow({ userId, username }) {
  const row = make("li", "row");
  const name = make("bdi", "name", username);
  name.title = username;
  row.append(make("span", "unseen"), name, make("span", "tag", "you"), makeScore());
  rows.set(userId, row);
  return row;
}

function fill(row, user, isSequel) {
  const isOwn = user.userId === session?.userId;
  row.classList.toggle("own", isOwn);
  row.firstChild.textContent = `${user.rank}.`;
  setScore(row.lastChild, isOwn ? ownScore() : user.score, isSequel);
}

// --- Scores: one plate a digit, and only the plates that change are turned ---

function makeScore() {
  const score = make("span", "score");
  score.append(make("span", "gain"), make("span", "plates"), make("span", "unseen"));
  score.children[0].ariaHidden = score.children[1].ariaHidden = "true";
  return score;
}

function setScore(score, value, isSequel) {
  const [gain, plates, spoken] = score.children;
  const old = score.dataset.value;
  if (old === String(value)) return;
  score.dataset.value = value;
  spoken.textContent = `${value} points`;
  const digits = [...String(value)];
  while (plates.children.length > digits.length) plates.firstChild.remove();
  while (plates.children.length < digits.length) plates.prepend(make("span", "plate"));
  digits.forEach((digit, index) => turn(plates.children[index], digit, old !== undefined));
  if (isSequel && old !== undefined) celebrate(score, gain, value - Number(old));
}

function turn(plate, digit, isVisible) {
  if (plate.textContent === digit) return;
  plate.textContent = digit;
  if (isVisible) animate(plate, [{ transform: "rotateX(90deg)", opacity: 0.3 }, {}], 350);
}

function celebrate(score, gain, points) {
  gain.textContent = points > 0 ? `+${points}` : `−${-points}`;
  const noticed = { duration: 1800, easing: "ease-in" };
  // A change of colour is no motion: it stays for those who asked for less of it.
  gain.animate([{ opacity: 1 }, { opacity: 1, offset: 0.6 }, { opacity: 0 }], noticed);
  score.closest(".row, dd").animate([{ backgroundColor: "var(--flash)" }, {}], noticed);
}

// --- The connection ----------------------------------------------------------

let source = null;
let connection = "connecting";
let telling = 0; // timers
let reopening = 0;
let failures = 0;

function connect() {
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

// --- Calls -------------------------------------------------------------------

// Never throws: a call without an answer has status 0.
async function call(method, path, { headers = {}, body } = {}) {
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

async function callAsUser(method, path, headers = {}) {
  const token = session.accessToken;
  const attempt = () =>
    call(method, path, { headers: { ...headers, Authorization: `Bearer ${session.accessToken}` } });
  const first = await attempt();
  if (first.status !== 401 || !(await renew(token))) return first;
  const second = await attempt();
  if (second.status === 401) forgetSession(SESSION_ENDED);
  return second;
}

// --- The session: kept in this browser, shared by its tabs -------------------

let session = null; // {userId, username, accessToken, refreshToken}
let renewing = null;

function readSession() {
  return JSON.parse(localStorage.getItem(SESSION_KEY));
}

function keepSession({ account, accessToken, refreshToken }) {
  const next = { ...account, accessToken, refreshToken };
  localStorage.setItem(SESSION_KEY, JSON.stringify(next));
  takeUpSession(next);
}

function forgetSession(why = "") {
  localStorage.removeItem(SESSION_KEY);
  takeUpSession(null);
  byId("join-error").textContent = why;
}

function takeUpSession(next) {
  const isSomeoneElse = next?.userId !== session?.userId;
  session = next;
  byId("join").hidden = session !== null;
  byId("you").hidden = session === null;
  if (!isSomeoneElse) return;
  own = nothingYet();
  finished.clear();
  unsettled.clear();
  say("");
  byId("you-name").textContent = session?.username ?? "";
  if (latest) show(latest);
  if (session) loadFinished();
}

// A refresh token works once, and a second use ends the session: one at a time, over all tabs.
function renew(refused) {
  const exchange = () => exchangeTokens(refused);
  renewing ??= (navigator.locks?.request(SESSION_KEY, exchange) ?? exchange()).finally(() => {
    renewing = null;
  });
  return renewing;
}

async function exchangeTokens(refused) {
  const kept = readSession();
  if (kept && kept.accessToken !== refused) {
    takeUpSession(kept); // another tab was quicker
    return true;
  }
  const body = { refreshToken: session?.refreshToken };
  const answer = await call("POST", "/auth/refresh", { body });
  if (answer.ok) keepSession(answer.data);
  else if (answer.status === 401) forgetSession(SESSION_ENDED);
  return answer.ok;
}

async function join(event) {
  event.preventDefault();
  const field = byId("username");
  const username = field.value.trim();
  const answer = username
    ? await call("POST", "/auth/register", { body: { username, password: randomHex(24) } })
    : { status: 400, data: { detail: "Type a name first." } };
  field.ariaInvalid = String(!answer.ok);
  byId("join-error").textContent = answer.ok ? "" : whyNotJoined(answer);
  if (!answer.ok) return field.focus();
  field.value = "";
  keepSession(answer.data);
  byId("you-name").focus();
}

function whyNotJoined({ status, data, retryAfter }) {
  if (status === 0) return "The server cannot be reached. Try again in a moment.";
  if (status === 409) return "This name is taken. Try another one.";
  if (status === 429) return `Too many attempts: again in ${retryAfter} s.`;
  if (status === 503) return `The server is busy: again in ${retryAfter} s.`;
  return data.detail?.replace(/^username: /, "A name ") ?? "That did not work. Try again.";
}

async function signOut() {
  const { refreshToken } = session;
  forgetSession();
  byId("username").focus();
  await call("POST", "/auth/logout", { body: { refreshToken } });
}

// --- One's own place ---------------------------------------------------------
//
// A click counts at once, as a claim beside what the server has confirmed. The same points may come
// back over the stream before the click is answered: the greater is shown, never the sum.

let own = nothingYet();
const yourScore = makeScore();

function nothingYet() {
  return { isKnown: false, score: 0, rank: null, claim: null };
}

function listedSelf() {
  return latest?.users.find((user) => user.userId === session.userId);
}

function ownScore() {
  const claimed = own.claim ? own.claim.from + own.claim.points : 0;
  return Math.max(listedSelf()?.score ?? 0, own.score, claimed);
}

function stake(points) {
  own.claim ??= { from: ownScore(), points: 0, open: 0 };
  own.claim.points += points;
  own.claim.open += 1;
  showOwn();
  return own.claim;
}

const loadOwn = coalesced(async () => {
  if (!session) return;
  const asked = own; // a choice of another board or player puts a new one in its place
  const isSettled = own.claim?.open === 0;
  const path = `/players/${encodeURIComponent(session.userId)}?board=${board}&around=0`;
  const { ok, status, data } = await call("GET", path);
  if (own !== asked || !(ok || status === 404)) return;
  own.score = data.score ?? 0;
  own.rank = data.rank ?? null;
  if (isSettled && own.claim.open === 0) own.claim = null;
  showOwn();
  own.isKnown = true;
});

function showOwn() {
  if (!session) return;
  const rank = listedSelf()?.rank ?? own.rank;
  byId("you-rank").textContent = rank ?? "–";
  setScore(yourScore, ownScore(), own.isKnown);
  const row = rows.get(session.userId);
  if (row) setScore(row.lastChild, ownScore(), own.isKnown);
}

// --- Completing actions ------------------------------------------------------

let actions = []; // as the API lists them, each with its item, button and note on the page
let midnight = 0;
const finished = new Map(); // actionId -> when it was last completed
const unsettled = new Map(); // actionId -> the key of a click that may have counted unheard

async function loadActions() {
  const answer = await call("GET", "/actions");
  if (!answer.ok) return setTimeout(loadActions, POLL_MS);
  actions = answer.data.actions.map(makeAction);
  byId("actions").replaceChildren(...actions.map(({ item }) => item));
  showActions();
}

function makeAction(action) {
  const item = make("li", "");
  const button = make("button", "action");
  const note = make("span", "repeat");
  button.append(
    make("span", "action-name", action.name),
    make("span", "points", `+${action.points}`),
    make("span", "about", action.description),
    note,
  );
  item.append(button);
  const made = { ...action, item, button, note };
  button.addEventListener("click", () => complete(made));
  return made;
}

async function loadFinished() {
  const { data } = await callAsUser("GET", "/me/completions");
  for (const { actionId, completedAt } of data.items?.reverse() ?? []) {
    finished.set(actionId, completedAt);
  }
  showActions();
}

function isFinished({ actionId, repeat }) {
  const when = finished.get(actionId);
  if (!when || repeat === "unlimited") return false;
  return repeat === "once" || when.slice(0, 10) === now().slice(0, 10);
}

const now = () => new Date().toISOString();

function showActions() {
  for (const action of actions) {
    const isDone = isFinished(action);
    // Not `disabled`, which would drop the focus of whoever has just pressed it.
    action.button.ariaDisabled = String(isDone);
    const done = action.repeat === "once" ? "Done" : "Done for today; again at 00:00 UTC";
    action.note.textContent = isDone ? done : REPEATS[action.repeat];
  }
  clearTimeout(midnight);
  midnight = setTimeout(showActions, DAY_MS - (Date.now() % DAY_MS));
}

async function complete(action) {
  if (isFinished(action)) return;
  const { actionId, points } = action;
  const { userId } = session;
  const key = unsettled.get(actionId) ?? freshKey();
  unsettled.delete(actionId);
  const claim = stake(points);
  finished.set(actionId, now());
  say("");
  showActions();

  const answer = await completeUntilAnswered(actionId, key);

  if (session?.userId !== userId) return;
  claim.open -= 1;
  claim.points += (answer.ok ? answer.data.pointsEarned : 0) - points;
  if (answer.ok) say(`${action.name}: ${answer.data.pointsEarned} points.`);
  else say(whyNotCounted(answer, action), true);
  if (!answer.ok && answer.status !== 409) finished.delete(actionId);
  if (isUndecided(answer)) unsettled.set(actionId, key);
  showOwn();
  showActions();
  loadOwn();
}

async function completeUntilAnswered(actionId, key) {
  const { userId } = session;
  for (let attempt = 1; ; attempt += 1) {
    const headers = { "Idempotency-Key": key };
    const answer = await callAsUser("POST", `/actions/${actionId}/complete`, headers);
    const isPassing = answer.status === 0 || answer.status === 503;
    const isOver = attempt === ATTEMPTS || answer.retryAfter > LONGEST_RETRY_AFTER;
    if (!isPassing || isOver) return answer;
    await sleep(answer.retryAfter * 1000 * (1 + Math.random() / 2));
    if (session?.userId !== userId) return answer;
  }
}

// After these the completion may be in the log all the same: the next click asks with the same key.
function isUndecided({ status }) {
  return status === 0 || status === 429 || status >= 500;
}

function whyNotCounted({ status, data, retryAfter }, { name, repeat }) {
  if (status === 0) return "The server cannot be reached. Try again: it will not count twice.";
  if (status === 401) return "You could not be recognised just now. Try again.";
  if (status === 409) return `${name}: already done${repeat === "daily" ? " today" : ""}.`;
  if (status === 429) return `Too fast: again in ${retryAfter} s.`;
  if (status === 503) return `The server is busy: again in ${retryAfter} s.`;
  return data.detail ?? "That did not work. Try again.";
}

function say(text, isBad = false) {
  byId("message").textContent = text;
  byId("message").classList.toggle("bad", isBad);
}

// --- Start -------------------------------------------------------------------

function startDemo() {
  byId("side").hidden = false;
  byId("you-score").append(yourScore);
  byId("join").addEventListener("submit", join);
  byId("sign-out").addEventListener("click", signOut);
  addEventListener("storage", ({ key }) => key === SESSION_KEY && takeUpSession(readSession()));
  takeUpSession(readSession());
  loadActions();
}

byId("curl").textContent = `curl -N ${location.origin}${API}/leaderboard/stream`;
byId("boards").addEventListener("change", ({ target }) => choose(target.value));
for (const change of ["online", "offline"]) addEventListener(change, connect);
addEventListener("pageshow", ({ persisted }) => persisted && connect());
setInterval(() => connection !== "live" && refresh(), POLL_MS);

const linked = new URLSearchParams(location.search).get("board");
choose(Object.hasOwn(BOARDS, linked) ? linked : "all-time");
retireSwitchedOff();
if (isDemo) startDemo();
