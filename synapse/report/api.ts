import type { Counters, ServerStatistics } from '../haproxy/statistics/server-shape.ts';
import type { RecordedEvent } from './event-shape.ts';
import type { SentReport } from './explain/explain-shape.ts';
import type { FleetDocument } from './fleet-shape.ts';
import type { ServiceReport } from './service-shape.ts';
import type { StateReport } from './status-shape.ts';
import type { Summary } from './summary.ts';
import type { Trace } from './trace-shape.ts';

/** The documents that the admin address serves, by path: the routes make them, the commands and the live page read them. */
export interface ApiDocuments {
  readonly '/api/v1/state': StateReport;
  readonly '/api/v1/summary': SummaryDocument;
  readonly '/api/v1/service': ServiceReport;
  readonly '/api/v1/haproxy': CountersDocument;
  readonly '/api/v1/haproxy?servers=all': AllServersDocument;
  readonly '/api/v1/explain': ExplainDocument;
  readonly '/api/v1/fleet': FleetDocument;
  readonly '/api/v1/events': EventsDocument;
}

/** One line for each service, or for those that were asked for. */
export interface SummaryDocument extends Summary, Pick<StateReport, 'version' | 'reason'> {
  /** Name of the host. */
  readonly host: string;
  /** When it was made, ISO 8601. */
  readonly time: string;
}

/** HAProxy's counters of each service, and the servers of one. */
export interface CountersDocument {
  /** The service whose servers were asked for. */
  readonly service: string | null;
  /** Services that have no backend in HAProxy are left out. */
  readonly services: Readonly<Record<string, Counters>>;
  /** The servers of that service; null when none was asked for, or HAProxy does not have it. */
  readonly servers: readonly ServerStatistics[] | null;
  /** How they differ from the instances, by id; left out while that cannot be said. */
  readonly differences?: Readonly<Record<string, string>>;
}

/** HAProxy's counters and servers of every service. */
export interface AllServersDocument extends Pick<CountersDocument, 'services'> {
  readonly servers: Readonly<Record<string, readonly ServerStatistics[]>>;
}

/** The facts behind `synapse explain` that a running synapse has. */
export interface ExplainDocument extends Pick<StateReport, 'version' | 'reason' | 'haproxy'> {
  readonly service: string;
  readonly report: ServiceReport;
  readonly seen: SeenServers;
  /** The newest change of each instance, by id. */
  readonly traces: Readonly<Record<string, Trace>>;
  /** The last commands about each instance, by id. */
  readonly sent: Readonly<Record<string, readonly SentReport[]>>;
}

/** HAProxy's own servers of one service; null when HAProxy does not have it, or does not answer, which `reason` says. */
export interface SeenServers {
  readonly servers: readonly ServerStatistics[] | null;
  readonly reason: string | null;
}

/** The remembered events, or those after the one that was named. */
export interface EventsDocument {
  /** When this synapse started to record, ISO 8601. Numbers (`seq`) of another start mean nothing here. */
  readonly began: string;
  /** Number of the newest event; 0 before the first. */
  readonly last: number;
  /** Oldest first. */
  readonly events: readonly RecordedEvent[];
}
