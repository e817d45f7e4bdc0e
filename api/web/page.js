// The page: an image goes to /predict/; a zip, PDF or TIFF, which may have many pages, and several files at once go to /jobs,
// whose table follows the progress.
// Where the service asks for a key, the page does, and keeps it in this tab alone; it goes into a header, never into an address.
import { REASONS } from "./reasons.js";

const $ = (id) => document.getElementById(id);
const OPEN_STATES = ["queued", "planning", "running", "cancelling"];
const BATCH = { names: /\.(zip|pdf|tiff?)$/i, types: ["application/zip", "application/pdf", "image/tiff"] };
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
  $("key-kept").hidden = true;
  $("jobs-section").hidden = true;
  if (reason !== "key_missing") $("key-fault").textContent = FAULTS[reason] ?? "";
  $("key-form").hidden = false;
}

function showVerdict(answer, file) {
  const review = answer.needs_review ? ` — please look yourself: ${REASONS[answer.reason] ?? answer.reason}` : "";
  $("verdict").replaceChildren(
    element("div", answer.predicted_class, { className: "class" }),
    element("div", `${answer.image_name}: confidence ${percent(answer.confidence)}${review} · model ${answer.model_version}`),
  );
  if (answer.pages > 1) $("verdict").append(`This is page 1 of ${answer.pages}. `, actionButton("Send all pages as a job", () => submit(file)));
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

function formOf(field, files) {
  const form = new FormData();
  for (const file of files) form.append(field, file);
  return form;
}

const isZip = (file) => file.name.toLowerCase().endsWith(".zip") || file.type === "application/zip";
const isBatch = (file) => BATCH.names.test(file.name) || BATCH.types.includes(file.type);

async function submit(...files) {
  const [file] = files;
  const name = files.length === 1 ? file.name : `${file.name} and ${files.length - 1} more`;
  const isArchive = files.length === 1 && isZip(file);
  const sent = isArchive ? { headers: { "Content-Type": "application/zip" }, body: file } : { body: formOf("files", files) };
  await request(`/jobs?name=${encodeURIComponent(name)}`, { method: "POST", ...sent });
  showMessage(`${name} ${files.length === 1 ? "is" : "are"} in the queue, with all pages; the progress is below.`);
  await showJobs();
}

async function classify(files) {
  const [file] = files;
  if (!file) return;
  showMessage(`Sending ${files.length === 1 ? file.name : `${files.length} files`} …`);
  try {
    if (files.length > 1 || isBatch(file)) await submit(...files);
    else showVerdict(await request("/predict/", { method: "POST", body: formOf("file", [file]) }), file);
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

function actionButton(label, act) {
  const button = element("button", label, { type: "button" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      showMessage(error.message, "bad");
    }
    button.disabled = false;
  });
  return button;
}

function jobButton(label, job, action) {
  return actionButton(label, async () => {
    await request(`${job.links.self}/${action}`, { method: "POST" });
    await showJobs();
  });
}

function nameCell(job) {
  const name = element("td", job.name, { title: job.name });
  // An id begins with the time, which jobs of the same minute share; its end tells them apart.
  name.append(element("div", `…${job.id.slice(-8)}`, { className: "faint", title: job.id }));
  return name;
}

function createdCell(job) {
  const text = new Date(job.created_at).toLocaleString(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  return cell(element("time", text, { dateTime: job.created_at, title: job.created_at }));
}

function stateCell(job) {
  const title = [job.reason, job.detail].filter(Boolean).join(": ");
  return element("td", job.state, { title, className: job.state === "failed" ? "bad" : "" });
}

function resultsCell(job, wasRetried) {
  const results = element("td");
  results.append(link("CSV", job.links.results_csv, `${job.id}.csv`), " ", link("JSON", job.links.results, `${job.id}.json`));
  const isOpen = OPEN_STATES.includes(job.state);
  if (isOpen && job.state !== "cancelling") results.append(" ", jobButton("Cancel", job, "cancel"));
  if (!isOpen && job.state !== "expired" && job.counts.failed > 0 && !wasRetried) results.append(" ", jobButton("Try again", job, "retry"));
  return results;
}

function jobRow(job, wasRetried) {
  const row = element("tr");
  const progress = cell(element("progress", undefined, { value: job.progress, title: percent(job.progress) }));
  const { handwritten, printed, needs_review, failed } = job.counts;
  const cells = [handwritten, printed, linked(needs_review, `${job.links.results}?needs_review=true`, `${job.id}-review.json`),
    linked(failed, `${job.links.results}?status=failed`, `${job.id}-failed.json`), job.images_per_second?.toFixed(1) ?? "–"].map(cell);
  row.append(nameCell(job), createdCell(job), stateCell(job), progress, ...cells, resultsCell(job, wasRetried));
  return row;
}

function showInsteadOfJobs(text) {
  $("jobs-section").hidden = false;
  $("no-jobs").textContent = text;
}

async function showJobs() {
  const key = sessionStorage.getItem(KEY);
  const { jobs } = await request("/jobs?limit=20");
  if (sessionStorage.getItem(KEY) !== key) return true; // they are another's now
  const retried = new Set(jobs.filter((job) => job.state !== "cancelled").map((job) => job.retry_of));
  $("jobs").tBodies[0].replaceChildren(...jobs.map((job) => jobRow(job, retried.has(job.id))));
  $("jobs-box").hidden = jobs.length === 0;
  showInsteadOfJobs(jobs.length === 0 ? "No jobs yet." : "");
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
    else if (error.status !== 401) showInsteadOfJobs(error.message);
  }
  setTimeout(follow, busy ? 1000 : 5000);
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("key").value.trim());
  $("key").value = "";
  $("key-form").hidden = true;
  $("key-kept").hidden = false;
  showJobs().catch(() => {});
});
$("key-kept").hidden = sessionStorage.getItem(KEY) === null;
$("forget").addEventListener("click", () => {
  $("jobs").tBodies[0].replaceChildren();
  $("verdict").hidden = true;
  askForKey();
});

const drop = $("drop");
$("file").addEventListener("change", async (event) => {
  await classify([...event.target.files]);
  event.target.value = ""; // or the same file again would be no change
});
drop.addEventListener("keydown", (event) => event.key === "Enter" && $("file").click());
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  classify([...event.dataTransfer.files]);
});
follow();
