// What /openapi.json says, for people: every endpoint with its parameters, its body and its answers.
const $ = (id) => document.getElementById(id);

function element(tag, children = [], className = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.append(...[children].flat().filter((child) => child !== undefined));
  return node;
}

/** `text` with what stands between backticks as code, made of text nodes. */
const coded = (text = "") => text.split(/`([^`]+)`/).map((part, index) => (index % 2 ? element("code", part) : part));
const paragraphs = (text) => (text ?? "").split(/\n\n+/).filter(Boolean).map((part) => element("p", coded(part)));
const json = (value) => element("pre", typeof value === "string" ? value : JSON.stringify(value, null, 2));

function typeOf(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  return schema.format ?? schema.type ?? "any";
}

function table(heads, rows) {
  const cells = (tag, values) => element("tr", values.map((value) => element(tag, value)));
  return element("table", [element("thead", cells("th", heads)), element("tbody", rows.map((row) => cells("td", row)))], "facts");
}

function parameters(operation) {
  const rows = (operation.parameters ?? []).map((each) => [
    each.name, each.in + (each.required ? ", required" : ""), typeOf(each.schema), coded(each.description ?? each.schema?.description),
  ]);
  return rows.length ? [element("h4", "Parameters"), table(["Name", "Where", "Type", "What it is"], rows)] : [];
}

function body(operation) {
  const rows = Object.entries(operation.requestBody?.content ?? {}).map(([type, { schema }]) => {
    const fields = Object.entries(schema.properties ?? {}).map(([name, field]) => `${name}: ${field.description ?? typeOf(field)}`);
    return [type, coded(fields.join("; ") || schema.description || typeOf(schema))];
  });
  return rows.length ? [element("h4", "Body"), table(["Type", "What it is"], rows)] : [];
}

function examplesOf(content, schemas) {
  if (content.examples) return Object.values(content.examples).map((each) => each.value);
  const example = content.example ?? schemas[typeOf(content.schema)]?.example;
  return example === undefined ? [] : [example];
}

function answers(operation, schemas) {
  return Object.entries(operation.responses).map(([status, answer]) => {
    const types = Object.entries(answer.content ?? {});
    const shown = types.flatMap(([type, content]) => [element("p", type, "type"), ...examplesOf(content, schemas).map(json)]);
    return element("details", [element("summary", coded(`${status} ${answer.description}`)), ...shown]);
  });
}

function endpoint(method, path, operation, schemas) {
  const summary = element("summary", [element("code", `${method.toUpperCase()} ${path}`), " ", ...coded(operation.summary)]);
  const key = operation.security ? [element("p", "Needs a key, where the service has any.", "type")] : [];
  const parts = [...paragraphs(operation.description), ...key, ...parameters(operation), ...body(operation)];
  return element("details", [summary, ...parts, element("h4", "Answers"), ...answers(operation, schemas)], "endpoint");
}

async function show() {
  const found = await (await fetch("/openapi.json")).json();
  const endpoints = Object.entries(found.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => endpoint(method, path, operation, found.components.schemas)));
  $("version").textContent = `API, version ${found.info.version}`;
  $("endpoints").replaceChildren(...paragraphs(found.info.description), ...endpoints);
}

show().catch(() => $("endpoints").replaceChildren(element("p", "/openapi.json does not answer.", "bad")));
