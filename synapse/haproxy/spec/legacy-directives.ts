/** Lines in the form that a current HAProxy accepts. */
export interface Modernized {
  readonly lines: readonly string[];
  /** One sentence for each change. */
  readonly notes: readonly string[];
}

/**
 * Directive that HAProxy refuses since a version from 1.8 to 3.0 → the one with exactly the same meaning today (configuration
 * manual, "deprecated", and the release notes of those versions). Empty: it has no effect any more and is left out. With
 * `no` before an option, so has its successor.
 */
const renamed: ReadonlyMap<string, string> = new Map([
  ['clitimeout', 'timeout client'],
  ['srvtimeout', 'timeout server'],
  ['contimeout', 'timeout connect'],
  ['timeout clitimeout', 'timeout client'],
  ['timeout srvtimeout', 'timeout server'],
  ['timeout contimeout', 'timeout connect'],
  ['redisp', 'option redispatch'],
  ['redispatch', 'option redispatch'],
  ['block', 'http-request deny'],
  ['option forceclose', 'option httpclose'],
  ['option http-tunnel', ''],
  ['option http-use-htx', ''],
  ['option independant-streams', 'option independent-streams'],
  ['nbproc 1', ''],
  ['bind-process', ''],
  ['stats bind-process', ''],
  ['tune.chksize', ''],
]);

/** Directives with an argument that has another form today. */
const converted: ReadonlyMap<string, (argument: string) => string | undefined> = new Map([
  ['reqadd', (argument) => addHeader('http-request', argument)],
  ['rspadd', (argument) => addHeader('http-response', argument)],
  ['reqidel', (argument) => deleteHeader('http-request', argument)],
  ['rspidel', (argument) => deleteHeader('http-response', argument)],
]);

/**
 * Options with another name since HAProxy 3.1, which takes the older name too, but not with `no` before it. Older versions do
 * not know the newer name, so HAProxy itself has to choose (configuration manual, "conditional blocks").
 */
const renamedIn31: ReadonlyMap<string, string> = new Map([
  ['option accept-invalid-http-request', 'option accept-unsafe-violations-in-http-request'],
  ['option accept-invalid-http-response', 'option accept-unsafe-violations-in-http-response'],
]);

/** Rewrites lines that HAProxy refuses today and that have an exact successor. All others stay as they are. */
export function modernize(lines: readonly string[]): Modernized {
  const notes: string[] = [];
  const modern: string[] = [];
  for (const line of lines) {
    const successors = checkWithHeaders(line.trim()) ?? negationByVersion(line.trim()) ?? successorOf(line.trim());
    if (successors === undefined) {
      modern.push(line);
      continue;
    }
    notes.push(
      successors.length === 0
        ? `'${line}' is left out`
        : `'${line}' is written as ${successors.map((successor) => `'${successor}'`).join(' and ')}`,
    );
    modern.push(...successors);
  }
  return { lines: modern, notes };
}

/**
 * `option httpchk GET /health HTTP/1.1\\r\\nHost:\\ api` has headers after the version, which HAProxy refuses since 3.0: they
 * go to `http-check send`, which 2.2 and later know. Undefined for another line, and for one with a body.
 */
function checkWithHeaders(line: string): readonly string[] | undefined {
  const [, method, uri, version, quoted, bare] =
    /^option\s+httpchk\s+([A-Z]+)\s+((?:\\.|[^\s\\"'])+)\s+(?:(HTTP\/\d\.\d)|"(HTTP\/\d\.\d[^"]*)")((?:\\.|[^\s\\"'])*)$/.exec(
      line,
    ) ?? [];
  const text = quoted ?? `${version}${bare}`;
  if (method === undefined || !text.includes('\\r\\n')) return undefined;
  const [protocol, ...headers] = text.split('\\r\\n');
  const fields = headers.map((header) => /^([A-Za-z0-9-]+):(?:\\? )*((?:[^\\]|\\ )+)$/.exec(header));
  if (fields.includes(null)) return undefined;
  const shown = fields.map((field) => {
    const value = (field?.[2] ?? '').replace(/\\? /g, '\\ ').replaceAll('%', '%%');
    return ` hdr ${field?.[1]} ${value}`;
  });
  return ['option httpchk', `http-check send meth ${method} uri ${uri} ver ${protocol}${shown.join('')}`];
}

/** The block for an option of {@link renamedIn31} with `no`; undefined for another line. */
function negationByVersion(line: string): readonly string[] | undefined {
  const option = /^no\s+(.*)$/.exec(line)?.[1]?.replace(/\s+/g, ' ') ?? '';
  const newer = renamedIn31.get(option);
  if (newer === undefined) return undefined;
  return ['.if version_atleast(3.1)', `no ${newer}`, '.else', `no ${option}`, '.endif'];
}

/** The lines that take the place of one; undefined when it stays. */
function successorOf(line: string): readonly string[] | undefined {
  const bound = withoutProcess(line);
  if (bound !== line) return [bound];
  const [, negation = '', positive = line] = /^(no\s+)(.*)$/.exec(line) ?? [];
  const successor = positiveSuccessorOf(positive);
  if (successor === undefined) return undefined;
  if (successor === '') return [];
  if (negation === '') return [successor];
  return successor.startsWith('option ') ? [`${negation}${successor}`] : undefined;
}

/**
 * A `bind` or `stats socket` line without the process that it belongs to: there is one process since HAProxy 2.5, and 3.0
 * refuses the word. Another process than the first, and threads, have no successor.
 */
function withoutProcess(line: string): string {
  if (!/^(bind|stats\s+socket)\s/.test(line)) return line;
  return line.replace(/\s+process\s+(1|all|odd)(\/all)?(?=\s|$)/, '');
}

function positiveSuccessorOf(line: string): string | undefined {
  const [, directive = '', first = '', rest = ''] = /^(\S+)(?:\s+((?:\\.|\S)+))?\s*(.*)$/.exec(line) ?? [];
  const convert = converted.get(directive);
  if (convert !== undefined) {
    const action = convert(first);
    return action === undefined ? undefined : `${action} ${rest}`.trimEnd();
  }
  const two = renamed.get(`${directive} ${first}`);
  if (two !== undefined) return two === '' ? '' : `${two} ${rest}`.trimEnd();
  const one = renamed.get(directive);
  return one === undefined || one === '' ? one : `${one} ${first} ${rest}`.trimEnd();
}

/** `X-Proto:\ https`: a whole header line, in which spaces are escaped. */
function addHeader(kind: string, argument: string): string | undefined {
  const [, name, value] = /^([A-Za-z0-9!#$&'*+.^_`|~-]+):(?:\\ )*((?:[^\\"'$]|\\ )+)$/.exec(argument) ?? [];
  if (name === undefined || value === undefined) return undefined;
  // The successor takes a log format, in which a percent sign is special.
  return `${kind} add-header ${name} ${value.replaceAll('%', '%%')}`;
}

/** Only for a pattern that names one header and nothing else. */
function deleteHeader(kind: string, argument: string): string | undefined {
  const name = /^\^([A-Za-z0-9_-]+):(?:\.\*)?$/.exec(argument)?.[1];
  return name === undefined ? undefined : `${kind} del-header ${name}`;
}

/** A section of `extra_sections`, as it is written to the file. */
export interface ExtraSection {
  readonly title: string;
  readonly lines: readonly string[];
}

/** Sections in the form that a current HAProxy accepts. */
export interface Rewritten {
  readonly sections: readonly ExtraSection[];
  /** One sentence for each change. */
  readonly notes: readonly string[];
}

/**
 * Old forms that HAProxy refuses today and that have an exact successor: `listen stats :1937` (an address on the
 * title line, gone since 1.7) becomes a `bind` line; lines are rewritten by {@link modernize}.
 */
export function rewriteSections(sections: Readonly<Record<string, readonly string[]>>): Rewritten {
  const notes: string[] = [];
  const rewritten = Object.entries(sections).map(([title, lines]): ExtraSection => {
    const [, kind, name, address, rest = ''] =
      /^\s*(listen|frontend)\s+(\S+)\s+(\S*:[0-9][0-9,:.-]*|unix@\S+|\/\S+)\s*(.*)$/.exec(title) ?? [];
    const modern = modernize(lines);
    notes.push(...modern.notes);
    if (kind === undefined || address === undefined) return { title, lines: modern.lines };
    notes.push(`'${title}' is written as '${kind} ${name}' with 'bind ${address}'`);
    return { title: `${kind} ${name}`, lines: [`bind ${address}${rest === '' ? '' : ` ${rest}`}`, ...modern.lines] };
  });
  return { sections: rewritten, notes };
}
