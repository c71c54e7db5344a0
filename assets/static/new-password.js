// Marks the rules for a new password as they are met, and shows what was typed. The page works without: whatever is said here is
// judged again, and in full, after sending.
"use strict";

(() => {
  const field = document.getElementById("new");
  const list = document.querySelector("#rules ul");
  if (!field || !list) return;

  const letters = (text) => [...text];
  const classes = (text) => {
    let [lower, upper, digit, other] = [0, 0, 0, 0];
    for (const letter of letters(text)) {
      if (/\p{Lowercase}/u.test(letter)) lower = 1;
      else if (/\p{Uppercase}/u.test(letter)) upper = 1;
      else if (/[0-9]/.test(letter)) digit = 1;
      else other = 1;
    }
    return lower + upper + digit + other;
  };
  const known = ({ login, name, email }) =>
    [login, email, email.split("@")[0], name, ...name.split(/\s+/u)]
      .filter((word) => letters(word).length >= 3)
      .map((word) => word.toLowerCase());
  const rules = {
    length: (text, { least, most }) => letters(text).length >= least && letters(text).length <= most,
    classes: (text, { least }) => classes(text) >= least,
    personal: (text, data) => text !== "" && !known(data).some((word) => text.toLowerCase().includes(word)),
  };

  const mark = () => {
    for (const item of list.querySelectorAll("[data-rule]")) {
      const met = rules[item.dataset.rule](field.value, item.dataset);
      item.classList.toggle("met", met);
      item.querySelector("span")?.remove();
      if (met) {
        const words = document.createElement("span");
        words.className = "visually-hidden";
        words.textContent = list.dataset.met;
        item.append(words);
      }
    }
  };
  field.addEventListener("input", mark);
  mark();

  const button = document.querySelector("[data-reveal]");
  const fields = ["current", "new", "again"].map((id) => document.getElementById(id)).filter(Boolean);
  const show = button.textContent;
  const reveal = (shown) => {
    for (const one of fields) one.type = shown ? "text" : "password";
    button.textContent = shown ? button.dataset.hide : show;
  };
  button.hidden = false;
  button.addEventListener("click", () => reveal(field.type === "password"));
  // What is sent, and what the browser keeps, is a password again.
  button.form.addEventListener("submit", () => reveal(false));
})();
