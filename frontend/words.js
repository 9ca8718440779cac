// Where one is in a YAML text, and what the schema says about that place. Nothing of the page is known here.

const KEY = /^(\s*)((?:- +)*)([\w.]+):/;

/** Return the keys above a place, outermost first; `before` is the place's own line as far as it goes. */
export function keysAt(doc, number, before) {
  const found = [];
  let depth = before.match(/^\s*(?:- +)*/)[0].length;
  const opened = [...before.matchAll(/([\w.]+):\s*[{[]/g)].map((one) => one[1]);
  const closed = (before.match(/[}\]]/g) ?? []).length;
  const flow = opened.slice(0, Math.max(opened.length - closed, 0));
  const own = before.match(KEY);
  if (own && flow.length && flow[0] !== own[3]) flow.unshift(own[3]);
  for (let line = number - 1; line >= 1 && depth > 0; line -= 1) {
    const text = doc.line(line).text;
    if (text.startsWith("---")) break;
    const key = text.match(KEY);
    if (!key) continue;
    const at = key[1].length + key[2].length;
    if (at < depth) {
      found.unshift(key[3]);
      depth = key[2] ? key[1].length + 1 : at; // what holds a list's item stands left of its dash, or right above it
    }
  }
  return [...found, ...flow];
}

function opened(root, schema, seen = new Set()) {
  if (!schema || typeof schema !== "object" || seen.has(schema)) return [];
  seen.add(schema);
  const named = schema.$ref?.startsWith("#/") ? schema.$ref.slice(2).split("/").reduce((one, step) => one?.[step], root) : null;
  const inner = [named, schema.items, schema.then, schema.else, ...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  return [schema, ...inner.flatMap((one) => opened(root, one, seen))];
}

/** Return the schemas that may stand at a path. */
export function within(root, path) {
  let found = opened(root, root);
  for (const key of path) {
    const next = found.flatMap((one) => one.properties?.[key] ?? (typeof one.additionalProperties === "object" ? one.additionalProperties : []));
    found = next.flatMap((one) => opened(root, one));
  }
  return found;
}

/** Return what the schema says a path means. */
export function meaning(root, path) {
  return within(root, path).find((one) => one.description)?.description ?? "";
}
