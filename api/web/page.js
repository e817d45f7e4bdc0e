// The page: one file goes to /predict/, a zip to /jobs; the table of jobs follows their progress.
// Where the service asks for a key, the page does, and keeps it in this tab alone; it goes into a header, never into an address.
const $ = (id) => document.getElementById(id);
const OPEN_STATES = ["queued", "planning", "running", "cancelling"];
const percent = (value) => `${(100 * value).toFixed(1)} %`;

function element(tag, text, attributes = {}) {
  const node = Object.assign(document.createElement(tag), attributes);
  if (text !== undefined) node.textContent = text;
  return node;
}

const KEY = "penpress-key";
const FAULTS = { key_unknown: "The service knows no such key.", key_revoked: "That key was revoked." };

async function send(url, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  const response = await fetch(url, { ...options, headers, cache: "no-cache" });
  if (response.status === 401 && sessionStorage.getItem(KEY) === key) askForKey((await response.clone().json()).reason);
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail ?? response.statusText), { status: response.status });
}

const request = async (url, options) => (await send(url, options)).json();

async function fetched(url) {
  return URL.createObjectURL(await (await send(url)).blob());
}

async function download(url, name) {
  const href = await fetched(url);
  element("a", undefined, { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

function askForKey(reason) {
  sessionStorage.removeItem(KEY);
  $("forget").hidden = true;
  if (reason !== "key_missing") $("key-fault").textContent = FAULTS[reason] ?? "";
  $("key-form").hidden = false;
}

function showVerdict(answer) {
  const review = answer.needs_review ? ` — please look yourself (${answer.reason.replaceAll("_", " ")})` : "";
  $("verdict").replaceChildren(
    element("div", answer.predicted_class, { className: "class" }),
    element("div", `${answer.image_name}: confidence ${percent(answer.confidence)}${review} · model ${answer.model_version}`),
  );
  fetched(answer.links.gradcam ?? answer.links.image).then((src) => {
    const picture = element("img", undefined, { src, alt: "the classified page" });
    picture.addEventListener("load", () => URL.revokeObjectURL(src));
    $("verdict").append(picture);
  }, (error) => $("verdict").append(element("div", error.message, { className: "bad" })));
}

function showMessage(text, className = "") {
  $("verdict").hidden = false;
  $("verdict").replaceChildren(element("div", text, { className }));
}

async function classify(file) {
  showMessage(`Sending ${file.name} …`);
  try {
    if (file.name.toLowerCase().endsWith(".zip")) {
      const headers = { "Content-Type": "application/zip" };
      await request(`/jobs?name=${encodeURIComponent(file.name)}`, { method: "POST", headers, body: file });
      showMessage(`${file.name} is in the queue; its progress is below.`);
      await showJobs();
    } else {
      const body = new FormData();
      body.append("file", file);
      showVerdict(await request("/predict/", { method: "POST", body }));
    }
  } catch (error) {
    showMessage(error.message, "bad");
  }
}

function cell(content) {
  const node = element("td");
  node.append(content);
  return node;
}

function link(text, href, name) {
  const node = element("a", text, { href });
  node.addEventListener("click", (event) => {
    event.preventDefault();
    download(href, name).catch((error) => showMessage(error.message, "bad"));
  });
  return node;
}

const linked = (count, href, name) => (count > 0 ? link(count, href, name) : count);

function cancelButton(job) {
  const button = element("button", "Cancel", { type: "button", disabled: job.state === "cancelling" });
  button.addEventListener("click", async () => {
    try {
      await request(`${job.links.self}/cancel`, { method: "POST" });
      await showJobs();
    } catch (error) {
      showMessage(error.message, "bad");
    }
  });
  return button;
}

function jobRow(job) {
  const row = element("tr");
  const name = element("td", job.name, { title: job.id });
  const progress = element("td");
  progress.append(element("progress", undefined, { value: job.progress, title: percent(job.progress) }));
  const results = element("td");
  results.append(link("CSV", job.links.results_csv, `${job.id}.csv`), " ", link("JSON", job.links.results, `${job.id}.json`));
  if (OPEN_STATES.includes(job.state)) results.append(" ", cancelButton(job));
  const state = element("td", job.state, { title: job.detail ?? "", className: job.state === "failed" ? "bad" : "" });
  const { handwritten, printed, needs_review, failed } = job.counts;
  const cells = [handwritten, printed, linked(needs_review, `${job.links.results}?needs_review=true`, `${job.id}-review.json`),
    linked(failed, `${job.links.results}?status=failed`, `${job.id}-failed.json`), job.images_per_second ?? "–"].map(cell);
  row.append(name, state, progress, ...cells, results);
  return row;
}

async function showJobs() {
  const { jobs } = await request("/jobs?limit=20");
  $("jobs").tBodies[0].replaceChildren(...jobs.map(jobRow));
  $("jobs").hidden = jobs.length === 0;
  $("no-jobs").hidden = jobs.length > 0;
  return jobs.some((job) => OPEN_STATES.includes(job.state));
}

async function showHealth() {
  const health = await request("/health");
  $("health").textContent = health.status === "healthy" ? `model ${health.model_version} in production` : "no model yet";
}

async function follow() {
  let busy = false;
  try {
    await showHealth();
    busy = await showJobs();
  } catch (error) {
    if (error.status === undefined) $("health").textContent = "the service does not answer";
    else if (error.status !== 401) $("no-jobs").textContent = error.message;
  }
  setTimeout(follow, busy ? 1000 : 5000);
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("key").value.trim());
  $("key").value = "";
  $("key-form").hidden = true;
  $("forget").hidden = false;
  showJobs().catch(() => {});
});
$("forget").hidden = sessionStorage.getItem(KEY) === null;
$("forget").addEventListener("click", () => {
  $("jobs").tBodies[0].replaceChildren();
  $("verdict").hidden = true;
  askForKey();
});

const drop = $("drop");
$("file").addEventListener("change", (event) => event.target.files[0] && classify(event.target.files[0]));
drop.addEventListener("keydown", (event) => event.key === "Enter" && $("file").click());
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files[0]) classify(event.dataTransfer.files[0]);
});
follow();
