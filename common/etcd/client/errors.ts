import { type ServiceError, status } from '@grpc/grpc-js';
import { oneLine, systemWords } from '../../reason.ts';

/** A call that etcd refused, or that did not reach it. The message names the member and the call, and says why in plain words. */
export class EtcdError extends Error {
  override readonly name = 'EtcdError';
  /** gRPC's code, such as `status.UNAVAILABLE`. */
  readonly code: status;
  /** The server's text without gRPC's prefix. */
  readonly details: string;

  /** Has no `cause`: an error that is printed with its causes would say the same again, in gRPC's words. */
  constructor(attempted: string, code: status, details: string) {
    super(`${attempted}: ${plainWords(code, details)}`);
    this.code = code;
    this.details = details;
  }
}

/** Makes an EtcdError of what grpc-js throws. */
export function etcdError(attempted: string, error: unknown): EtcdError {
  if (error instanceof EtcdError) return error;
  const { code, details, message } = error as Partial<ServiceError>;
  return new EtcdError(attempted, code ?? status.UNKNOWN, details || message || String(error));
}

/** Puts the texts of grpc-js and etcd into plain words. */
function plainWords(code: status, details: string): string {
  const known = systemWords(details);
  if (known !== undefined) return known;
  if (code === status.DEADLINE_EXCEEDED && /^(deadline exceeded|context deadline)/i.test(details)) {
    return 'no answer in time';
  }
  // This process cancelled it, because the time of the whole call was over.
  if (code === status.CANCELLED && /^cancelled on client$/i.test(details)) return 'no answer in time';
  if (/^name resolution failed/i.test(details)) return 'host name not found';
  if (/^received rst_stream/i.test(details)) return 'connection reset';
  if (/^connection dropped$/i.test(details)) return 'connection lost';
  // "No connection established. Last error: self-signed certificate (2026-01-01…). Resolution note: "
  const inner = /Last error: (.*?)(?: \(\d{4}-[^)]*\))?\.?(?: Resolution note:.*)?$/s.exec(details)?.[1];
  const text = (inner === undefined ? details : connectionWords(inner)).replace(
    /^(etcdserver|etcdclient|auth|raft): /,
    '',
  );
  return oneLine(text) || String(status[code]).toLowerCase().replaceAll('_', ' ');
}

/** Codes that another member, or another try, would answer again. */
const permanentCodes: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.PERMISSION_DENIED,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  status.UNIMPLEMENTED,
  status.UNAUTHENTICATED,
]);

/** True when trying again cannot help. A stale token is not permanent: see {@link isStaleToken}. */
export function isPermanent(error: EtcdError): boolean {
  return (permanentCodes.has(error.code) && !isStaleToken(error.details)) || isExhausted(error);
}

/**
 * True when the cluster takes no more: its quota is used up, or it has too many requests. Every member would say so.
 * gRPC uses the same code for a message that is too large.
 */
function isExhausted({ code, details }: EtcdError): boolean {
  return code === status.RESOURCE_EXHAUSTED && details.startsWith('etcdserver:');
}

/** True when etcd asks for a new token, which it does under various codes; its Go client looks for the same texts. */
export function isStaleToken(text: string): boolean {
  return /invalid auth token|revision of auth store is old|user name is empty/.test(text);
}

/** True when etcd refuses this user or password. */
export function isWrongPassword(text: string): boolean {
  return /authentication failed, invalid user ID or password/.test(text);
}

/** True when etcd has authentication off. */
export function isAuthOff(text: string): boolean {
  return /authentication is not enabled/.test(text);
}

/** True for a read or a watch below the compaction revision. */
export function isCompacted(text: string): boolean {
  return /required revision has been compacted/.test(text);
}

/** True when this user may not make that call. */
export function isDenied(text: string): boolean {
  return /permission denied/.test(text);
}

/** True when etcd's quota is used up: until an administrator makes room, it accepts deletes only. */
export function isOutOfSpace(text: string): boolean {
  return /database space exceeded/.test(text);
}

/** True when etcd does not know the lease: it expired, was revoked, or was never granted. */
export function isLeaseNotFound(error: EtcdError): boolean {
  return /requested lease not found/.test(error.details);
}

/** True when nothing listens at the member's address: it is down, and knows no hung connections. */
export function isRefused(error: EtcdError): boolean {
  return error.code === status.UNAVAILABLE && /ECONNREFUSED/.test(error.details);
}

/** True when the member itself answered, so that the connection to it works. */
export function isAnswer(error: EtcdError): boolean {
  return isPermanent(error) || /etcdserver:|auth:|raft:/.test(error.details);
}

/** What TLS says when the handshake fails, and what that means here. */
const meanings: readonly (readonly [said: RegExp, meaning: string])[] = [
  [/unable to verify|self.signed certificate|unable to get (?:local )?issuer/, 'no authority in tls.ca has signed it'],
  [/^certificate has expired/, "the member's certificate"],
  [/^unknown ca/, 'the member does not trust the authority of our certificate, tls.cert'],
  [/^certificate required/, 'the member requires a client certificate: set tls.cert and tls.key'],
  [/^certificate expired/, 'the member rejects our certificate, tls.cert'],
  // Up to etcd 3.4, one text for every reason.
  [
    /^bad certificate/,
    'the member rejects our certificate, tls.cert: missing, expired, or from an authority that it does not trust',
  ],
  [/disconnected before secure TLS/, 'if the member does not talk TLS, its address begins with http://'],
  [/^Failed to connect/, 'if the member talks TLS, its address begins with https://'],
];

/**
 * Why gRPC could not connect, for people: without OpenSSL's line numbers, and with what it means. Reports that are not about
 * TLS are returned unchanged.
 */
export function connectionWords(report: string): string {
  const alert = /:SSL routines:[^:]*:(?:(?:sslv|tlsv)[\d.]+ alert )?([^:]*):/.exec(report)?.[1];
  const said = alert ?? report.replace(/^Error: /, '');
  const meaning = meanings.find(([pattern]) => pattern.test(said))?.[1];
  return meaning === undefined ? said : `${said} (${meaning})`;
}
