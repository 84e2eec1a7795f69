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

/** Reads the generation and the servers of a haproxy.cfg. Takes any text and ignores the rest of it. */
export function parseConfig(text: string): ParsedConfig {
  const backends = new Map<string, Map<string, ParsedServer>>();
  let generation: string | undefined;
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
    } else if (servers === undefined && line.startsWith('setenv ')) {
      const [, variable, value] = line.split(/\s+/);
      if (variable === generationVariable) generation = value;
    }
  }
  return { text, generation, backends };
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
