// Completing actions: their buttons, what is done already, and the one key under which a click is
// sent until it is answered.

import { call, freshKey, POLL_MS } from "./calls.js";
import { byId, make } from "./dom.js";
import { settle, stake } from "./own.js";
import { callAsUser, session } from "./session.js";

const DAY_MS = 86_400_000;
const ATTEMPTS = 4; // of a completion, all under one Idempotency-Key
const LONGEST_RETRY_AFTER = 30; // seconds that a click waits by itself; beyond, the person decides
const REPEATS = { once: "Once", daily: "Once a day", unlimited: "Any time" };

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

let actions = []; // as the API lists them, each with its item, button and note on the page
let midnight = 0;
const finished = new Map(); // actionId -> when it was last completed
const unsettled = new Map(); // actionId -> the key of a click that may have counted unheard

export async function loadActions() {
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

export function onSomeoneElse() {
  finished.clear();
  unsettled.clear();
  say("");
  if (session) loadFinished();
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
  if (answer.ok) say(`${action.name}: ${answer.data.pointsEarned} points.`);
  else say(whyNotCounted(answer, action), true);
  if (!answer.ok && answer.status !== 409) finished.delete(actionId);
  if (isUndecided(answer)) unsettled.set(actionId, key);
  settle(claim, (answer.ok ? answer.data.pointsEarned : 0) - points);
  showActions();
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
