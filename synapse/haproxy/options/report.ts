import type { Log } from '../../../common/log.ts';
import { addedLines } from '../model/defaults.ts';
import { modernize } from '../model/oldforms.ts';
import { rewriteSections } from '../model/quirks.ts';
import type { HaproxyConfig } from './config.ts';

/** Says once what we add to the user's own lines, and what we write in another form. */
export function reportLines(config: HaproxyConfig, log: Log): void {
  const { global, defaults } = addedLines(config);
  for (const line of global) log.info('a line was added to the global section', { line });
  for (const line of defaults) log.info('a line was added to the defaults section', { line });
  for (const line of [...config.global, ...config.defaults]) {
    if (/^\s*(load-server-state-from-file\s+(global|local)|server-state-file(-base)?\s)/.test(line)) {
      log.warn('a state file brings back old weights and maintenance at each reload: better without', { line });
    }
  }
  const notes = [modernize(config.global), modernize(config.defaults), rewriteSections(config.extra_sections)];
  for (const note of notes.flatMap((each) => each.notes)) log.warn('an old form was rewritten', { note });
}
