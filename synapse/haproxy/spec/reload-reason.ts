/** The kinds of {@link ReloadReason}, most telling first: a reload for several reasons counts as the first kind among them. */
export const reloadReasonKinds = ['configuration', 'socket', 'membership', 'server'] as const;

/** What only a reload brings about: another configuration, the socket, the members of a backend, one server's options. */
export type ReloadReasonKind = (typeof reloadReasonKinds)[number];

/** Why HAProxy has to be reloaded. */
export interface ReloadReason {
  /** The label of the metric. */
  readonly kind: ReloadReasonKind;
  /** One sentence for people, without a full stop. */
  readonly text: string;
  /** The service whose records are the reason; undefined when it is the configuration or HAProxy itself. */
  readonly service?: string;
  /** The server that the reload is for, when it is a single one. */
  readonly server?: ReloadedServer;
}

/** A server that a reload is to bring about. */
export interface ReloadedServer {
  readonly backend: string;
  readonly name: string;
  /** What it is to be: a reload that began before another wish does not bring that one. */
  readonly wanted?: string | undefined;
}

/** What a {@link serverReason} is about. */
export type ReasonSubject = Pick<ReloadReason, 'service' | 'server'>;

/** HAProxy has to load other text than server lines. */
export function configurationReason(text: string, about: Pick<ReloadReason, 'service'> = {}): ReloadReason {
  return { kind: 'configuration', text, ...about };
}

/** The runtime API does not answer, and a reload may bring it back. */
export function socketReason(text: string): ReloadReason {
  return { kind: 'socket', text };
}

/** Servers changed, and the runtime API is not used. */
export function membershipReason(text: string): ReloadReason {
  return { kind: 'membership', text };
}

/** HAProxy's runtime API cannot bring about what is wanted of a server. */
export function serverReason(text: string, about: ReasonSubject = {}): ReloadReason {
  return { kind: 'server', text, ...about };
}

/** Equal for two reasons of which one reload brings about both. */
export function keyOfReason({ text, server }: ReloadReason): string {
  return `${text} ${server?.wanted ?? ''}`;
}

/** The kind that a reload for all these reasons counts as. */
export function kindOfReload(reasons: readonly ReloadReason[]): ReloadReasonKind {
  return reloadReasonKinds.find((kind) => reasons.some((reason) => reason.kind === kind)) ?? 'server';
}

/** The reasons without repetitions of a text, in order. */
export function distinctReasons(reasons: readonly ReloadReason[]): readonly ReloadReason[] {
  return [...new Map(reasons.map((reason) => [reason.text, reason])).values()];
}

/** The texts, in order. */
export function textsOf(reasons: readonly ReloadReason[]): readonly string[] {
  return reasons.map(({ text }) => text);
}
