import { hasCheck } from '../spec/server-line.ts';
import type { Server, ServerTemplate } from '../spec/types.ts';
import type { CommandKind } from './reply.ts';

/** One line for the runtime API. */
export interface RuntimeCommand {
  readonly kind: CommandKind;
  readonly text: string;
}

/** Does what `init-state` does in versions that know it. HAProxy ignores the command before the server is opened. */
export function startDown(target: string, server: Server, template: ServerTemplate): readonly RuntimeCommand[] {
  if (!server.startsDown || !hasCheck(server, template, 'check')) return [];
  return [{ kind: 'state', text: `set server ${target} health down` }];
}

/** The command that opens, drains or closes `backend/server`. */
export function setState(target: string, state: 'ready' | 'drain' | 'maint'): RuntimeCommand {
  return { kind: 'state', text: `set server ${target} state ${state}` };
}
