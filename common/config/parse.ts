import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  Scalar,
  visit,
  type YAMLError,
} from 'yaml';
import { joinPath, type Problem } from './problem.ts';

/** More aliases than a hand-written file has; fewer than a 'billion laughs' attack needs. */
const maxAliasCount = 1000;

/**
 * Parses a configuration file: JSON (with comments and trailing commas) or YAML, by the file's extension, or by its first
 * character when the extension is another one. SmartStack read every file as YAML: a `.json` file that is YAML and not JSON
 * is read with a warning. Problems go to `problems` with `file:line:column`; the value is undefined when one is an error in
 * the syntax.
 */
export function parseText(text: string, file: string, problems: Problem[]): unknown {
  const content = text.replace(/^\uFEFF/, '');
  return isJson(content, file) ? parseJson(content, file, problems) : parseYaml(content, file, problems);
}

function isJson(content: string, file: string): boolean {
  if (/\.json[c5]?$/i.test(file)) return true;
  if (/\.ya?ml$/i.test(file)) return false;
  return /^\s*(?:\{|\/\/|\/\*)/.test(content);
}

function parseJson(text: string, file: string, problems: Problem[]): unknown {
  if (text.trim() === '') return undefined;
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false });
  const where = (offset: number): string => {
    const before = text.slice(0, offset).split('\n');
    return `${file}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
  };
  // The parser continues after an error, and later errors mostly follow from the first one.
  const [first] = errors;
  if (first !== undefined) {
    const at = where(first.offset);
    // Never quotes the text: an unfinished string may be a password.
    const what = printParseErrorCode(first.error)
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .toLowerCase();
    return parseJsonAsYaml(text, { file, at, what }, problems);
  }
  return (
    tree && readNode(tree, '', (node, path, message) => problems.push({ file: where(node.offset), path, message }))
  );
}

/** Reads a file that is called JSON as YAML. Reports the error in the JSON when it is no YAML either. */
function parseJsonAsYaml(
  text: string,
  json: { readonly file: string; readonly at: string; readonly what: string },
  problems: Problem[],
): unknown {
  const found: Problem[] = [];
  const value = readsOtherwise(parseLines(text)) ? undefined : parseYaml(text, json.file, found);
  if (value === undefined || value === null) {
    problems.push({ file: json.at, path: '', message: `not valid JSON: ${json.what}` });
    return undefined;
  }
  const message = `not valid JSON (${json.what}) and read as YAML, as in SmartStack; a file of this kind is better called .yaml`;
  problems.push({ file: json.at, path: '', message, severity: 'warning' }, ...found);
  return value;
}

/** True for text that YAML understands in another way than its author: `1, // one` or `null "x"`. */
function readsOtherwise({ document }: ParsedYaml): boolean {
  let isStrange = false;
  visit(document, {
    Scalar(_, { type, source = '' }) {
      isStrange ||= type === Scalar.PLAIN && /["']|^\/[/*]/.test(source);
    },
  });
  return isStrange;
}

/** Replaces jsonc-parser's own `parse`, which assigns keys, so that `__proto__` would replace a prototype. */
function readNode(node: Node, path: string, report: (at: Node, path: string, message: string) => void): unknown {
  if (node.type === 'array') return (node.children ?? []).map((child, i) => readNode(child, joinPath(path, i), report));
  if (node.type !== 'object') return node.value;
  const entries = new Map<string, unknown>();
  for (const property of node.children ?? []) {
    const [key, value] = property.children ?? [];
    if (key === undefined || value === undefined) continue;
    const name = String(key.value);
    const at = joinPath(path, name);
    if (entries.has(name)) report(key, at, 'is given twice');
    entries.set(name, readNode(value, at, report));
  }
  return Object.fromEntries(entries);
}

interface ParsedYaml {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

function parseLines(text: string): ParsedYaml {
  const lineCounter = new LineCounter();
  // Core schema without custom tags: the result is always plain data. `merge` allows `<<`, as in Ruby's YAML.
  // `logLevel`: its warnings would go past the log, and quote the text.
  const options = {
    lineCounter,
    schema: 'core',
    merge: true,
    prettyErrors: false,
    uniqueKeys: false,
    logLevel: 'error',
  } as const;
  return { document: parseDocument(text, options), lines: lineCounter };
}

function parseYaml(text: string, file: string, problems: Problem[]): unknown {
  const { document, lines } = parseLines(text);
  const where = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const errors = [...document.errors, ...document.warnings];
  for (const error of errors) {
    const message = `not valid YAML: ${yamlMessage(error)}${variableHint(text, error)}`;
    problems.push({ file: where(error.pos[0]), path: '', message });
  }
  if (errors.length > 0) return undefined;
  const twice: Problem[] = [];
  reportTwice(document.contents, '', (offset, path) =>
    twice.push({ file: where(offset), path, message: 'is given twice' }),
  );
  problems.push(...twice);
  const strange = keysOfParts(document);
  if (strange !== undefined) {
    const message = 'a list or a map cannot be a key; a value that begins with { or [ needs quotes';
    problems.push({ file: where(strange), path: '', message: `not valid YAML: ${message}` });
    return undefined;
  }
  try {
    return document.toJS({ maxAliasCount }) as unknown;
  } catch (error) {
    problems.push({ file, path: '', message: `not valid YAML: ${yamlMessage(error as Error)}` });
    return undefined;
  }
}

/** Reports each key that a map has twice. */
function reportTwice(node: unknown, path: string, report: (offset: number, path: string) => void): void {
  if (isSeq(node)) for (const [index, item] of node.items.entries()) reportTwice(item, joinPath(path, index), report);
  if (!isMap(node)) return;
  const names = new Set<string>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : isAlias(key) ? `*${key.source}` : '';
    const at = joinPath(path, name);
    if (names.has(name) && name !== '<<') report(isScalar(key) ? (key.range?.[0] ?? 0) : 0, at);
    names.add(name);
    reportTwice(value, at, report);
  }
}

/** Where a key is a list or a map: a password such as `{{ a }}` without quotes reads like that. Undefined when there is none. */
function keysOfParts(document: Document.Parsed): number | undefined {
  let found: number | undefined;
  visit(document, {
    Pair(_, { key }) {
      if (isMap(key) || isSeq(key)) found ??= key.range?.[0] ?? 0;
    },
  });
  return found;
}

/**
 * Cuts off what is quoted from the file, because it may be a part of a password: one that begins with `*` or `!` and lacks
 * quotes is read as an alias or a tag. What the parser says of itself has none of these characters.
 */
function yamlMessage({ message }: Error): string {
  const [said = ''] = message.replace(/"(?=quote$)|'(?=quote$)/, '').split(/[:"'`%@\\|>]/);
  const needsQuotes = /^(?:Unresolved|Plain value|Unexpected|Block scalar header|Nested mappings)/.test(said);
  const hint = /^Unresolved/.test(said) ? 'values that begin with * or ! need quotes' : 'the value may need quotes';
  return needsQuotes ? `${said.trim()}; ${hint}` : said.trim();
}

/** Inside `[ ]` and `{ }`, the braces of a variable without quotes begin a map. */
function variableHint(text: string, { pos: [offset] }: YAMLError): string {
  const line = text.slice(text.lastIndexOf('\n', offset - 1) + 1).split('\n', 1)[0] ?? '';
  const name = /[[{,:]\s*\$\{(\w+)/.exec(line)?.[1];
  return name === undefined ? '' : `; put it in quotes: "\${${name}}"`;
}
