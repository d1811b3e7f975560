// Elements: found, made and moved. Names are strangers' text and only ever become text: no module
// of this page builds markup.

const motion = matchMedia("(prefers-reduced-motion: no-preference)");

export const byId = (id) => document.getElementById(id);

export function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// Null for those who asked for less motion.
export function animate(element, frames, duration) {
  if (!motion.matches) return null;
  return element.animate(frames, { duration, easing: "cubic-bezier(.2, .8, .2, 1)" });
}
