import { generationVariable } from '../model/defaults.ts';
import { lastValue, parseOptions } from '../model/keywords.ts';
import { fixedWordsOf, maxconnOf } from '../model/server.ts';

/** A server line of a file that is there already. */
export interface ExistingServer {
  readonly name: string;
  readonly address: string;
  /** The whole line without indentation, as written. */
  readonly line: string;
  readonly id: number | undefined;
  readonly weight: number | undefined;
  readonly maxconn: number | null;
  readonly fixedWords: string;
}

/** What a file says about servers: what the HAProxy that loaded it started with. */
export interface ExistingFile {
  readonly text: string;
  readonly generation: string | undefined;
  /** Backend → server name → line, in order. */
  readonly backends: ReadonlyMap<string, ReadonlyMap<string, ExistingServer>>;
}

/** Reads a haproxy.cfg as far as we need it. Takes any text: what it does not know, it leaves out. */
export function parseExisting(text: string): ExistingFile {
  const backends = new Map<string, Map<string, ExistingServer>>();
  let generation: string | undefined;
  let servers: Map<string, ExistingServer> | undefined;
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

function parseServer(line: string): ExistingServer | undefined {
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
    fixedWords: fixedWordsOf(words),
  };
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : undefined;
}
