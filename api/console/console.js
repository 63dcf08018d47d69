// The console: search, read in context, explain, follow live. Talks to the API of its own server and nothing else.
// Every text from a message goes in as text (never as markup), so nothing in it can act.

const KEY = "telesift-key";
const $ = (id) => document.getElementById(id);

/** An element with properties and children; strings become text nodes. */
function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((c) => c !== null && c !== undefined));
  return element;
}

class ApiError extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.title ?? "the server did not answer");
    this.problem = problem;
  }
}

async function api(method, path, body) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError({ detail: "The server cannot be reached." });
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError({ status: response.status, ...answer });
  return answer;
}

// ---- Filters ----

function classes() {
  return [...document.querySelectorAll("input[name=class]:checked")].map((c) => c.value);
}

function filterParams() {
  const params = new URLSearchParams();
  for (const value of classes()) params.append("class", value);
  if ($("lang").value) params.append("lang", $("lang").value);
  if ($("chat").value) params.append("chat", $("chat").value);
  return params;
}

function filterBody() {
  const filter = { classes: classes() };
  if ($("lang").value) filter.langs = [$("lang").value];
  if ($("chat").value) filter.chats = [$("chat").value];
  return filter;
}

// ---- Messages ----

const CLASS_NAMES = { signal: "signal", weak_signal: "weak signal", noise: "noise" };
const time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** The text with its highlights. Offsets count code points, so the text is split into those. */
function marked(text, highlights = []) {
  if (!highlights.length) return [text];
  const points = [...text];
  const parts = [];
  let at = 0;
  for (const { start, end } of highlights) {
    parts.push(points.slice(at, start).join(""), h("mark", {}, points.slice(start, end).join("")));
    at = end;
  }
  parts.push(points.slice(at).join(""));
  return parts;
}

/** A link only where it leads to Telegram: nothing else is ever put into an address. */
function telegramLink(message) {
  return message.deep_link?.startsWith("https://t.me/") ? message.deep_link : null;
}

/** The class that counts: an analyst's own before the screen's. */
function classOf(message) {
  return message.label?.class ?? message.screen?.class ?? "noise";
}

function flagsOf(message) {
  const flags = message.screen?.flags ?? [];
  const said = message.label?.spam;
  if (said === true && !flags.includes("spam")) return [...flags, "spam"];
  return said === false ? flags.filter((flag) => flag !== "spam") : flags;
}

function labelBadge({ label }) {
  if (!label) return null;
  const parts = [CLASS_NAMES[label.class], label.spam === true ? "spam" : label.spam === false ? "no spam" : null];
  const when = time.format(new Date(label.at));
  return h("span", { class: "badge label", dir: "auto", title: `label by ${label.by}, ${when}` }, `labelled ${parts.filter(Boolean).join(", ")}`);
}

function card(message, { highlights, score, here = false, live = false, detail = true } = {}) {
  const screen = message.screen ?? { class: "noise", score: 0, flags: [] };
  const link = telegramLink(message);
  const text = message.text || message.media?.description || `(${message.kind})`;
  const actions = h("span", { class: "actions" });
  if (detail) {
    actions.append(
      h("button", { type: "button", onclick: (e) => { e.stopPropagation(); showContext(message); } }, "context"),
      h("button", { type: "button", onclick: (e) => { e.stopPropagation(); showExplanation(message); } }, "why?"),
    );
  }
  if (link) actions.append(h("a", { href: link, target: "_blank", rel: "noopener noreferrer", onclick: (e) => e.stopPropagation() }, "Telegram"));
  const name = classOf(message);
  const element = h("li", { class: `message ${name}${here ? " here" : ""}${live ? " fresh" : ""}`, tabindex: "0" },
    h("div", { class: "meta" },
      h("span", { class: `badge ${name}`, title: `score ${screen.score.toFixed(2)}, screened as ${CLASS_NAMES[screen.class] ?? screen.class}` }, `${CLASS_NAMES[name] ?? name} ${screen.score.toFixed(2)}`),
      labelBadge(message),
      h("b", { dir: "auto" }, message.chat.title ?? message.chat.id),
      h("span", { dir: "auto" }, message.author?.name ?? ""),
      h("time", { datetime: message.event_time }, time.format(new Date(message.event_time))),
      ...flagsOf(message).map((flag) => h("span", { class: "badge flag" }, flag)),
      score === undefined ? null : h("span", { title: "rank score" }, `rank ${score.toFixed(3)}`),
      actions),
    h("p", { class: "text folded", dir: "auto", lang: message.lang === "und" ? "" : message.lang }, ...marked(text, highlights)));
  const body = element.querySelector(".text");
  requestAnimationFrame(() => body.classList.toggle("folded", body.scrollHeight > body.clientHeight + 4));
  if (detail) element.addEventListener("click", () => { if (!String(getSelection())) showContext(message); });
  element.message = message;
  return element;
}

// ---- Search and list ----

let next = null; // fetches the next page
let round = 0; // a late answer of an earlier question is dropped

function say(text) { $("status").textContent = text; }

async function ask() {
  const mine = ++round;
  const query = $("query").value.trim();
  stopLive();
  say("…");
  $("more").hidden = true;
  if (!classes().length) {
    $("list").replaceChildren();
    return say("Choose at least one class.");
  }
  const page = query ? searchPage(query) : listPage();
  try {
    await page(mine, true);
  } catch (error) {
    if (mine === round) fail(error);
  }
}

function searchPage(query) {
  let cursor;
  return async function page(mine, first = false) {
    const body = cursor ? { cursor, limit: 30 } : { query, mode: $("mode").value, filter: filterBody(), limit: 30 };
    const answer = await api("POST", "/v1/search", body);
    if (mine !== round) return;
    const cards = answer.hits.map((hit) => card(hit.message, hit));
    first ? $("list").replaceChildren(...cards) : $("list").append(...cards);
    const shown = $("list").children.length;
    const words = answer.degraded ? " (words only: the vectors are unavailable)" : "";
    say(shown ? `${shown}${answer.next_cursor ? "+" : ""} hits · ${answer.took_ms} ms${words}` : "Nothing found. Fewer words, or another class?");
    cursor = answer.next_cursor;
    next = cursor ? () => page(mine) : null;
    $("more").hidden = !next;
  };
}

function listPage() {
  let cursor;
  return async function page(mine, first = false) {
    const params = filterParams();
    params.set("limit", "50");
    if (cursor) params.set("cursor", cursor);
    const answer = await api("GET", `/v1/messages?${params}`);
    if (mine !== round) return;
    const cards = answer.items.map((message) => card(message));
    first ? $("list").replaceChildren(...cards) : $("list").append(...cards);
    say($("list").children.length ? "Newest first" : "No messages yet. Import an export, or add a bot.");
    cursor = answer.next_cursor;
    next = cursor ? () => page(mine) : null;
    $("more").hidden = !next;
  };
}

function fail(error) {
  if (error.problem?.status === 401) return signOut("This key does not work (any more).");
  say("");
  $("status").replaceChildren(h("span", { class: "error" }, error.message));
}

// ---- Details ----

function openSide(title, ...body) {
  $("side-title").textContent = title;
  $("side-body").replaceChildren(...body);
  $("side").hidden = false;
  $("desk").classList.add("with-side");
}

function closeSide() {
  $("side").hidden = true;
  $("desk").classList.remove("with-side");
}

async function showContext(message) {
  try {
    const answer = await api("GET", `/v1/messages/${encodeURIComponent(message.id)}/context?before=8&after=8`);
    const list = h("ol", { class: "context" }, ...answer.items.map((m) => (m.id === message.id ? labelled(m) : card(m, { detail: false }))));
    list.style.listStyle = "none";
    list.style.padding = "0";
    openSide("Context", list);
    list.querySelector(".here")?.scrollIntoView({ block: "center" });
  } catch (error) {
    fail(error);
  }
}

// ---- Labels ----

const LABELS = [["signal", { class: "signal" }], ["weak", { class: "weak_signal" }], ["noise", { class: "noise" }], ["spam", { spam: true }], ["no spam", { spam: false }]];

/** The message read in context, with buttons to label it; the one pressed takes the label back. */
function labelled(message) {
  const element = card(message, { here: true, detail: false });
  const error = h("span", { class: "error" });
  const give = async (change) => {
    try {
      const { label } = await api("POST", "/v1/feedback", { message: message.id, edit: message.edit, ...change });
      message.label = label;
      element.replaceWith(labelled(message));
      for (const shown of $("list").querySelectorAll(".message")) if (shown.message?.id === message.id) relabel(shown, label);
    } catch (failure) {
      error.textContent = failure.message;
    }
  };
  element.append(h("div", { class: "labels", role: "group", "aria-label": "Label" }, "Label:", ...LABELS.map(([name, change]) => {
    const [[field, value]] = Object.entries(change);
    const pressed = message.label?.[field] === value;
    return h("button", { type: "button", "aria-pressed": String(pressed), title: pressed ? "Take back" : `Label: ${name}`, onclick: () => give({ [field]: pressed ? null : value }) }, name);
  }), error));
  return element;
}

/** The card in the list shows the new label; it stays where it is until the next question. */
function relabel(shown, label) {
  shown.message.label = label;
  const fresh = card(shown.message);
  const text = shown.querySelector(".text");
  fresh.querySelector(".text").replaceWith(text); // with its highlights
  shown.replaceWith(fresh);
}

const number = (x) => (x ?? 0).toFixed(3);

async function showExplanation(message) {
  try {
    const answer = await api("GET", `/v1/messages/${encodeURIComponent(message.id)}/explain`);
    const origin = answer.origin && `${answer.origin.topic}/${answer.origin.partition}@${answer.origin.offset}`;
    const parts = [h("p", {}, "Raw record ", h("code", {}, origin ?? "unknown"), ", rules ", h("code", {}, answer.rules ?? "?"))];
    if (answer.note) parts.push(h("p", { class: "hint" }, answer.note));
    if (answer.recomputed) {
      const rows = answer.factors.filter((f) => f.contribution !== 0).map((f) => h("tr", {},
        h("td", { title: (f.evidence ?? []).join(", ") }, f.name),
        h("td", { class: "n" }, number(f.value)), h("td", { class: "n" }, number(f.weight)),
        h("td", { class: `n ${f.contribution > 0 ? "up" : "down"}` }, number(f.contribution))));
      const head = h("tr", {}, h("th", {}, "factor"), ...["value", "weight", "logits"].map((name) => h("th", { class: "n" }, name)));
      const sum = h("tr", {}, h("td", {}, h("b", {}, "sum")), h("td"), h("td"), h("td", { class: "n" }, h("b", {}, number(answer.logit))));
      const { score, class: name } = answer.recomputed;
      parts.push(h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows, sum)), h("p", {}, `Score ${number(score)}: ${CLASS_NAMES[name] ?? name}`));
    } else {
      parts.push(h("p", { class: "hint" }, "The raw record is not kept any more."));
    }
    parts.push(h("table", {}, h("tbody", {}, ...answer.stages.map((s) => h("tr", {},
      h("td", {}, s.stage), h("td", {}, s.outcome),
      h("td", {}, s.output ? h("code", {}, `${s.output.topic}/${s.output.partition}@${s.output.offset}`) : ""))))));
    openSide("Why this class?", ...parts);
  } catch (error) {
    fail(error);
  }
}

// ---- Live ----

let live = null; // { socket, cursor, timer, pause }

function showLive(state, label) {
  $("live").setAttribute("aria-pressed", String(live !== null));
  $("live").classList.toggle("waiting", state === "waiting");
  $("live-label").textContent = label;
}

async function startLive() {
  round++;
  next = null;
  $("more").hidden = true;
  $("list").replaceChildren();
  live = { cursor: "latest", pause: 500 };
  say("Following. New messages appear on top.");
  connect(live);
}

function stopLive() {
  if (!live) return;
  const { socket, timer } = live;
  live = null;
  clearTimeout(timer);
  socket?.close();
  showLive("off", "Live");
}

async function connect(mine) {
  showLive("waiting", "connecting");
  try {
    const { ticket } = await api("POST", "/v1/tickets", {});
    if (live !== mine) return;
    const params = filterParams();
    params.set("from", mine.cursor);
    params.set("ticket", ticket);
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/topics/messages/tail?${params}`);
    mine.socket = socket;
    socket.onmessage = (event) => { if (live === mine) frame(mine, JSON.parse(event.data)); };
    socket.onclose = (event) => again(mine, event.reason);
  } catch (error) {
    if (live !== mine) return;
    const status = error.problem?.status;
    if (status >= 400 && status < 500 && status !== 429) {
      stopLive();
      return fail(error);
    }
    again(mine, error.message);
  }
}

/** Reconnects with the last cursor: nothing is missed, nothing comes twice. */
function again(mine, reason) {
  if (live !== mine) return;
  showLive("waiting", "reconnecting");
  if (reason) say(reason);
  mine.timer = setTimeout(() => connect(mine), mine.pause);
  mine.pause = Math.min(mine.pause * 2, 10000);
}

const MOST_LIVE = 300;

function frame(mine, frame) {
  mine.cursor = frame.cursor;
  mine.pause = 500;
  if (frame.type === "heartbeat") {
    showLive("on", "Live");
  } else if (frame.type === "gap") {
    $("list").prepend(h("li", { class: "message" }, `Offsets ${frame.from} to ${frame.to - 1} of partition ${frame.partition} cannot be read any more (${frame.reason}).`));
  } else if (frame.data) {
    const list = $("list");
    list.prepend(card(frame.data, { live: true }));
    while (list.children.length > MOST_LIVE) list.lastElementChild.remove();
    say(`Following: ${list.children.length} shown`);
  }
}

// ---- Key and start ----

async function start() {
  const key = sessionStorage.getItem(KEY);
  $("sign-in").hidden = Boolean(key);
  $("desk").hidden = !key;
  $("sign-out").hidden = !key;
  $("search").hidden = !key;
  $("live").hidden = !key;
  if (!key) return $("key").focus();
  try {
    const chats = [];
    for (let cursor = ""; cursor !== null && chats.length < 2000;) {
      const page = await api("GET", `/v1/chats?limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      chats.push(...page.items);
      cursor = page.next_cursor;
    }
    $("chat").replaceChildren(h("option", { value: "" }, "all"),
      ...chats.map((c) => h("option", { value: c.id }, `${c.title ?? c.id} (${c.n_messages})`)));
  } catch (error) {
    return fail(error);
  }
  $("query").focus();
  ask();
}

function signOut(message = "") {
  stopLive();
  sessionStorage.removeItem(KEY);
  $("list").replaceChildren();
  closeSide();
  $("key-error").textContent = message;
  start();
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("key").value.trim());
  $("key").value = "";
  $("key-error").textContent = "";
  start();
});
$("search").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
$("sign-out").addEventListener("click", () => signOut());
$("side-close").addEventListener("click", closeSide);
$("live").addEventListener("click", () => (live ? ask() : startLive()));
$("more").addEventListener("click", async () => {
  $("more").hidden = true;
  try { await next?.(); } catch (error) { fail(error); }
});
for (const id of ["lang", "chat", "mode"]) $(id).addEventListener("change", refresh);
for (const box of document.querySelectorAll("input[name=class]")) box.addEventListener("change", refresh);

function refresh() {
  if (!live) return ask();
  stopLive();
  startLive();
}

function step(by) {
  const cards = [...$("list").querySelectorAll(".message")];
  const at = cards.indexOf(document.activeElement?.closest?.("#list > .message"));
  const to = cards[Math.max(0, Math.min(cards.length - 1, at < 0 ? 0 : at + by))];
  to?.focus();
  to?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return closeSide();
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || $("desk").hidden) return;
  const current = document.activeElement?.closest?.("#list > .message")?.message;
  // By place on the keyboard, so that they work with a Cyrillic layout too.
  const actions = {
    Slash: () => $("query").focus(),
    KeyJ: () => step(1),
    KeyK: () => step(-1),
    KeyE: () => current && showExplanation(current),
    KeyO: () => current && telegramLink(current) && open(telegramLink(current), "_blank", "noopener"),
    KeyL: () => $("live").click(),
  };
  if (event.key === "Enter" && current && event.target.matches(".message")) actions.Enter = () => showContext(current);
  const action = actions[event.key === "Enter" ? "Enter" : event.code];
  if (!action) return;
  event.preventDefault();
  action();
});

start();
