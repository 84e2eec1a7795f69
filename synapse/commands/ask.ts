import { type AdminTarget, followStream, readPath } from '../../common/admin/client.ts';
import type { ApiDocuments } from '../report/api.ts';
import type { RecordedEvent } from '../report/event-shape.ts';

/** How the running synapse is asked. */
export interface AskOptions {
  readonly query?: Readonly<Record<string, string>>;
  /** Deadline in milliseconds, default 5 s. */
  readonly timeoutMs?: number;
}

/**
 * Reads one document of the running synapse. Its type is taken on trust: the daemon's routes make what `ApiDocuments` says.
 * @throws {NotRunning} when synapse does not answer; an ordinary error when it refuses
 */
export async function ask<Path extends keyof ApiDocuments>(
  target: AdminTarget,
  path: Path,
  { query, timeoutMs }: AskOptions = {},
): Promise<ApiDocuments[Path]> {
  const full = query === undefined ? path : `${path}?${new URLSearchParams(query)}`;
  const options = { program: 'synapse', ...(timeoutMs !== undefined && { timeoutMs }) };
  return (await readPath(target, full, options)) as ApiDocuments[Path];
}

/**
 * The events after number `since`, each as soon as it happens, until `signal` aborts.
 * @throws when the stream breaks off
 */
export async function* followEvents(
  target: AdminTarget,
  since: number,
  signal: AbortSignal,
): AsyncGenerator<RecordedEvent> {
  const path = `/api/v1/events/stream?since=${since}`;
  for await (const event of followStream(target, path, { program: 'synapse' }, signal)) yield event as RecordedEvent;
}
