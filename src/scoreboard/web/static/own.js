// One's own place: a click counts at once, as a claim beside what the server has confirmed. The
// same points may come back over the stream before the click is answered: the greater is shown,
// never the sum.

import { board, latest, rows, show } from "./board.js";
import { call, coalesced } from "./calls.js";
import { byId } from "./dom.js";
import { makeScore, setScore } from "./scores.js";
import { session } from "./session.js";

let own = nothingYet();
const yourScore = makeScore();

export function start() {
  byId("you-score").append(yourScore);
}

export function onChosen() {
  own = nothingYet();
  loadOwn();
}

export function onShown() {
  loadOwn();
  showOwn();
}

export function onSomeoneElse() {
  own = nothingYet();
  if (latest) show(latest);
}

function nothingYet() {
  return { isKnown: false, score: 0, rank: null, claim: null };
}

function listedSelf() {
  return latest?.users.find((user) => user.userId === session.userId);
}

export function ownScoreOf({ userId }) {
  return userId === session?.userId ? ownScore() : null;
}

function ownScore() {
  const claimed = own.claim ? own.claim.from + own.claim.points : 0;
  return Math.max(listedSelf()?.score ?? 0, own.score, claimed);
}

export function stake(points) {
  own.claim ??= { from: ownScore(), points: 0, open: 0 };
  own.claim.points += points;
  own.claim.open += 1;
  showOwn();
  return own.claim;
}

// One click of the claim is answered, and counts for so many points more or less than was staked.
export function settle(claim, difference) {
  claim.open -= 1;
  claim.points += difference;
  showOwn();
  loadOwn();
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
