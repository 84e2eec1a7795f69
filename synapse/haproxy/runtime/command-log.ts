import { clock } from '../../../common/async/clock.ts';
import { keepNewest } from '../../../common/daemon/journal.ts';
import type { ServerChange } from './plan.ts';

/** The last commands about one server, as HAProxy answered them. */
export interface Sent {
  readonly socket: string;
  /** When they were sent, ISO 8601. */
  readonly time: string;
  /** Until the replies were there. */
  readonly milliseconds: number;
  /** A reply is null when the connection ended first, and empty where HAProxy had nothing to say. */
  readonly commands: readonly { readonly command: string; readonly reply: string | null }[];
}

interface Kept {
  readonly change: ServerChange;
  readonly replies: readonly string[];
  /** Where the replies to this change begin. */
  readonly from: number;
  readonly at: number;
  readonly milliseconds: number;
}

/** How many servers are remembered; the text of their commands is there anyway, so each costs some hundred bytes. */
const most = 5_000;

/** What was sent last about each server of one HAProxy, for who asks why it is as it is. */
export class CommandLog {
  readonly #socket: string;
  readonly #kept = new Map<string, Kept>();

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Notes the replies to changes that were sent `milliseconds` ago. Nothing is put together until somebody asks. */
  note(changes: readonly ServerChange[], replies: readonly string[], milliseconds: number): void {
    const at = clock.wallTime() - milliseconds;
    let from = 0;
    for (const change of changes) {
      const value = { change, replies, from, at, milliseconds };
      keepNewest(this.#kept, keyOf(change.backend, change.name), { value, most });
      from += change.commands.length;
    }
  }

  of(backend: string, name: string): Sent | undefined {
    const kept = this.#kept.get(keyOf(backend, name));
    if (kept === undefined) return undefined;
    const { change, replies, from, at, milliseconds } = kept;
    return {
      socket: this.#socket,
      time: new Date(at).toISOString(),
      milliseconds: Math.round(milliseconds * 10) / 10,
      commands: change.commands.map(({ text }, index) => ({
        command: text,
        reply: replies[from + index]?.trim() ?? null,
      })),
    };
  }
}

function keyOf(backend: string, name: string): string {
  return `${backend}/${name}`;
}
