import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { LineCounter, parseDocument } from 'yaml';
import { joinPath, type Problem } from './problem.ts';

/** More aliases than a hand-written file has; fewer than a 'billion laughs' attack needs. */
const maxAliasCount = 1000;

/**
 * Parses a configuration file: JSON (with comments and trailing commas) or YAML, by the file's extension, or by its first
 * character when the extension is another one. Errors go to `problems` with `file:line:column`.
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
    // Never quotes the text: an unfinished string may be a password.
    const what = printParseErrorCode(first.error)
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .toLowerCase();
    problems.push({ file: where(first.offset), path: '', message: `not valid JSON: ${what}` });
    return undefined;
  }
  return (
    tree && readNode(tree, '', (node, path, message) => problems.push({ file: where(node.offset), path, message }))
  );
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

function parseYaml(text: string, file: string, problems: Problem[]): unknown {
  const lines = new LineCounter();
  // Core schema without custom tags: the result is always plain data. `merge` allows `<<`, as in Ruby's YAML.
  const document = parseDocument(text, { lineCounter: lines, schema: 'core', merge: true, prettyErrors: false });
  for (const error of [...document.errors, ...document.warnings]) {
    const { line, col } = lines.linePos(error.pos[0]);
    problems.push({ file: `${file}:${line}:${col}`, path: '', message: `not valid YAML: ${yamlMessage(error)}` });
  }
  if (document.errors.length + document.warnings.length > 0) return undefined;
  try {
    return document.toJS({ maxAliasCount }) as unknown;
  } catch (error) {
    problems.push({ file, path: '', message: `not valid YAML: ${yamlMessage(error as Error)}` });
    return undefined;
  }
}

/** Cuts the quoted text off: a password that begins with `*` or `!` and lacks quotes is read as an alias or tag. */
function yamlMessage({ message }: Error): string {
  const hint = '$1; values that begin with * or ! need quotes';
  return message.replace(/^(Unresolved (?:alias|tag)(?: \([^)]*\))?).*$/s, hint);
}
