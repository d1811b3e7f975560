// The live page: the top 10 as it moves and, in the demo, an account that can score. Here its
// modules, one subject each, are started and tied together.

import * as board from "./board.js";
import { API } from "./calls.js";
import { byId } from "./dom.js";
import * as own from "./own.js";
import * as play from "./play.js";
import * as session from "./session.js";
import * as stream from "./stream.js";

const isDemo = document.body.dataset.demo === "yes";

function startDemo() {
  byId("side").hidden = false;
  own.start();
  session.start(() => {
    own.onSomeoneElse();
    play.onSomeoneElse();
  });
  play.loadActions();
}

byId("curl").textContent = `curl -N ${location.origin}${API}/leaderboard/stream`;
stream.start();
board.start({
  chosen() {
    stream.connect();
    own.onChosen();
  },
  shown: own.onShown,
  ownScoreOf: own.ownScoreOf,
});
if (isDemo) startDemo();
