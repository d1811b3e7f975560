// The session, from joining to signing out: its tokens are kept in this browser, shared by its tabs
// and renewed when they expire.

import { call, randomHex } from "./calls.js";
import { byId } from "./dom.js";

const SESSION_KEY = "scoreboard.session";
const SESSION_ENDED = "Your session has ended. Join again to go on.";

export let session = null; // {userId, username, accessToken, refreshToken}
let renewing = null;
let onSomeoneElse;

export function start(whenSomeoneElse) {
  onSomeoneElse = whenSomeoneElse;
  byId("join").addEventListener("submit", join);
  byId("sign-out").addEventListener("click", signOut);
  addEventListener("storage", ({ key }) => key === SESSION_KEY && takeUpSession(readSession()));
  takeUpSession(readSession());
}

export async function callAsUser(method, path, headers = {}) {
  const token = session.accessToken;
  const attempt = () =>
    call(method, path, { headers: { ...headers, Authorization: `Bearer ${session.accessToken}` } });
  const first = await attempt();
  if (first.status !== 401 || !(await renew(token))) return first;
  const second = await attempt();
  if (second.status === 401) forgetSession(SESSION_ENDED);
  return second;
}

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
  byId("you-name").textContent = session?.username ?? "";
  onSomeoneElse();
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
