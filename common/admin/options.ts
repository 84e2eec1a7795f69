import { readFile } from 'node:fs/promises';
import { isObject } from '../config/formats.ts';
import { interpolate } from '../config/interpolate.ts';
import { type JsonSchema, textLike } from '../config/json-values.ts';
import { ConfigError, isError, type Problem, unreadable } from '../config/problem.ts';
import type { Schema } from '../config/schema.ts';

/** The `admin` section of both daemons. */
export interface AdminConfig {
  /** `HOST:PORT`, or false for none. */
  readonly listen: string | false;
  /** Names that requests may use, besides addresses, localhost and this host's own name; `*` stands for any text. */
  readonly hosts: readonly string[];
  /** A path; false for none; null when it is not given. */
  readonly control_socket: string | false | null;
  readonly control_socket_mode: number;
}

/** What {@link optionalPath} takes. */
export const optionalPathJson: JsonSchema = { anyOf: [textLike(String.raw`\S`), { enum: [false] }] };

/** The schema of the `admin` section. `listen` is the daemon's default address; `socketDefault` describes its default socket. */
export function adminSchema(listen: string, socketDefault = 'none when not given'): Schema<AdminConfig> {
  return {
    listen: {
      doc: 'address that serves /healthz, /readyz, /metrics and /api/v1/state; false for none',
      format: 'listen',
      default: listen,
    },
    hosts: {
      doc: 'host names that requests to that address may use, such as *.internal; IP addresses, localhost and the own host name are always allowed',
      format: 'strings',
      default: [],
    },
    control_socket: {
      doc: `unix socket for commands that change something, or false; ${socketDefault}`,
      format: optionalPath,
      json: optionalPathJson,
      names: 'socket to make',
      default: null,
    },
    control_socket_mode: { doc: 'permissions of the control socket', format: 'file-mode', default: 0o600 },
  };
}

/** The format of a path or false. @throws saying what is allowed */
export function optionalPath(value: unknown): unknown {
  if (value === 'false') return false;
  if (value === null || value === false || (typeof value === 'string' && value.trim() !== '')) return value;
  throw new Error('must be a path, or false for none');
}

/**
 * Reads only the `admin` section, for commands that ask a running daemon: they must work while the rest of the file is
 * being edited, and in a shell without the daemon's environment.
 * @throws {ConfigError} when the file cannot be read or the section is wrong
 */
export async function loadAdminConfig(
  file: string,
  options: { readonly listen: string; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<AdminConfig> {
  const problems: Problem[] = [];
  let text = '';
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError([{ file, path: '', message: unreadable(error as NodeJS.ErrnoException) }]);
  }
  // Loaded here, because others use this file without reading a configuration.
  const [{ parseText }, { validate }] = await Promise.all([
    import('../config/parse.ts'),
    import('../config/schema.ts'),
  ]);
  const value = parseText(text, file, problems);
  const section = isObject(value) ? interpolate({ admin: value.admin }, { env: options.env }, problems) : {};
  const admin = (section as { readonly admin?: unknown }).admin;
  const config = validate(adminSchema(options.listen), admin, { path: 'admin', problems });
  if (problems.some(isError)) throw new ConfigError(problems.map((problem) => ({ file, ...problem })));
  return config;
}

/** Splits `HOST:PORT`; an IPv6 address may be in brackets. */
export function splitListen(listen: string): { readonly host: string; readonly port: number } {
  const colon = listen.lastIndexOf(':');
  return { host: listen.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(listen.slice(colon + 1)) };
}
