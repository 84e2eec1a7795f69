import type { OutputInstance } from '../../output.ts';

/** What all servers of one service have in common, and the text around them. Immutable; changing it takes a reload. */
export interface BackendSpec {
  readonly service: string;
  /** Name of the backend in HAProxy. */
  readonly backend: string;
  /** The frontend is called after the service, with this at the end. */
  readonly suffix: string;
  /** The port of `reload_free_services` that leads to the backend; undefined when the service has a frontend of its own. */
  readonly poolPort?: number;
  /** Lines of the frontend without indentation; undefined when the service has no port. */
  readonly frontend: readonly string[] | undefined;
  /** Lines of the backend before its servers, without indentation. */
  readonly lines: readonly string[];
  /** Lines this service adds to the shared frontend. */
  readonly shared: readonly string[];
  readonly servers: ServerTemplate;
  /** The servers that the configuration names in the backend's lines. synapse does not touch them. */
  readonly fixed: ReadonlySet<string>;
  /** The backend's balance algorithm accepts other servers and weights at run time. */
  readonly dynamic: boolean;
  /** Equal for two specs that make the same text and the same servers. */
  readonly fingerprint: string;
}

/** How one service's instances become servers. */
export interface ServerTemplate {
  /** `server_options`, with its placeholders. */
  readonly options: string;
  /** What a server's cookie is made of; `dynamic`: HAProxy makes it, and a cookie on the server's line would stop that. */
  readonly cookie: 'name' | 'hash' | 'dynamic' | 'none';
  /** The backend has a `cookie` line, so a server's cookie has a meaning there. */
  readonly persistence: boolean;
  /** Where a server added at run time lacks its cookie, the reload that gives it one adds the server. */
  readonly waitsForCookie: boolean;
  readonly order: 'asc' | 'desc' | 'discovered' | 'shuffled';
  /** Registry weights: always, only where server_options has none, never. */
  readonly weights: 'always' | 'default' | 'never';
  readonly trusted: ReadonlySet<string>;
  /** HAProxy does not know `init-state`: the file is without it, and a command does the same when a server is opened. */
  readonly withoutInitState?: true;
  /** The seed of the stable shuffle. */
  readonly seed: string;
  /** Words of all `default-server` lines that apply, in order: HAProxy does not apply them to servers added at run time. */
  readonly inherited: readonly string[];
}

/** One instance as a server of one backend. Immutable; the same object for the same instance and template. */
export interface Server {
  readonly instance: OutputInstance;
  /** The instance's id: a function of its address, so an address never changes under a name. */
  readonly name: string;
  /** `host:port` as HAProxy reads it; IPv6 without brackets. */
  readonly address: string;
  /** A host name instead of an address: HAProxy resolves names only when it loads its file. */
  readonly named: boolean;
  /** `closed`: drained, and in maintenance, because persistence would send clients to a server that is only drained. */
  readonly state: 'ready' | 'drain' | 'closed';
  readonly cookie: string | undefined;
  /** server_options and the accepted options of the record, without its `id`, and without weight where `weight` replaces it. */
  readonly options: string;
  /** What HAProxy is to use, 0..256: of the record, of the options, or HAProxy's own default of 1. */
  readonly weight: number;
  /** Its own `maxconn`; null where it has none, or one that goes with a `minconn` and cannot change alone. */
  readonly maxconn: number | null;
  /** Whether `weight` has to be written, or follows from the options already. */
  readonly weighted: boolean;
  readonly backup: boolean;
  /** Where HAProxy does not know `init-state`: it is to be down until it has passed a check. */
  readonly startsDown: boolean;
  /** The `id` among the record's options. The server gets it unless another server has it. */
  readonly askedId: number | undefined;
  /** Position in the stable shuffle. */
  readonly rank: number;
  /** Everything of the server that HAProxy cannot change at run time, in a form that a line of the file gives too. */
  readonly fixedWords: string;
  /** The options of this record that are not used, each with the reason, for people. */
  readonly dropped: readonly string[];
}

/** A server as it runs, and what we know about how it came to be so. Immutable; replaced when it changes. */
export interface RunningServer {
  readonly name: string;
  readonly id: number;
  /** `host:port`; the host name where HAProxy resolved one. */
  readonly address: string;
  /** `host:port` with the IP address that HAProxy found, where it resolved a host name. */
  readonly resolved?: string | undefined;
  /** In maintenance by command (HAProxy's SRV_ADMF_FMAINT). */
  readonly maintenance: boolean;
  /** Drained by command (SRV_ADMF_FDRAIN). */
  readonly drained: boolean;
  /** Out of service by HAProxy's own check. */
  readonly failing: boolean;
  /** Without new traffic for a reason that is neither a command nor a failed check. */
  readonly withheld: boolean;
  /** HAProxy checks it, or asks its agent. */
  readonly checked: boolean;
  readonly weight: number;
  /** The last weight that came from us: in the file it loaded, or by command. */
  readonly ourWeight: number;
  /**
   * The last {@link Server.maxconn} that came from us, which HAProxy tells only in its statistics; undefined when it is not
   * known, NaN when it has to be set again.
   */
  readonly maxconn: number | null | undefined;
  /** synapse has set maintenance or drain, or may have: the reply to a command was lost. */
  readonly ours: boolean;
  /** {@link Server.fixedWords} with which it was added; undefined when they are not known any more. */
  readonly fixedWords: string | undefined;
  /** What it lacks because it was added at run time, until a reload. */
  readonly lacks?: string | undefined;
}

/** Servers of one backend by name. */
export type RunningBackend = ReadonlyMap<string, RunningServer>;
