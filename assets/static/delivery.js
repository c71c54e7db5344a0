// What became of the mail with the code, told on the page as soon as it is known. Nothing that was typed is touched; without
// this script the next load of the page tells the same.
"use strict";
(() => {
  const lead = document.querySelector("[data-delivery]");
  if (!lead) return;

  // For as long as the mail server may keep trying: each second at first, then more seldom.
  const MOST = 60;
  const pause = (asked) => (asked < 15 ? 1000 : 3000);

  const tell = (mail) => {
    lead.textContent = mail.text;
    if (!mail.problem || document.getElementById("delivery")) return;
    const alert = document.createElement("div");
    alert.className = "alert problem";
    alert.id = "delivery";
    alert.setAttribute("role", "alert");
    alert.append(document.createElement("p"));
    alert.firstChild.textContent = mail.problem;
    document.querySelector("main form").before(alert);
  };

  const ask = async (asked) => {
    try {
      const answer = await fetch(lead.dataset.delivery, { cache: "no-store", redirect: "error" });
      // The login is over, or another one's by now: the page says so when it is used.
      if (!answer.ok) return;
      const mail = await answer.json();
      if (mail.delivery !== "on-its-way") {
        tell(mail);
        return;
      }
    } catch {
      // No connection for a moment.
    }
    if (asked < MOST) setTimeout(() => ask(asked + 1), pause(asked));
  };
  ask(1);
})();
