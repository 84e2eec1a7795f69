import { readFile } from 'node:fs/promises';
import { ConfigError, type Problem } from '../config/config.ts';
import { isObject } from '../config/formats.ts';
import { interpolate } from '../config/interpolate.ts';
import { parseText } from '../config/parse.ts';
import { validate } from '../config/schema.ts';
import { type AdminConfig, adminSchema } from './admin.ts';

/**
 * Reads the `admin` section alone, for commands that ask a running daemon. They must work while the rest of the file is
 * being edited, and from a shell that lacks the daemon's environment.
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
    throw new ConfigError([{ file, path: '', message: `cannot be read: ${(error as Error).message}` }]);
  }
  const value = parseText(text, file, problems);
  const section = isObject(value) ? interpolate({ admin: value.admin }, { env: options.env }, problems) : {};
  const admin = (section as { readonly admin?: unknown }).admin;
  const config = validate(adminSchema(options.listen), admin, { path: 'admin', problems });
  if (problems.length > 0) throw new ConfigError(problems.map((problem) => ({ file, ...problem })));
  return config;
}
