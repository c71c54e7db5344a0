// The sample tool's own script: what such tools do in a browser. It fetches JSON, opens a WebSocket, listens to events.
"use strict";
const byId = (id) => document.getElementById(id);
const yen = (amount) => "¥" + amount.toLocaleString("en-US");

function state(element, open) {
  element.textContent = open ? element.dataset.open : element.dataset.closed;
  element.classList.toggle("open", open);
  element.classList.toggle("closed", !open);
}

const pages = {
  async overview() {
    const table = byId("latest");
    try {
      const answer = await fetch("/api/overview", { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      const { figures, latest } = await answer.json();
      for (const element of document.querySelectorAll("[data-figure]")) {
        const value = figures[element.dataset.figure];
        element.textContent = "yen" in element.dataset ? yen(value) : value;
      }
      table.tBodies[0].replaceChildren(...latest.map((order) => {
        const row = document.createElement("tr");
        for (const [text, kind] of [[order.number], [order.customer], [order.items], [yen(order.total), "right"]]) {
          const cell = row.insertCell();
          cell.textContent = text;
          if (kind) cell.className = kind;
        }
        return row;
      }));
    } catch {
      byId("latest-state").textContent = table.dataset.failed;
    }
  },
  live() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/live/socket`);
    socket.onopen = () => state(byId("live-state"), true);
    socket.onclose = () => state(byId("live-state"), false);
    socket.onmessage = (message) => {
      const beat = JSON.parse(message.data);
      if (!beat.tick) return;
      byId("live-tick").textContent = beat.tick;
      byId("live-time").textContent = beat.time.replace("T", " ").replace("Z", "");
      byId("live-open").textContent = beat.figures.open;
    };
  },
  feed() {
    const source = new EventSource("/feed/stream");
    source.addEventListener("hello", () => state(byId("feed-state"), true));
    source.onerror = () => state(byId("feed-state"), false);
    source.addEventListener("change", (event) => {
      const line = document.createElement("li");
      line.textContent = event.data;
      byId("feed").prepend(line);
    });
  },
};

pages[document.body.dataset.page]?.();
