import type { DetailedPeerCertificate } from 'node:tls';
import { clock } from '../../common/async/clock.ts';
import { openSocket, startTls } from '../../common/net/socket.ts';
import { checkTlsClient, type TlsClientOptions, tlsClient, tlsClientSchema } from '../../common/net/tls-client.ts';
import type { CheckPlugin, CheckTarget } from '../check.ts';

export interface TlsCheckOptions extends TlsClientOptions {
  readonly min_days: number;
}

export const check: CheckPlugin<TlsCheckOptions> = {
  description: 'Passes when a TLS handshake succeeds and no certificate of the chain expires too soon.',
  schema: {
    ...tlsClientSchema,
    min_days: {
      doc: 'days for which the certificate and those of its issuers must still be valid; 0 for valid now',
      format: 'natural-number',
      default: 0,
    },
  },
  create(options, target) {
    checkTlsClient(options);
    return (signal) => probe(options, target, signal);
  },
};

async function probe(options: TlsCheckOptions, target: CheckTarget, signal: AbortSignal): Promise<void> {
  const names = await tlsClient(options, target.host);
  const socket = await openSocket(target, signal);
  try {
    const secure = await startTls(socket, names, signal);
    checkDays(secure.getPeerCertificate(true), options.min_days);
  } finally {
    socket.destroy();
  }
}

const day = 24 * 60 * 60 * 1000;

function checkDays(leaf: DetailedPeerCertificate, wanted: number): void {
  const seen = new Set<string>();
  for (let at = leaf; at !== undefined && !seen.has(at.fingerprint256); at = at.issuerCertificate) {
    seen.add(at.fingerprint256);
    const days = Math.floor((Date.parse(at.valid_to) - clock.wallTime()) / day);
    const what = at === leaf ? 'certificate' : `certificate of the issuer ${at.subject?.CN ?? at.subject?.O ?? ''}`;
    if (days < 0) throw new Error(`${what} expired on ${at.valid_to}`);
    if (days < wanted) throw new Error(`${what} expires in ${days} day${days === 1 ? '' : 's'}, ${wanted} wanted`);
  }
}
