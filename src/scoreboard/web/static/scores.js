// A score on the page: one plate a digit, and only the plates that change are turned.

import { animate, make } from "./dom.js";

export function makeScore() {
  const score = make("span", "score");
  score.append(make("span", "gain"), make("span", "plates"), make("span", "unseen"));
  score.children[0].ariaHidden = score.children[1].ariaHidden = "true";
  return score;
}

export function setScore(score, value, isSequel) {
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
