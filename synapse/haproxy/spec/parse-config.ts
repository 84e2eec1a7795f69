import { digest } from '../../../common/digest.ts';
import { generationVariable } from './build-backend.ts';
import { fixedWordsOf, maxconnOf } from './server.ts';
import { lastValue, parseOptions } from './server-options.ts';
import type { BackendSpec } from './types.ts';

/** A server line of a file that is there already. */
export interface ParsedServer {
  readonly name: string;
  readonly address: string;
  /** The whole line without indentation, as written. */
  readonly line: string;
  readonly id: number | undefined;
  readonly weight: number | undefined;
  readonly maxconn: number | null;
  /** HAProxy starts it in maintenance. */
  readonly disabled: boolean;
  readonly fixedWords: string;
}

/** The servers of a file: those with which a HAProxy that loaded it has started. */
export interface ParsedConfig {
  readonly text: string;
  readonly generation: string | undefined;
  /** Backend → server name → line, in order. */
  readonly backends: ReadonlyMap<string, ReadonlyMap<string, ParsedServer>>;
}

/** Reads the generation and the servers of a haproxy.cfg, each when it is asked for. Takes any text and ignores the rest. */
export function parseConfig(text: string): ParsedConfig {
  let generation: { readonly value: string | undefined } | undefined;
  let backends: ParsedConfig['backends'] | undefined;
  return {
    text,
    get generation() {
      generation ??= { value: generationIn(text) };
      return generation.value;
    },
    get backends() {
      backends ??= backendsIn(text);
      return backends;
    },
  };
}

/** The value of the last `setenv` of the generation outside of a backend. */
function generationIn(text: string): string | undefined {
  for (let at = text.lastIndexOf(generationVariable); at >= 0; at = text.lastIndexOf(generationVariable, at - 1)) {
    const start = text.lastIndexOf('\n', at) + 1;
    const end = text.indexOf('\n', at);
    const [word, variable, value] = text
      .slice(start, end < 0 ? undefined : end)
      .trim()
      .split(/\s+/);
    const isSet = word === 'setenv' && variable === generationVariable && /^\s/.test(text.slice(start, start + 1));
    if (isSet && !isBackend(titleBefore(text, start))) return value;
    if (at === 0) break;
  }
  return undefined;
}

/** The title of the section that a line is in; empty before the first one. */
function titleBefore(text: string, start: number): string {
  for (let end = start - 1; end >= 0; ) {
    const begin = text.lastIndexOf('\n', end - 1) + 1;
    const line = text.slice(begin, end);
    if (/^[^\s#]/.test(line)) return line;
    end = begin - 1;
  }
  return '';
}

function isBackend(title: string): boolean {
  return /^(?:backend|listen)\s/.test(title);
}

function backendsIn(text: string): ParsedConfig['backends'] {
  const backends = new Map<string, Map<string, ParsedServer>>();
  let servers: Map<string, ParsedServer> | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (/^\S/.test(raw) && line !== '' && !line.startsWith('#')) {
      const [, name] = /^(?:backend|listen)\s+(\S+)/.exec(line) ?? [];
      servers = undefined;
      if (name !== undefined) {
        servers = new Map();
        backends.set(name, servers);
      }
    } else if (servers !== undefined && line.startsWith('server ')) {
      const server = parseServer(raw.trimStart());
      if (server !== undefined) servers.set(server.name, server);
    }
  }
  return backends;
}

function parseServer(line: string): ParsedServer | undefined {
  const [, name, address, words = ''] = /^server\s+(\S+)\s+(\S+)\s*(.*)$/.exec(line) ?? [];
  if (name === undefined || address === undefined) return undefined;
  const options = parseOptions(words);
  return {
    name,
    address,
    line,
    id: number(lastValue(options, 'id')),
    weight: number(lastValue(options, 'weight')),
    maxconn: maxconnOf(options),
    disabled: options.some(({ keyword }) => keyword === 'disabled'),
    fixedWords: fixedWordsOf(words),
  };
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : undefined;
}

/**
 * The spec of a service that the present file has: after a restart of synapse, it is the only one that is known to be
 * good. Undefined when the file is not ours or has no such backend.
 */
export function recoverBackendSpec({ text, generation }: ParsedConfig, wanted: BackendSpec): BackendSpec | undefined {
  if (generation === undefined) return undefined;
  const backend = sectionOf(text, `backend ${wanted.backend}`);
  if (backend === undefined) return undefined;
  const lines = backend.filter((line) => {
    const name = /^server\s+(\S+)/.exec(line)?.[1];
    return name === undefined || wanted.fixed.has(name);
  });
  const [, title] =
    new RegExp(
      `^(frontend ${quoted(wanted.service)}\\S*)\\n(?:\\s.*\\n)*?\\s+default_backend ${quoted(wanted.backend)}$`,
      'm',
    ).exec(text) ?? [];
  const frontend = title === undefined ? undefined : sectionOf(text, title);
  return {
    ...wanted,
    lines,
    frontend,
    shared: [],
    // A copy: servers are cached by their template.
    servers: { ...wanted.servers },
    fingerprint: digest(JSON.stringify(['recovered', wanted.backend, frontend, lines])),
  };
}

/** The lines of a section, without indentation; undefined when it is not there. */
function sectionOf(text: string, title: string): readonly string[] | undefined {
  const start = text.startsWith(`${title}\n`) ? 0 : text.indexOf(`\n${title}\n`) + 1;
  if (!text.startsWith(`${title}\n`, start)) return undefined;
  const body = text.slice(start + title.length + 1);
  const end = body.search(/^\S/m);
  return (end < 0 ? body : body.slice(0, end))
    .split('\n')
    .map((line) => line.replace(/^\t/, ''))
    .filter((line) => line.trim() !== '');
}

function quoted(name: string): string {
  return name.replace(/[.]/g, '\\.');
}
