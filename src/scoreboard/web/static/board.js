// The board: which one is chosen, its newest snapshot, and the rows that show it. How snapshots
// arrive and who looks on is for others to know: hooks tell them and ask them.

import { call } from "./calls.js";
import { animate, byId, make } from "./dom.js";
import { makeScore, setScore } from "./scores.js";

const BOARDS = {
  "all-time": { empty: "No points yet.", period: () => "since the first point" },
  daily: { empty: "No points today yet.", period: (name) => `today, ${name} UTC` },
  weekly: { empty: "No points this week yet.", period: weekInWords },
};

export let board = "all-time";
export let latest = null; // the newest snapshot of the chosen board
let arrivals = 0; // counts snapshots and choices, so that an answer overtaken by either is dropped
export const rows = new Map(); // userId -> <li>
let hooks; // chosen(), shown() and ownScoreOf(user), which is null for everybody else

export function start(hooked) {
  hooks = hooked;
  byId("boards").addEventListener("change", ({ target }) => choose(target.value));
  const linked = new URLSearchParams(location.search).get("board");
  choose(Object.hasOwn(BOARDS, linked) ? linked : "all-time");
  retireSwitchedOff();
}

function choose(name) {
  board = name;
  latest = null;
  arrivals += 1;
  const choice = choiceOf(name);
  choice.checked = true;
  byId("rows").ariaBusy = "true";
  const url = new URL(location.href);
  if (name === "all-time") url.searchParams.delete("board");
  else url.searchParams.set("board", name);
  history.replaceState(null, "", url);
  document.title = `${choice.parentElement.textContent} · Scoreboard`;
  hooks.chosen();
}

function choiceOf(name) {
  return byId("boards").querySelector(`[value="${name}"]`);
}

export async function refresh() {
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

export function show(snapshot) {
  const isSequel = latest?.period === snapshot.period;
  latest = snapshot;
  arrivals += 1;
  byId("period").textContent = BOARDS[board].period(snapshot.period);
  byId("empty").hidden = snapshot.users.length > 0;
  byId("empty").firstChild.textContent = BOARDS[board].empty;
  byId("rows").ariaBusy = "false";
  place(snapshot.users);
  for (const user of snapshot.users) fill(rows.get(user.userId), user, isSequel);
  hooks.shown();
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

function makeRow({ userId, username }) {
  const row = make("li", "row");
  const name = make("bdi", "name", username);
  name.title = username;
  row.append(make("span", "unseen"), name, make("span", "tag", "you"), makeScore());
  rows.set(userId, row);
  return row;
}

function fill(row, user, isSequel) {
  const ownScore = hooks.ownScoreOf(user);
  row.classList.toggle("own", ownScore !== null);
  row.firstChild.textContent = `${user.rank}.`;
  setScore(row.lastChild, ownScore ?? user.score, isSequel);
}

function weekInWords(name) {
  const [year, week] = name.split("-W");
  return `week ${Number(week)} of ${year}, UTC`;
}
