import type { Structure } from '../model/model.ts';
import { digest } from './digest.ts';
import type { ExistingFile } from './existing.ts';

/**
 * What the file that is there has for a service, in the form of a structure: after a restart of synapse, it is the only
 * rendering of it that is known to be good. Undefined when the file is not ours or has no such backend.
 */
export function recoverStructure({ text, generation }: ExistingFile, wanted: Structure): Structure | undefined {
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
    // An object of its own: servers are remembered by it.
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
