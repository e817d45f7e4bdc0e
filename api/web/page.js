// The page: one file goes to /predict/, a zip to /jobs; the table of jobs follows their progress.
const $ = (id) => document.getElementById(id);
const OPEN_STATES = ["queued", "planning", "running", "cancelling"];
const percent = (value) => `${(100 * value).toFixed(1)} %`;

function element(tag, text, attributes = {}) {
  const node = Object.assign(document.createElement(tag), attributes);
  if (text !== undefined) node.textContent = text;
  return node;
}

async function request(url, options) {
  const response = await fetch(url, options);
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail ?? response.statusText);
  return body;
}

function showVerdict(answer) {
  const review = answer.needs_review ? ` — please look yourself (${answer.reason.replaceAll("_", " ")})` : "";
  $("verdict").replaceChildren(
    element("div", answer.predicted_class, { className: "class" }),
    element("div", `${answer.image_name}: confidence ${percent(answer.confidence)}${review} · model ${answer.model_version}`),
    element("img", undefined, { src: answer.links.gradcam ?? answer.links.image, alt: "the classified page" }),
  );
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

function linked(count, href) {
  return count > 0 ? element("a", count, { href }) : count;
}

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
  results.append(element("a", "CSV", { href: job.links.results_csv }), " ", element("a", "JSON", { href: job.links.results }));
  if (OPEN_STATES.includes(job.state)) results.append(" ", cancelButton(job));
  const state = element("td", job.state, { title: job.detail ?? "", className: job.state === "failed" ? "bad" : "" });
  const { handwritten, printed, needs_review, failed } = job.counts;
  const cells = [handwritten, printed, linked(needs_review, `${job.links.results}?needs_review=true`),
    linked(failed, `${job.links.results}?status=failed`), job.images_per_second ?? "–"].map(cell);
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
  } catch {
    $("health").textContent = "the service does not answer";
  }
  setTimeout(follow, busy ? 1000 : 5000);
}

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
