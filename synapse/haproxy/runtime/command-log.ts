import { clock } from '../../../common/async/clock.ts';
import { keepNewest } from '../../../common/keep-newest.ts';
import type { ServerChange } from './draft.ts';

/** The last commands for one server, with HAProxy's replies. */
export interface SentCommands {
  readonly socket: string;
  /** When they were sent, ISO 8601. */
  readonly time: string;
  /** From sending to the last reply. */
  readonly milliseconds: number;
  /** A reply is null when the connection ended before it came, and empty when HAProxy had nothing to say. */
  readonly commands: readonly { readonly command: string; readonly reply: string | null }[];
}

interface Entry {
  readonly change: ServerChange;
  readonly replies: readonly string[];
  /** The index of the first reply to this change. */
  readonly firstReply: number;
  /** `clock.wallTime()`. */
  readonly sentAt: number;
  readonly durationMs: number;
}

/** How many servers are remembered. The texts of the commands exist anyway, so a server costs some hundred bytes. */
const maxServers = 5_000;

/** The last commands for each server of one HAProxy, for people who want to know why a server has its state. */
export class CommandLog {
  readonly #socket: string;
  readonly #entries = new Map<string, Entry>();

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Records the replies to changes that were sent `durationMs` ago. The texts are made when they are asked for. */
  record(changes: readonly ServerChange[], replies: readonly string[], durationMs: number): void {
    const sentAt = clock.wallTime() - durationMs;
    let firstReply = 0;
    for (const change of changes) {
      const value = { change, replies, firstReply, sentAt, durationMs };
      keepNewest(this.#entries, keyOf(change.backend, change.name), { value, most: maxServers });
      firstReply += change.commands.length;
    }
  }

  /** The last commands for one server; undefined when there were none, or too many for other servers since. */
  of(backend: string, name: string): SentCommands | undefined {
    const entry = this.#entries.get(keyOf(backend, name));
    if (entry === undefined) return undefined;
    const { change, replies, firstReply, sentAt, durationMs } = entry;
    return {
      socket: this.#socket,
      time: new Date(sentAt).toISOString(),
      milliseconds: Math.round(durationMs * 10) / 10,
      commands: change.commands.map(({ text }, index) => ({
        command: text,
        reply: replies[firstReply + index]?.trim() ?? null,
      })),
    };
  }
}

function keyOf(backend: string, name: string): string {
  return `${backend}/${name}`;
}
